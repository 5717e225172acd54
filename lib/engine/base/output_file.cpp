#include "engine/base/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/error.h"

namespace mtmd {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBufferBytes = 1u << 20;

}  // namespace

fs::path replaced_file(const fs::path& target) {
  std::error_code ignored;
  const fs::path resolved = fs::is_symlink(target, ignored) ? fs::weakly_canonical(target, ignored) : target;
  const fs::file_status status = fs::status(resolved, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status))
    fail(ErrorCategory::output, "{}: exists and is not a regular file", target.string());
  return resolved;
}

void sync_folder_of(const fs::path& file) noexcept {
  const int dir = ::open(file.has_parent_path() ? file.parent_path().c_str() : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return;
  ::fsync(dir);
  ::close(dir);
}

OutputFile::OutputFile(const fs::path& target) : target_(replaced_file(target)) {
  for (int attempt = 0; fd_ < 0; ++attempt) {
    temporary_ = target_;
    temporary_ += fmt::format(".{}-{}.part", ::getpid(), attempt);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && (errno != EEXIST || attempt == 100)) give_up("create");
  }
  buffer_.reserve(kBufferBytes);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::give_up(const char* doing) const {
  const int why = errno;
  fail(ErrorCategory::output, "{}: cannot {} {}: {}", target_.string(), doing, temporary_.filename().string(),
       std::strerror(why));
}

void OutputFile::write_out(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) give_up("write");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void OutputFile::flush() {
  write_out(buffer_);
  buffer_.clear();
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() > kBufferBytes) return write_out(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void OutputFile::commit() {
  flush();
  if (::fsync(fd_) != 0) give_up("sync");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) give_up("close");
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) give_up("rename");
  temporary_.clear();
  sync_folder_of(target_);
}

}  // namespace mtmd
