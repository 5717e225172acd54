// Runs the `mtmd` program as a user would: arguments, stdin, a folder of its own; stdout, stderr and exit status come
// back.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::test {

struct Outcome {
  int status = -1;  ///< exit status; 128 + signal when killed
  std::string out, err;
};

struct RunOptions {
  std::string input = {};     ///< bytes on stdin
  std::string out_path = {};  ///< stdout goes here instead ("/dev/full")
  bool close_out = false;     ///< stdout is a pipe that nobody reads
  int kill_after_ms = 0;      ///< > 0: send `signal` after so long
  int signal = 0;
  std::string wait_for = {};  ///< with kill: first wait until this file has grown since the start (60 s at most)
};

Outcome run(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// A fresh folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace mtmd::test
