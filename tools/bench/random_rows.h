// Weights that are random but sane: encoded from small normal numbers, so that nothing overflows on its way through a
// model of any depth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/dtype.h"

namespace mtmd::bench {

/// Bytes of `type` for rows of `cols` values of standard deviation `scale`, to be repeated as often as needed: about a
/// megabyte of different rows, the encoding of which is what takes time. Throws Error(usage) for a type that nothing
/// encodes or rows that are not whole blocks.
std::vector<std::byte> random_pattern(DType type, std::int64_t cols, float scale);
/// `bytes` bytes of the pattern over and over.
void fill(std::span<std::byte> bytes, std::span<const std::byte> pattern);
std::vector<std::byte> random_rows(DType type, std::int64_t cols, std::int64_t rows);

}  // namespace mtmd::bench
