// Private to this folder: reads a model's tensors without mapping them, and hashes its files on the way.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"
#include "mtmd/media/sha256.h"

namespace mtmd::quantize {

/// Reads by pread: a disk that fails is an error message, not a signal, and memory does not grow with the model. Or,
/// `mapped`, from the file's mapping or memory.
class Source {
 public:
  explicit Source(const gguf::File& file, bool mapped = false);  ///< file outlives this; throws Error(input)
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  /// `into.size()` bytes of the tensor's data from byte `at`. Throws Error(input) when they cannot be read.
  void read(const gguf::TensorInfo& t, std::uint64_t at, std::span<std::byte> into) const;
  /// Any bytes of part `file`; returns how many there were.
  std::size_t read_file(std::size_t file, std::uint64_t at, std::span<std::byte> into) const;
  std::uint64_t file_bytes(std::size_t file) const noexcept { return sizes_[file]; }
  bool on_disk() const noexcept { return !fds_.empty(); }
  /// Tell the kernel what will be read soon.
  void expect(std::size_t file, std::uint64_t at, std::uint64_t bytes) const noexcept;

 private:
  const gguf::File& file_;
  std::vector<int> fds_;  ///< none when mapped
  std::vector<std::uint64_t> sizes_;
};

/// SHA-256 of every source file, computed by whichever worker has a moment, close behind the readers so that the bytes
/// are still in the page cache.
class SourceHash {
 public:
  explicit SourceHash(const Source& source, std::size_t n_files);
  /// Readers have passed byte `at` of part `file`; hashes up to there unless another thread is at it.
  void passed(std::size_t file, std::uint64_t at);
  /// Hashes the rest. One digest per file.
  std::vector<std::string> finish();

 private:
  void advance(std::size_t file, std::uint64_t at);

  const Source& source_;
  std::size_t n_files_;
  std::mutex mutex_;
  std::size_t at_file_ = 0;
  std::uint64_t at_ = 0;
  media::Sha256 hash_;
  std::vector<std::string> digests_;
  std::vector<std::byte> buffer_;
};

}  // namespace mtmd::quantize
