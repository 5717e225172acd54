// Where the bytes of a recording come from: a file, memory, or a pipe that can be read only once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mtmd::media {

/// Not thread-safe. Decoders written in C call it back, so nothing here throws after opening: a failed read ends the
/// bytes and leaves a message.
class SoundBytes {
 public:
  virtual ~SoundBytes() = default;
  /// Up to `n` bytes from the current position on; fewer only at the end.
  virtual std::size_t read(void* to, std::size_t n) noexcept = 0;
  /// Moves to a position counted from the beginning. False, and nothing happens, where a pipe has forgotten it.
  virtual bool seek(std::int64_t to) noexcept = 0;
  virtual std::int64_t tell() const noexcept = 0;
  virtual std::optional<std::int64_t> size() const noexcept = 0;  ///< nothing: a pipe
  virtual std::string failure() const { return {}; }              ///< of the operating system, while reading

  /// The first bytes (fewer than `n` when there are no more); the position is the beginning again.
  std::string head(std::size_t n);
};

/// A file, or whatever else the path names (a FIFO is a pipe). Throws Error(input).
std::unique_ptr<SoundBytes> open_sound_bytes(const std::filesystem::path& path);
/// An open file descriptor, which stays the caller's: a pipe unless it is a regular file at its beginning. A pipe
/// remembers its first MiB and the last one that was read, which is what decoders of streams go back to.
std::unique_ptr<SoundBytes> open_sound_bytes(int fd, std::string_view name);
/// Bytes that outlive the result.
std::unique_ptr<SoundBytes> open_sound_bytes(std::span<const std::byte> bytes);
/// All that is left of a pipe in a file without a name in the folder for temporary files, for formats that must be read
/// out of order. Throws Error(resource) when the disk is full.
std::unique_ptr<SoundBytes> spooled(SoundBytes& pipe, std::string_view name);

}  // namespace mtmd::media
