#include "mtmd/quantize/chunk.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::quantize {
namespace {

bool all_finite(std::span<const float> values) noexcept {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t bad = 0;
  for (const float v : values) bad |= (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent;
  return bad == 0;
}

/// Half-precision scales that overflowed: the values are finite, but too large for the type.
bool scales_finite(const quant::Format& format, std::span<const std::byte> blocks) noexcept {
  const std::size_t step = info(format.type).block_bytes;
  const auto finite = [&](std::size_t at) {
    std::uint16_t bits;
    std::memcpy(&bits, blocks.data() + at, sizeof bits);
    return (bits & 0x7c00) != 0x7c00;
  };
  if (format.type == DType::F16)
    for (std::size_t at = 0; at < blocks.size(); at += 2)
      if (!finite(at)) return false;
  for (const std::int16_t offset : {format.d_at, format.dmin_at})
    if (offset >= 0)
      for (std::size_t at = 0; at < blocks.size(); at += step)
        if (!finite(at + static_cast<std::size_t>(offset))) return false;
  return true;
}

/// The largest magnitude that scales times levels of a type can be about. Beyond it searches overflow, and blocks of
/// zeros come out as if all were well.
float largest(DType type) noexcept {
  if (info(type).block_size == 1 || type == DType::MXFP4) return std::numeric_limits<float>::max();
  return type == DType::IQ1_M ? 9e5f : 2.6e8f;
}

bool within(std::span<const float> values, float limit) noexcept {
  bool beyond = false;
  for (const float v : values) beyond |= std::abs(v) > limit;
  return !beyond;
}

bool is_float(DType type) noexcept {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16 || type == DType::F64;
}

}  // namespace

void ChunkCoder::read(const Source& source, const PlannedTensor& t, Rows rows) {
  const std::size_t row = row_bytes(t.source->type, t.columns());
  source_.resize(row * static_cast<std::size_t>(rows.count));
  source.read(*t.source, row * static_cast<std::uint64_t>(rows.first), source_);
  decoded_ = false;
  encoded_ = nullptr;
}

void ChunkCoder::decode(const PlannedTensor& t, Rows rows, const std::string& file) {
  const std::int64_t columns = t.columns();
  values_.resize(static_cast<std::size_t>(rows.count * columns));
  quant::find(t.source->type)->decode(source_.data(), values_.data(), std::ssize(values_));
  decoded_ = true;
  if (all_finite(values_)) return;
  for (std::int64_t i = 0; i < std::ssize(values_); ++i)
    if (const float v = values_[static_cast<std::size_t>(i)]; !std::isfinite(v))
      fail(ErrorCategory::model,
           "{}: tensor {}: value {} of row {} is {}: the file is damaged (`mtmd verify` lists every such value)", file,
           t.name, i % columns, rows.first + i / columns, std::isnan(v) ? "NaN" : "infinite");
}

std::span<const std::byte> ChunkCoder::encode(const PlannedTensor& t, Rows rows, bool best, const std::string& file) {
  if (!decoded_ && is_float(t.source->type)) decode(t, rows, file);  // copies are checked, too
  if (t.copied()) return source_;
  if (!decoded_) decode(t, rows, file);
  if (encoded_ && encoded_->choice.type == t.choice.type && encoded_->importance.data() == t.importance.data())
    return blocks_;  // of another output
  encoded_ = &t;
  const quant::Format& format = *quant::find(t.choice.type);
  const std::int64_t columns = t.columns();
  const std::size_t row = row_bytes(t.choice.type, columns);
  const float limit = largest(t.choice.type);
  blocks_.resize(row * static_cast<std::size_t>(rows.count));
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const std::int64_t matrix = (rows.first + r) / t.rows_per_matrix();
    const float* importance = t.importance.empty() ? nullptr : t.importance.data() + matrix * columns;
    std::byte* out = blocks_.data() + static_cast<std::size_t>(r) * row;
    const std::span<const float> values(values_.data() + r * columns, static_cast<std::size_t>(columns));
    const bool fits = within(values, limit);
    if (fits)
      format.encode(values.data(), out, columns, importance, best ? quant::Effort::best : quant::Effort::standard);
    if (!fits || !scales_finite(format, {out, row}))
      fail(ErrorCategory::model, "{}: tensor {}: row {} has values too large for {}; keep it with --tensor-type", file,
           t.name, rows.first + r, name(t.choice.type));
  }
  return blocks_;
}

std::size_t ChunkCoder::memory() const noexcept {
  return source_.capacity() + blocks_.capacity() + values_.capacity() * sizeof(float);
}

// Source bytes and blocks are at most as wide as f32 (f64 apart), the values are f32.
std::uint64_t chunk_memory(std::uint64_t values) noexcept { return values * 3 * sizeof(float); }

}  // namespace mtmd::quantize
