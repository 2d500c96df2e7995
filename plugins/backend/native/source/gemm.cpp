#include "gemm.h"

#include <algorithm>

#include "gelu.h"
#include "threads.h"
#include "tile.h"

namespace kasosei {
namespace {

// Depth per pass, so that a panel of the right factor stays in the first-level cache (384 x 32 floats: 48 KiB).
constexpr int64_t depth_at_once = 384;

// Panels that one thread packs, and panels of the left factor that it multiplies with one of the right: they stay in the
// second-level cache.
constexpr int64_t left_panels_at_once = 12, right_panels_at_once = 8;

// Numbers of the smaller factor that are packed at a time if its depth is divided: 1 MiB.
constexpr int64_t ready_at_once = 1 << 18;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

Pieces pieces_of(int64_t size, int64_t most) { return {size, std::max<int64_t>(1, divide_up(size, most))}; }

void finish(const Epilogue& epilogue, int64_t row, int rows, int64_t column, int columns, int64_t n, float* c,
            int64_t stride) {
  const float* bias = epilogue.bias == nullptr ? nullptr : epilogue.bias + column;
  const auto lines = [&](auto&& body) {
    for (int64_t i = row; i < row + rows; i++) for_lanes(columns, [&](int64_t j, auto width) { body(i, j, width); });
  };
  const auto sum = [&](int64_t i, int64_t j, auto width) {
    const Floats value = load_some(c + i * stride + column + j, width);
    return bias == nullptr ? value : value + load_some(bias + j, width);
  };
  if (epilogue.gelu_derivative != nullptr)
    lines([&](int64_t i, int64_t j, auto width) {
      const Gelu result = gelu(sum(i, j, width));
      store_some(epilogue.gelu_derivative + i * n + column + j, result.derivative, width);
      store_some(c + i * stride + column + j, result.value, width);
    });
  else if (epilogue.factor != nullptr)
    lines([&](int64_t i, int64_t j, auto width) {
      const Floats factor = load_some(epilogue.factor + i * n + column + j, width);
      store_some(c + i * stride + column + j, sum(i, j, width) * factor, width);
    });
  else if (bias != nullptr)
    lines([&](int64_t i, int64_t j, auto width) { store_some(c + i * stride + column + j, sum(i, j, width), width); });
}

// Asks for a tile of a matrix, which is to be in the cache once its sums are there: its rows are too far apart for the
// processor to see that they follow one another.
void prefetch(const float* tile, int64_t stride, int rows, int columns) {
  constexpr int line = 64 / sizeof(float);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j += line) __builtin_prefetch(tile + i * stride + j);
}

// How a product is divided into tiles, blocks of tiles and pieces of depth.
struct Plan {
  const Product& p;
  Pieces rows = pieces_of(p.m, tile_rows);
  // All panels but the last consist of whole vectors of columns.
  int64_t right = divide_up(p.n, tile_columns);
  Pieces depths = pieces_of(p.k, depth_at_once);

  // The numbers of a panel; an odd depth is rounded in pairs.
  int64_t left_room() const { return (divide_up(p.k, depths.count) + 1) * left_stride; }
  int64_t right_room() const { return (divide_up(p.k, depths.count) + 1) * tile_columns; }

  // Panels first … end − 1 of a piece of depth.
  void pack_left(int64_t first, int64_t end, int64_t piece, float* to) const {
    pack<left_stride>(p.a, rows, first, end, depths.begin(piece), depths.length(piece), p.precision, to, left_room());
  }
  void pack_right(int64_t first, int64_t end, int64_t piece, float* to) const {
    pack<tile_columns>(p.b.transposed(), Strips{p.n, tile_columns}, first, end, depths.begin(piece), depths.length(piece),
                       p.precision, to, right_room());
  }
  void multiply_tile(int64_t i, int64_t j, int64_t piece, const float* a, const float* b) const {
    const int height = rows.length(i);
    const int width = static_cast<int>(std::min<int64_t>(tile_columns, p.n - j * tile_columns));
    const int64_t row = rows.begin(i), column = j * tile_columns;
    const bool last = piece + 1 == depths.count;
    if (p.add && piece == 0) prefetch(p.c + row * p.stride + column, p.stride, height, width);
    if (last && p.epilogue.factor != nullptr) prefetch(p.epilogue.factor + row * p.n + column, p.n, height, width);
    multiply_panels(p.precision, height, width, steps_of(depths.length(piece), p.precision), a, b,
                    p.c + row * p.stride + column, p.stride, p.add || piece > 0);
    if (last) finish(p.epilogue, row, height, column, width, p.n, p.c, p.stride);
  }
};

// A thread's own panels, and those that all threads read, which belong to the thread that began the product.
thread_local Scratch own, shared;

}  // namespace

void multiply_alone(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  const Plan plan{p};
  const int64_t room = plan.left_room();
  float* left = own.floats(room * plan.rows.count + plan.right_room());
  float* right = left + room * plan.rows.count;
  for (int64_t piece = 0; piece < plan.depths.count; piece++) {
    plan.pack_left(0, plan.rows.count, piece, left);
    for (int64_t j = 0; j < plan.right; j++) {
      plan.pack_right(j, j + 1, piece, right);
      for (int64_t i = 0; i < plan.rows.count; i++) plan.multiply_tile(i, j, piece, left + i * room, right);
    }
  }
}

// The smaller factor is packed first: whole or, if the sums are long and C is small, some pieces of its depth at a time,
// so that they too stay in the cache. A block then packs a few panels of the larger one, and multiplies them with
// all panels of the smaller while they are in its thread's cache.
void multiply(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  const int64_t work = p.m * p.n * std::max<int64_t>(1, p.k);
  if (work < least_parallel_work) return multiply_alone(p);
  const Plan plan{p};
  const int64_t left_room = plan.left_room(), right_room = plan.right_room();
  const bool tall = p.m >= p.n;

  // Blocks small enough that every thread gets several, since other processes may occupy some of the cores.
  const int64_t several = thread_count() == 1 ? 1 : 4 * thread_count();
  Pieces down = tall ? pieces_of(plan.rows.count, left_panels_at_once) : Pieces{plan.rows.count, 1};
  Pieces across = tall ? Pieces{plan.right, 1} : pieces_of(plan.right, right_panels_at_once);
  // A cut through the smaller factor makes several blocks pack the same panels.
  for (Pieces* cut : {tall ? &down : &across, tall ? &across : &down})
    while (down.count * across.count < several && cut->count < cut->size)
      cut->count = std::min(cut->size, 2 * cut->count);

  const int64_t panels = tall ? plan.right : plan.rows.count, room = tall ? right_room : left_room;
  const bool deep = p.k > 2 * std::max(p.m, p.n);
  const int64_t most = deep ? ready_at_once / (panels * room) : plan.depths.count;
  const int64_t at_once = std::clamp<int64_t>(most, 1, plan.depths.count);
  float* whole = shared.floats(at_once * panels * room);
  const Pieces groups{panels, std::min(panels, several)};
  for (int64_t begin = 0; begin < plan.depths.count; begin += at_once) {
    const int64_t end = std::min(begin + at_once, plan.depths.count);
    parallel_for((end - begin) * groups.count, std::min(p.m, p.n) * p.k, [&](int64_t item) {
      const int64_t piece = item / groups.count, first = groups.begin(item % groups.count);
      const int64_t last = first + groups.length(item % groups.count);
      float* to = whole + (piece * panels + first) * room;
      if (tall) plan.pack_right(first, last, begin + piece, to);
      else plan.pack_left(first, last, begin + piece, to);
    });
    parallel_for(down.count * across.count, work, [&](int64_t block) {
      const int64_t i0 = down.begin(block / across.count), i1 = i0 + down.length(block / across.count);
      const int64_t j0 = across.begin(block % across.count), j1 = j0 + across.length(block % across.count);
      float* few = own.floats(tall ? (i1 - i0) * left_room : (j1 - j0) * right_room);
      for (int64_t piece = begin; piece < end; piece++) {
        const float* ready = whole + (piece - begin) * panels * room;
        if (tall) plan.pack_left(i0, i1, piece, few);
        else plan.pack_right(j0, j1, piece, few);
        for (int64_t from = i0; from < i1; from += left_panels_at_once)
          for (int64_t j = j0; j < j1; j++)
            for (int64_t i = from; i < std::min(i1, from + left_panels_at_once); i++)
              plan.multiply_tile(i, j, piece, tall ? few + (i - i0) * left_room : ready + i * left_room,
                                 tall ? ready + j * right_room : few + (j - j0) * right_room);
      }
    });
  }
}

}  // namespace kasosei
