// A whole file as read-only memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace mtmd {

/// Maps a regular file; a file that shrinks while mapped is outside our protection (the kernel raises SIGBUS).
/// Throws Error(input) when the file cannot be opened, is not a regular file, or cannot be mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  /// Ask the kernel to read `part` of the mapping ahead of its use.
  void prefetch(std::span<const std::byte> part) const noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mtmd
