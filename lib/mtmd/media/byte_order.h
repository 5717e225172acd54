// Private to lib/mtmd/media: numbers of a file in memory. Positions are checked by the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mtmd::media {

inline std::uint32_t u8(std::span<const std::byte> b, std::size_t at) { return std::to_integer<std::uint32_t>(b[at]); }
inline std::uint32_t le16(std::span<const std::byte> b, std::size_t at) { return u8(b, at) | u8(b, at + 1) << 8; }
inline std::uint32_t le32(std::span<const std::byte> b, std::size_t at) { return le16(b, at) | le16(b, at + 2) << 16; }
inline std::uint32_t be16(std::span<const std::byte> b, std::size_t at) { return u8(b, at) << 8 | u8(b, at + 1); }
inline std::uint32_t be32(std::span<const std::byte> b, std::size_t at) { return be16(b, at) << 16 | be16(b, at + 2); }

}  // namespace mtmd::media
