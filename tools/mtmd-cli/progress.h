// How far a batch is: a bar on a terminal, lines or JSON where asked for, nothing otherwise.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "mtmd-cli/console.h"

namespace mtmd::cli {

class Progress {
 public:
  Progress(Console& console, std::size_t total);
  ~Progress();
  /// `done` items are finished; `what` is being worked on.
  void update(std::size_t done, const std::string& what);
  /// Of that item: so many seconds of sound are done, of so many if that is known. At most one line a second.
  void sound(double done, std::optional<double> total);
  /// The sound up to here was done by an earlier run: it says nothing about how long the rest takes.
  void sound_was_done(double seconds);
  /// Of that item: so many parts of a text are done.
  void parts(int done, int total);

 private:
  using Clock = std::chrono::steady_clock;
  bool wanted() const;
  bool too_soon();
  void show(const nlohmann::ordered_json& numbers, const std::string& text, double share, double left);
  double left_of_item(double done, double total) const;

  Console& console_;
  std::size_t total_, done_ = 0;
  std::string what_;
  Clock::time_point start_, item_start_, last_shown_;
  double item_from_ = 0;  ///< where the work on this item began
};

}  // namespace mtmd::cli
