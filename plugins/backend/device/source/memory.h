// The memory of the device that an addon is for.
#pragma once

#include "heap.h"

namespace kasosei {

// Of the process's device.
extern Heap heap;

// Copies from the caller's memory to the device's. The caller may change its own afterwards.
void write_bytes(void* to, const void* from, int64_t bytes);

// Called after each call of an exported function, also one that threw.
void call_ended();

}  // namespace kasosei
