#include "gemm.h"

#include <algorithm>

#include "gelu.h"
#include "threads.h"
#include "tile.h"

namespace kasosei {
namespace {

// Depth per pass, so that a panel of the right factor stays in the first-level cache (384 x 32 floats: 48 KiB).
constexpr int64_t depth_at_once = 384;

// Panels of both factors that one thread multiplies with each other: together they stay in the second-level cache.
constexpr int64_t left_panels_at_once = 12, right_panels_at_once = 8;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A size cut into `count` pieces of about equal length, so that none is much smaller than the others.
struct Pieces {
  int64_t size, count;
  int64_t begin(int64_t i) const { return size * i / count; }
  int64_t length(int64_t i) const { return begin(i + 1) - begin(i); }
};

Pieces pieces_of(int64_t size, int64_t most) { return {size, std::max<int64_t>(1, divide_up(size, most))}; }

void finish(const Epilogue& epilogue, int64_t row, int rows, int64_t column, int columns, int64_t n, float* c,
            int64_t stride) {
  if (epilogue.bias == nullptr && epilogue.gelu_derivative == nullptr) return;
  for (int64_t i = row; i < row + rows; i++) {
    float* line = c + i * stride + column;
    for_lanes(columns, [&](int64_t j, auto width) {
      Floats value = load_some(line + j, width);
      if (epilogue.bias != nullptr) value += load_some(epilogue.bias + column + j, width);
      if (epilogue.gelu_derivative != nullptr) {
        const Gelu result = gelu(value);
        value = result.value;
        store_some(epilogue.gelu_derivative + i * n + column + j, result.derivative, width);
      }
      store_some(line + j, value, width);
    });
  }
}

// How a product is divided into tiles, blocks of tiles and pieces of depth.
struct Plan {
  const Product& p;
  Pieces rows = pieces_of(p.m, tile_rows);
  // All panels but the last consist of whole vectors of columns.
  int64_t right = divide_up(p.n, tile_columns);
  Pieces depths = pieces_of(p.k, depth_at_once);

  int columns(int64_t j) const { return static_cast<int>(std::min<int64_t>(tile_columns, p.n - j * tile_columns)); }
  int64_t depth_room() const { return divide_up(p.k, depths.count) + 2; }

  void pack_left(int64_t i, int64_t from, int64_t depth, float* to) const {
    pack_rows(p.a, rows.begin(i), rows.length(i), from, depth, p.precision, to);
  }
  void pack_right(int64_t j, int64_t from, int64_t depth, float* to) const {
    pack_columns(p.b, j * tile_columns, columns(j), from, depth, p.precision, to);
  }
  void multiply_tile(int64_t i, int64_t j, int64_t piece, const float* a, const float* b) const {
    const int height = rows.length(i), width = columns(j);
    const int64_t row = rows.begin(i), column = j * tile_columns;
    multiply_panels(p.precision, height, width, steps_of(depths.length(piece), p.precision), a, b,
                    p.c + row * p.stride + column, p.stride, p.add || piece > 0);
    if (piece + 1 == depths.count) finish(p.epilogue, row, height, column, width, p.n, p.c, p.stride);
  }
};

thread_local Scratch packed;

}  // namespace

void multiply_alone(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  const Plan plan{p};
  const int64_t room = plan.depth_room();
  float* left = packed.floats(room * (plan.rows.count * tile_rows + lanes + tile_columns));
  float* right = left + room * plan.rows.count * tile_rows + lanes;
  for (int64_t piece = 0; piece < plan.depths.count; piece++) {
    const int64_t from = plan.depths.begin(piece), depth = plan.depths.length(piece);
    for (int64_t i = 0; i < plan.rows.count; i++) plan.pack_left(i, from, depth, left + i * room * tile_rows);
    for (int64_t j = 0; j < plan.right; j++) {
      plan.pack_right(j, from, depth, right);
      for (int64_t i = 0; i < plan.rows.count; i++)
        plan.multiply_tile(i, j, piece, left + i * room * tile_rows, right);
    }
  }
}

void multiply(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  const int64_t work = p.m * p.n * std::max<int64_t>(1, p.k);
  if (work < least_parallel_work) return multiply_alone(p);
  const Plan plan{p};
  const int64_t room = plan.depth_room();
  float* left = packed.floats(room * (plan.rows.count * tile_rows + plan.right * tile_columns) + 2 * lanes);
  float* right = left + room * plan.rows.count * tile_rows + lanes;

  // Blocks small enough that every thread gets several, since other processes may occupy some of the cores.
  Pieces down = pieces_of(plan.rows.count, left_panels_at_once), across = pieces_of(plan.right, right_panels_at_once);
  while (down.count * across.count < 4 * thread_count() && (down.count < down.size || across.count < across.size)) {
    Pieces& longer = down.size * across.count > across.size * down.count ? down : across;
    longer.count = std::min(longer.size, 2 * longer.count);
  }

  // Panels are packed in groups, since packing one is little work.
  const Pieces left_groups = pieces_of(plan.rows.count, 6), right_groups = pieces_of(plan.right, 3);
  for (int64_t piece = 0; piece < plan.depths.count; piece++) {
    const int64_t from = plan.depths.begin(piece), depth = plan.depths.length(piece);
    parallel_for(left_groups.count + right_groups.count, (p.m + p.n) * depth, [&](int64_t group) {
      const bool of_left = group < left_groups.count;
      const Pieces& groups = of_left ? left_groups : right_groups;
      const int64_t first = groups.begin(of_left ? group : group - left_groups.count);
      const int64_t end = first + groups.length(of_left ? group : group - left_groups.count);
      for (int64_t panel = first; panel < end; panel++) {
        if (of_left) plan.pack_left(panel, from, depth, left + panel * room * tile_rows);
        else plan.pack_right(panel, from, depth, right + panel * room * tile_columns);
      }
    });
    parallel_for(down.count * across.count, work, [&](int64_t block) {
      const int64_t i0 = down.begin(block / across.count), i1 = i0 + down.length(block / across.count);
      const int64_t j0 = across.begin(block % across.count), j1 = j0 + across.length(block % across.count);
      for (int64_t j = j0; j < j1; j++)
        for (int64_t i = i0; i < i1; i++)
          plan.multiply_tile(i, j, piece, left + i * room * tile_rows, right + j * room * tile_columns);
    });
  }
}

}  // namespace kasosei
