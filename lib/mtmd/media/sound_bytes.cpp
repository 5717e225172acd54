#include "mtmd/media/sound_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/base/error.h"

namespace mtmd::media {
namespace {

constexpr std::size_t kMiB = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class Memory final : public SoundBytes {
 public:
  explicit Memory(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t read(void* to, std::size_t n) noexcept override {
    n = std::min(n, bytes_.size() - at_);
    if (n > 0) std::memcpy(to, bytes_.data() + at_, n);
    at_ += n;
    return n;
  }
  bool seek(std::int64_t to) noexcept override {
    at_ = static_cast<std::size_t>(std::clamp<std::int64_t>(to, 0, std::ssize(bytes_)));
    return true;
  }
  std::int64_t tell() const noexcept override { return static_cast<std::int64_t>(at_); }
  std::optional<std::int64_t> size() const noexcept override { return std::ssize(bytes_); }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

class File final : public SoundBytes {
 public:
  File(Descriptor own, int fd, std::int64_t size) : own_(std::move(own)), fd_(fd), size_(size) {}
  std::size_t read(void* to, std::size_t n) noexcept override {
    std::size_t done = 0;
    while (done < n) {
      const ssize_t got = ::pread(fd_, static_cast<char*>(to) + done, n - done, at_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) error_ = errno;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got), at_ += got;
    }
    return done;
  }
  bool seek(std::int64_t to) noexcept override {
    at_ = std::clamp<std::int64_t>(to, 0, size_);
    return true;
  }
  std::int64_t tell() const noexcept override { return at_; }
  std::optional<std::int64_t> size() const noexcept override { return size_; }
  std::string failure() const override { return error_ != 0 ? std::strerror(error_) : ""; }

 private:
  Descriptor own_;
  int fd_;
  std::int64_t size_, at_ = 0;
  int error_ = 0;
};

class Pipe final : public SoundBytes {
 public:
  Pipe(Descriptor own, int fd) : own_(std::move(own)), fd_(fd) {}

  std::size_t read(void* to, std::size_t n) noexcept override {
    // A decoder that looks for what lies far behind is told that nothing does; the sound in between must not be lost.
    if (at_ > end() + static_cast<std::int64_t>(kMiB)) return 0;
    std::size_t done = 0;
    while (done < n) {
      if (at_ >= end() && !fill()) break;
      if (at_ >= end()) continue;
      const std::span<const char> there = kept_at(at_);
      const std::size_t part = std::min(there.size(), n - done);
      std::memcpy(static_cast<char*>(to) + done, there.data(), part);
      done += part, at_ += static_cast<std::int64_t>(part);
    }
    return done;
  }
  bool seek(std::int64_t to) noexcept override {
    if (to < 0 || (to < end() && kept_at(to).empty())) return false;
    at_ = to;
    return true;
  }
  std::int64_t tell() const noexcept override { return at_; }
  std::optional<std::int64_t> size() const noexcept override { return std::nullopt; }
  std::string failure() const override { return error_ != 0 ? std::strerror(error_) : ""; }

 private:
  std::int64_t end() const noexcept { return tail_begin_ + std::ssize(tail_); }

  /// What is remembered from position `at` on; nothing where it is forgotten.
  std::span<const char> kept_at(std::int64_t at) const noexcept {
    if (at < std::ssize(first_)) return std::span(first_).subspan(static_cast<std::size_t>(at));
    if (at < tail_begin_ || at >= end()) return {};
    return std::span(tail_).subspan(static_cast<std::size_t>(at - tail_begin_));
  }

  /// Reads one block behind the end; false when there is none.
  bool fill() noexcept {
    // A pipe may be silent for ever: a signal whose handler does not restart reads (SA_RESTART) ends this one.
    const ssize_t got = ::read(fd_, block_.data(), block_.size());
    if (got < 0) error_ = errno;
    if (got <= 0) return false;
    const std::span<const char> block(block_.data(), static_cast<std::size_t>(got));
    if (tail_.size() + block.size() > tail_.capacity()) {
      const std::size_t dropped = tail_.size() - std::min(tail_.size(), kMiB);
      tail_.erase(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(dropped));
      tail_begin_ += static_cast<std::int64_t>(dropped);
    }
    if (first_.size() < kMiB)
      first_.insert(first_.end(), block.begin(),
                    block.begin() + static_cast<std::ptrdiff_t>(std::min(block.size(), kMiB - first_.size())));
    tail_.insert(tail_.end(), block.begin(), block.end());
    return true;
  }

  static std::vector<char> reserved(std::size_t n) {
    std::vector<char> v;
    v.reserve(n);
    return v;
  }

  Descriptor own_;
  int fd_;
  std::int64_t at_ = 0, tail_begin_ = 0;
  std::vector<char> block_ = std::vector<char>(1 << 16);
  std::vector<char> first_ = reserved(kMiB), tail_ = reserved(2 * kMiB);  // never reallocated
  int error_ = 0;
};

std::unique_ptr<SoundBytes> open(Descriptor own, int fd, std::string_view name) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) fail(ErrorCategory::input, "{}: {}", name, std::strerror(errno));
  if (S_ISDIR(about.st_mode)) fail(ErrorCategory::input, "{}: a folder, expected a recording", name);
  if (S_ISREG(about.st_mode) && ::lseek(fd, 0, SEEK_CUR) == 0)
    return std::make_unique<File>(std::move(own), fd, about.st_size);
  return std::make_unique<Pipe>(std::move(own), fd);
}

}  // namespace

std::string SoundBytes::head(std::size_t n) {
  std::string bytes(n, '\0');
  bytes.resize(read(bytes.data(), n));
  seek(0);
  return bytes;
}

std::unique_ptr<SoundBytes> open_sound_bytes(const std::filesystem::path& path) {
  Descriptor own(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int fd = own.get();
  if (fd < 0) fail(ErrorCategory::input, "{}: {}", path.string(), std::strerror(errno));
  return open(std::move(own), fd, path.string());
}

std::unique_ptr<SoundBytes> open_sound_bytes(int fd, std::string_view name) { return open(Descriptor(-1), fd, name); }

std::unique_ptr<SoundBytes> open_sound_bytes(std::span<const std::byte> bytes) {
  return std::make_unique<Memory>(bytes);
}

std::unique_ptr<SoundBytes> spooled(SoundBytes& pipe, std::string_view name) {
  std::string path = (std::filesystem::temp_directory_path() / "mtmd-sound-XXXXXX").string();
  Descriptor own(::mkostemp(path.data(), O_CLOEXEC));
  const int fd = own.get();
  if (fd < 0) fail(ErrorCategory::resource, "{}: no temporary file {}: {}", name, path, std::strerror(errno));
  ::unlink(path.c_str());
  std::vector<char> block(1 << 16);
  std::int64_t size = 0;
  while (const std::size_t n = pipe.read(block.data(), block.size())) {
    for (std::size_t done = 0; done < n;) {
      const ssize_t put = ::write(fd, block.data() + done, n - done);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        fail(ErrorCategory::resource,
             "{}: {} bytes of the pipe fit into {}, more do not: {}; set TMPDIR to a larger disk", name, size,
             std::filesystem::temp_directory_path().string(), std::strerror(errno));
      }
      done += static_cast<std::size_t>(put), size += put;
    }
  }
  return std::make_unique<File>(std::move(own), fd, size);
}

}  // namespace mtmd::media
