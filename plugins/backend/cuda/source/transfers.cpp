// Tensors that leave the GPU while it computes: a second stream copies pieces of them into two pinned windows by turns,
// which the caller sees as ArrayBuffers.
#include "transfers.h"

#include "binding.h"
#include "device.h"
#include "driver.h"

namespace kasosei {
namespace {

constexpr int windows = 2;
constexpr int64_t window_bytes = int64_t{16} << 20;

struct Window {
  void* start = nullptr;
  napi_ref buffer = nullptr;
  Event filled = nullptr;
  bool pending = false;
};

struct Transfers {
  Stream stream = nullptr;
  Event computed = nullptr;
  Window window[windows];
  napi_env env = nullptr;
};
Transfers& transfers = *new Transfers;

Window& window_of(int64_t index) {
  expect(index < windows && transfers.window[index].buffer != nullptr, "expected one of the windows, after a start");
  return transfers.window[index];
}

// Makes what is not there yet.
void prepare(napi_env env) {
  transfers.env = env;
  if (transfers.stream == nullptr)
    require(driver.cuStreamCreate(&transfers.stream, stream_non_blocking), "making a stream");
  if (transfers.computed == nullptr)
    require(driver.cuEventCreate(&transfers.computed, event_without_time), "making an event");
  for (Window& each : transfers.window) {
    if (each.filled == nullptr) require(driver.cuEventCreate(&each.filled, event_without_time), "making an event");
    if (each.start == nullptr) {
      void* start = nullptr;
      require(driver.cuMemHostAlloc(&start, window_bytes, 0), "pinning memory");
      each.start = start;
    }
    if (each.buffer == nullptr) {
      napi_value buffer;
      check(napi_create_external_arraybuffer(env, each.start, window_bytes, nullptr, nullptr, &buffer),
            "a runtime that can share external memory");
      check(napi_create_reference(env, buffer, 1, &each.buffer), "a reference");
    }
  }
}

// startTransfer(): what is transferred from now on is as all that was launched before leaves it.
napi_value start_transfer(napi_env env, napi_callback_info) {
  return guarded(env, [&]() -> napi_value {
    expect(stream() != nullptr, "expected a device that was started");
    prepare(env);
    require(driver.cuEventRecord(transfers.computed, stream()), "recording an event");
    require(driver.cuStreamWaitEvent(transfers.stream, transfers.computed, 0), "making a stream wait");
    return nullptr;
  });
}
EXPORT_AS_IS(start_transfer, "startTransfer")

// window(index): its ArrayBuffer.
napi_value window_buffer(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [index] = arguments_of<1>(env, info);
    napi_value buffer;
    check(napi_get_reference_value(env, window_of(Argument<int64_t>::from(env, index)).buffer, &buffer), "a reference");
    return buffer;
  });
}
EXPORT_AS_IS(window_buffer, "window")

// Fills a window from its beginning with pieces of float32 tensors: [handle, first number, how many] of each. The
// tensors must not be released, nor changed, before it is filled.
void fill_window(int64_t index, List<double> pieces) {
  Window& window = window_of(index);
  expect(!window.pending, "expected a window that is not being filled");
  expect(pieces.size % 3 == 0, "expected three numbers for each piece");
  int64_t numbers = 0;
  for (int64_t i = 0; i < pieces.size; i += 3) {
    const int64_t size = buffer_of<const float>(pieces[i]).size;
    const int64_t first = whole_number(pieces[i + 1]), count = whole_number(pieces[i + 2]);
    expect(first <= size && count <= size - first, "expected a piece of a tensor");
    numbers += count;
    expect(numbers <= window_bytes / static_cast<int64_t>(sizeof(float)), "expected pieces that fit into a window");
  }
  float* to = static_cast<float*>(window.start);
  try {
    for (int64_t i = 0; i < pieces.size; i += 3) {
      const int64_t count = whole_number(pieces[i + 2]);
      const float* from = buffer_of<const float>(pieces[i]).data + whole_number(pieces[i + 1]);
      if (count > 0)
        require(driver.cuMemcpyDtoHAsync_v2(to, reinterpret_cast<DeviceAddress>(from), count * sizeof(float),
                                            transfers.stream),
                "copying from the GPU");
      work_queued();
      to += count;
    }
    require(driver.cuEventRecord(window.filled, transfers.stream), "recording an event");
  } catch (...) {
    // The caller may release the tensors.
    driver.cuStreamSynchronize(transfers.stream);
    throw;
  }
  window.pending = true;
}
EXPORT(fill_window, "fillWindow")

// Whether a window is filled: 1 or 0. Does not wait.
int64_t is_filled(int64_t index) {
  Window& window = window_of(index);
  if (!window.pending) return 1;
  const int result = driver.cuEventQuery(window.filled);
  if (result == not_ready) return 0;
  window.pending = false;
  if (result != success) driver.cuStreamSynchronize(transfers.stream);
  require(result, "copying from the GPU");
  return 1;
}
EXPORT(is_filled, "isFilled")

}  // namespace

void stop_transfers() {
  // Waits for the copies.
  if (transfers.stream != nullptr) {
    driver.cuStreamSynchronize(transfers.stream);
    driver.cuStreamDestroy_v2(transfers.stream);
  }
  if (transfers.computed != nullptr) driver.cuEventDestroy_v2(transfers.computed);
  for (Window& each : transfers.window) {
    if (each.buffer != nullptr) {
      napi_value buffer;
      napi_get_reference_value(transfers.env, each.buffer, &buffer);
      napi_detach_arraybuffer(transfers.env, buffer);
      napi_delete_reference(transfers.env, each.buffer);
    }
    if (each.filled != nullptr) driver.cuEventDestroy_v2(each.filled);
    if (each.start != nullptr) driver.cuMemFreeHost(each.start);
  }
  transfers = Transfers{};
}

}  // namespace kasosei
