// How far a batch is: a bar on a terminal, lines or JSON where asked for, nothing otherwise.
#pragma once

#include <chrono>
#include <string>

#include "mtmd-cli/console.h"

namespace mtmd::cli {

class Progress {
 public:
  Progress(Console& console, std::size_t total);
  ~Progress();
  /// `done` items are finished; `what` is being worked on.
  void update(std::size_t done, const std::string& what);

 private:
  Console& console_;
  std::size_t total_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace mtmd::cli
