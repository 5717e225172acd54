// A file that appears under its name complete or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace mtmd {

/// What a file written under the name `target` replaces: the file behind a symbolic link, not the link. Throws
/// Error(output) for anything that is not a regular file: renaming over a device would remove it.
std::filesystem::path replaced_file(const std::filesystem::path& target);
/// Makes a new name in the folder of `file` survive a power failure, where the file system allows that.
void sync_folder_of(const std::filesystem::path& file) noexcept;

/// Writes to a temporary name beside the target; `commit` syncs and renames. Destroyed without commit: the temporary
/// file is removed and the target untouched. Throws Error(output).
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& target);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  void flush();
  void write_out(std::span<const std::byte> bytes);
  [[noreturn]] void give_up(const char* doing) const;

  std::filesystem::path target_, temporary_;
  int fd_ = -1;
  std::vector<std::byte> buffer_;
};

}  // namespace mtmd
