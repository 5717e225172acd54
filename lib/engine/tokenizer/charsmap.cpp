#include "engine/tokenizer/charsmap.h"

#include <cstring>

#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr const char* kKey = "tokenizer.ggml.precompiled_charsmap";

// A unit of the double array (https://github.com/s-yata/darts-clone): the label of the edge that leads here, the offset
// of the children, and whether one of them is a value.
std::uint32_t label(std::uint32_t unit) noexcept { return unit & (1u << 31 | 0xFF); }
std::uint32_t offset(std::uint32_t unit) noexcept { return (unit >> 10) << ((unit & 1u << 9) >> 6); }
bool has_value(std::uint32_t unit) noexcept { return (unit >> 8 & 1) != 0; }
std::uint32_t value(std::uint32_t unit) noexcept { return unit & ~(1u << 31); }

}  // namespace

CharsMap::CharsMap(const gguf::Metadata& metadata) {
  const gguf::Value* stored = metadata.find(kKey);
  if (!stored) return;
  const auto bytes = stored->raw_scalars();
  std::uint32_t size = 0;
  if (bytes.size() != stored->size() || bytes.size() < sizeof size)
    fail(ErrorCategory::model, "{}: {} is not an array of at least 4 bytes", metadata.file(), kKey);
  std::memcpy(&size, bytes.data(), sizeof size);
  const auto rest = bytes.subspan(sizeof size);
  if (size % sizeof(std::uint32_t) != 0 || size > rest.size())
    fail(ErrorCategory::model, "{}: {} announces {} bytes of double array and has {} behind it", metadata.file(), kKey,
         size, rest.size());
  units_.resize(size / sizeof(std::uint32_t));
  if (size != 0) std::memcpy(units_.data(), rest.data(), size);
  texts_.assign(reinterpret_cast<const char*>(rest.data()) + size, rest.size() - size);
}

CharsMap::Found CharsMap::longest(std::string_view text) const noexcept {
  Found found;
  if (units_.empty()) return found;
  std::uint32_t at = offset(units_[0]);
  for (std::size_t n = 0; n < text.size(); ++n) {
    const auto byte = static_cast<unsigned char>(text[n]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label(units_[at]) != byte) break;
    const std::uint32_t unit = units_[at];
    at ^= offset(unit);
    if (!has_value(unit)) continue;
    if (at >= units_.size() || value(units_[at]) >= texts_.size()) break;
    const std::string_view replacement = std::string_view(texts_).substr(value(units_[at]));
    found = {n + 1, replacement.substr(0, replacement.find('\0'))};
  }
  return found;
}

}  // namespace mtmd
