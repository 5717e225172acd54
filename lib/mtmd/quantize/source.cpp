#include "mtmd/quantize/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/error.h"

namespace mtmd::quantize {

Source::Source(const gguf::File& file, bool mapped) : file_(file) {
  if (mapped) return;
  for (const std::filesystem::path& path : file.paths()) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat s {};
    if (fd < 0 || ::fstat(fd, &s) != 0)
      fail(ErrorCategory::input, "{}: cannot open: {}", path.string(), std::strerror(errno));
    fds_.push_back(fd);
    sizes_.push_back(static_cast<std::uint64_t>(s.st_size));
  }
}

Source::~Source() {
  for (const int fd : fds_) ::close(fd);
}

std::size_t Source::read_file(std::size_t file, std::uint64_t at, std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::pread(fds_[file], into.data() + done, into.size() - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      fail(ErrorCategory::input, "{}: cannot read at byte {}: {}", file_.paths()[file].string(), at + done,
           std::strerror(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void Source::read(const gguf::TensorInfo& t, std::uint64_t at, std::span<std::byte> into) const {
  if (fds_.empty()) {
    std::memcpy(into.data(), t.data.data() + at, into.size());
    return;
  }
  const std::size_t n = read_file(t.file, t.offset + at, into);
  if (n < into.size())
    fail(ErrorCategory::input, "{}: ends at byte {}, within tensor {}: it was cut while it was read",
         file_.paths()[t.file].string(), t.offset + at + n, t.name);
}

void Source::expect(std::size_t file, std::uint64_t at, std::uint64_t bytes) const noexcept {
  if (file < fds_.size())
    ::posix_fadvise(fds_[file], static_cast<off_t>(at), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

SourceHash::SourceHash(const Source& source, std::size_t n_files)
    : source_(source), n_files_(source.on_disk() ? n_files : 0), buffer_(std::size_t{1} << 18) {}

void SourceHash::advance(std::size_t file, std::uint64_t at) {
  while (at_file_ < n_files_ && (at_file_ < file || (at_file_ == file && at_ < at))) {
    const std::uint64_t until = at_file_ < file ? source_.file_bytes(at_file_) : at;
    if (at_ < until) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(until - at_, buffer_.size()));
      const std::size_t got = source_.read_file(at_file_, at_, std::span(buffer_).first(n));
      if (got == 0) fail(ErrorCategory::input, "the source became shorter while it was read (byte {})", at_);
      hash_.update(std::span(buffer_).first(got));
      at_ += got;
    }
    if (at_ == source_.file_bytes(at_file_)) {
      digests_.push_back(hash_.hex());
      hash_ = media::Sha256();
      ++at_file_;
      at_ = 0;
    }
  }
}

void SourceHash::passed(std::size_t file, std::uint64_t at) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock()) advance(file, at);
}

std::vector<std::string> SourceHash::finish() {
  const std::lock_guard lock(mutex_);
  advance(n_files_, 0);
  return digests_;
}

}  // namespace mtmd::quantize
