#include "mtmd/quantize/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/output_file.h"

namespace mtmd::quantize {
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

/// Data of a killed process are in the page cache; those of a crashed machine are not. Tells the two apart.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

constexpr std::chrono::seconds kSyncEvery{20};

}  // namespace

PartFile::PartFile(const fs::path& target, const std::string& identity, bool resume, std::uint64_t bytes)
    : target_(replaced_file(target)),
      part_(target_.string() + ".part"),
      journal_(part_.string() + ".journal"),
      bytes_(bytes),
      last_sync_(std::chrono::steady_clock::now()) {
  try {
    open(resume);
    if (resume) read_journal(identity);
    if (done_.empty()) start_journal(identity);
    n_resumed_ = done_.size();
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    if (journal_fd_ >= 0) ::close(journal_fd_);
    throw;
  }
}

void PartFile::open(bool resume) {
  std::error_code ignored;
  const bool there = fs::exists(part_, ignored);
  fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd_ < 0) give_up("create", part_);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0)
    fail(ErrorCategory::output, "{}: another mtmd is writing it", part_.string());
  struct stat s {};
  if (::fstat(fd_, &s) != 0) give_up("look at", part_);
  if (!resume && there && ::ftruncate(fd_, 0) != 0) give_up("empty", part_);
  struct statvfs disk {};
  if (::fstatvfs(fd_, &disk) != 0) return;
  const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::uint64_t present = resume ? static_cast<std::uint64_t>(s.st_blocks) * 512 : 0;
  if (bytes_ <= present || bytes_ - present <= room) return;
  if (!there) ::unlink(part_.c_str());
  fail(ErrorCategory::output, "{}: it will have {} bytes, the disk has room for {}: make room for {} more",
       target_.string(), bytes_, room + present, bytes_ - present - room);
}

PartFile::~PartFile() {
  if (!committed_ && (!keep_ || done_.empty())) {
    ::unlink(part_.c_str());
    ::unlink(journal_.c_str());
  }
  if (fd_ >= 0) ::close(fd_);
  if (journal_fd_ >= 0) ::close(journal_fd_);
}

void PartFile::give_up(const char* doing, const fs::path& what) const {
  const int why = errno;
  const bool full = why == ENOSPC || why == EDQUOT || why == EFBIG;
  fail(ErrorCategory::output, "{}: cannot {} {}: {}{}", target_.string(), doing, what.filename().string(),
       std::strerror(why),
       full ? fmt::format("; the file needs {} bytes. Make room and run again with --resume", bytes_) : "");
}

void PartFile::read_journal(const std::string& identity) {
  std::ifstream in(journal_, std::ios::binary);
  if (!in) return;
  std::set<std::size_t> seen;
  std::string line, boot;
  std::uint64_t whole = 0;
  bool same = false;
  for (bool first = true; std::getline(in, line) && !in.eof(); whole += line.size() + 1, first = false) {
    const Json json = Json::parse(line, nullptr, false);
    if (first) {
      same = json.is_object() && json.value("identity", "") == identity;
      if (same) boot = json.value("boot", "");
    }
    if (!same) break;
    if (json.is_object() && json.contains("tensor") && json["tensor"].is_number_unsigned())
      seen.insert(json["tensor"].get<std::size_t>());
    if (json.is_object() && json.contains("synced")) done_ = seen;
  }
  if (same && boot == boot_id()) done_ = seen;
  other_run_ = !same;
  if (done_.empty()) return;
  journal_fd_ = ::open(journal_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  // A line torn by a kill would spoil the next one.
  if (journal_fd_ < 0 || ::ftruncate(journal_fd_, static_cast<off_t>(whole)) != 0) give_up("open", journal_);
  if (boot != boot_id()) {
    ::close(std::exchange(journal_fd_, -1));
    start_journal(identity);
    for (const std::size_t t : done_) note(Json{{"tensor", t}}.dump());
  }
}

void PartFile::start_journal(const std::string& identity) {
  journal_fd_ = ::open(journal_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (journal_fd_ < 0) give_up("create", journal_);
  if (done_.empty() && ::ftruncate(fd_, 0) != 0) give_up("empty", part_);
  note(Json{{"identity", identity}, {"boot", boot_id()}}.dump());
}

void PartFile::note(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(journal_fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) give_up("write", journal_);
}

void PartFile::write(std::uint64_t at, std::span<const std::byte> bytes) {
  // Zeros stay a hole: the file began empty, and what another part of the same job wrote here is the same.
  if (std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) return;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) give_up("write", part_);
    at += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void PartFile::complete(std::size_t tensor) {
  const std::lock_guard lock(mutex_);
  note(Json{{"tensor", tensor}}.dump());
  done_.insert(tensor);
  const auto now = std::chrono::steady_clock::now();
  if (now - last_sync_ < kSyncEvery) return;
  if (::fdatasync(fd_) != 0) give_up("sync", part_);
  note(Json{{"synced", done_.size()}}.dump());
  last_sync_ = now;
}

void PartFile::sync() {
  if (::ftruncate(fd_, static_cast<off_t>(bytes_)) != 0) give_up("extend", part_);
  if (::fsync(fd_) != 0) give_up("sync", part_);
}

void PartFile::commit() {
  if (::rename(part_.c_str(), target_.c_str()) != 0) give_up("rename", part_);
  committed_ = true;
  ::unlink(journal_.c_str());
  sync_folder_of(target_);
}

}  // namespace mtmd::quantize
