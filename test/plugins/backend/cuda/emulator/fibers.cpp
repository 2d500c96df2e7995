// Runs the kernels of the tests without the driver and prints digests of what they compute: the assembly of a processor
// that is only emulated here.
#include <cstdio>
#include <vector>

#include "instructions.cuh"

namespace {

#define PLANTED 0
#include "kernels.cu"

void undefined(const char* message) {
  fprintf(stderr, "%s\n", message);
  exit(86);
}

template <class Argument>
void launch(const char* name, void (*call)(const void*), uint32_t x, uint32_t y, uint32_t threads, uint32_t shared,
            const Argument& argument, bool reverse) {
  const emulated::Kernel kernel{name, call, sizeof argument, 0};
  emulated::run({&kernel, &argument, {x, y, 1}, threads, shared, reverse, undefined}, 0, uint64_t{x} * y);
}

void print(const char* name, const std::vector<float>& values) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const float x : values) hash = (hash ^ bits_of(x)) * 0x100000001b3ull;
  printf("%s %016llx\n", name, static_cast<unsigned long long>(hash));
}

}  // namespace

int main() {
  uint32_t state = 1;
  const auto next = [&] { return static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f; };
  for (const bool reverse : {false, true}) {
    std::vector<float> x(40 * 100), y(40 * 100);
    for (float& v : x) v = next();
    state = 1;
    launch(
        "layer_norm", [](const void* a) { layer_norm(*static_cast<const LayerNorm*>(a)); }, 40, 1, 128, 400,
        LayerNorm{x.data(), y.data(), 100, 1e-12f}, reverse);
    print("layer_norm", y);
    launch(
        "turn_rows", [](const void* a) { turn_rows(*static_cast<const Rows*>(a)); }, 32, 1, 128, 0,
        Rows{x.data(), y.data(), 125}, reverse);
    print("turn_rows", y);
    alignas(16) static uint16_t a[70 * 56], b[56 * 24];
    for (uint16_t& v : a) v = static_cast<uint16_t>(pack_bf16(next(), 0));
    for (uint16_t& v : b) v = static_cast<uint16_t>(pack_bf16(next(), 0));
    state = 1;
    std::vector<float> c(70 * 24);
    launch(
        "product_bf16", [](const void* p) { product_bf16(*static_cast<const Product*>(p)); }, 2, 2, 128, 0,
        Product{a, b, c.data(), 70, 24, 56}, reverse);
    print("product_bf16", c);
  }
}
