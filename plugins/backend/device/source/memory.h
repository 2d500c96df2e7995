// The memory of the device that an addon is for.
#pragma once

#include "heap.h"

namespace kasosei {

// Of the process's device.
extern Heap heap;

// Copies from the caller's memory to the device's. The caller may change its own afterwards.
void write_bytes(void* to, const void* from, int64_t bytes);

// Called before something writes a tensor other than an update of AdamW, and before it is released: for a device that
// keeps something derived from its numbers.
void content_changes(const void* data);

// Called after each call of an exported function, also one that threw.
void call_ended();

}  // namespace kasosei
