// Private to this folder: an output file that can be left half-written and taken up again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace mtmd::quantize {

/// Written as TARGET.part, with TARGET.part.journal beside it: one line per tensor that is complete. `commit` syncs and
/// renames. When it is destroyed without commit both stay for a later run if a tensor is complete, else they go.
/// Throws Error(output). Thread-safe from `write` on.
class PartFile {
 public:
  /// With `resume`, what a run of the same `identity` has completed is kept. `bytes` is the final size; throws when
  /// the disk has not that much room.
  PartFile(const std::filesystem::path& target, const std::string& identity, bool resume, std::uint64_t bytes);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  bool has(std::size_t tensor) const { return done_.contains(tensor); }
  std::size_t n_resumed() const noexcept { return n_resumed_; }
  bool other_run() const noexcept { return other_run_; }  ///< there was a journal, but of other settings
  void write(std::uint64_t at, std::span<const std::byte> bytes);
  /// All bytes of this tensor are written. Tensors are known by number: names from strangers' files may be any bytes.
  void complete(std::size_t tensor);
  const std::filesystem::path& temporary() const noexcept { return part_; }
  void sync();                                ///< to be called before any part of the output is committed
  void commit();                              ///< gives it its name
  void discard() noexcept { keep_ = false; }  ///< leave nothing behind

 private:
  void open(bool resume);
  void read_journal(const std::string& identity);
  void start_journal(const std::string& identity);
  void note(const std::string& line);
  [[noreturn]] void give_up(const char* doing, const std::filesystem::path& what) const;

  std::filesystem::path target_, part_, journal_;
  std::uint64_t bytes_;
  int fd_ = -1, journal_fd_ = -1;
  std::set<std::size_t> done_;
  std::size_t n_resumed_ = 0;
  bool other_run_ = false, committed_ = false, keep_ = true;
  std::mutex mutex_;  ///< of the journal
  std::chrono::steady_clock::time_point last_sync_;
};

}  // namespace mtmd::quantize
