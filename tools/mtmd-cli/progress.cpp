#include "mtmd-cli/progress.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mtmd-cli/record.h"
#include "mtmd/hear/subtitles.h"

namespace mtmd::cli {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// 3723.9 -> "1:02:03"
std::string short_time(double seconds) {
  const std::string text = clock_time(seconds).substr(0, clock_time(seconds).find('.'));
  return text.starts_with("00:") ? text.substr(3) : text.starts_with('0') ? text.substr(1) : text;
}

}  // namespace

Progress::Progress(Console& console, std::size_t total)
    : console_(console), total_(total), start_(Clock::now()), item_start_(start_) {}

Progress::~Progress() { console_.status_line(""); }

bool Progress::wanted() const {
  return console_.progress == ProgressMode::plain || console_.progress == ProgressMode::json ||
         (console_.progress == ProgressMode::automatic && console_.stderr_is_terminal());
}

void Progress::update(std::size_t done, const std::string& what) {
  done_ = done, what_ = what;
  item_start_ = Clock::now(), item_from_ = 0, last_shown_ = {};
  if (!wanted() || (console_.progress == ProgressMode::automatic && total_ < 2)) return;
  const double left =
      done > 0 ? seconds_since(start_) / static_cast<double>(done) * static_cast<double>(total_ - done) : 0;
  show(nlohmann::ordered_json::object(), "",
       static_cast<double>(done) / static_cast<double>(std::max<std::size_t>(1, total_)), done > 0 ? left : -1);
}

void Progress::sound(double done, std::optional<double> total) {
  if (!wanted() || too_soon()) return;
  nlohmann::ordered_json numbers = {{"audio_seconds", done}};
  std::string text = short_time(done);
  if (total) numbers["audio_seconds_total"] = *total, text += " of " + short_time(*total);
  show(numbers, text, total ? done / *total : 0, total ? left_of_item(done, *total) : -1);
}

void Progress::sound_was_done(double seconds) { item_start_ = Clock::now(), item_from_ = seconds; }

void Progress::parts(int done, int total) {
  if (!wanted() || too_soon()) return;
  show({{"parts", done}, {"parts_total", total}}, fmt::format("part {} of {}", done + 1, total),
       static_cast<double>(done) / std::max(1, total), -1);
}

bool Progress::too_soon() {
  const double pause = console_.progress == ProgressMode::automatic ? 0.1 : 1;
  if (last_shown_ != Clock::time_point{} && seconds_since(last_shown_) < pause) return true;
  last_shown_ = Clock::now();
  return false;
}

double Progress::left_of_item(double done, double total) const {
  if (done <= item_from_) return -1;
  return seconds_since(item_start_) / (done - item_from_) * std::max(0.0, total - done);
}

void Progress::show(const nlohmann::ordered_json& numbers, const std::string& text, double share, double left) {
  if (console_.progress == ProgressMode::json) {
    nlohmann::ordered_json line = {
        {"progress", {{"done", done_}, {"total", total_}, {"item", what_}, {"seconds", seconds_since(start_)}}}};
    line["progress"].update(numbers);
    if (left >= 0) line["progress"]["seconds_left"] = left;
    return console_.info("{}", dump(line));
  }
  const std::string rest = left >= 0 ? fmt::format("{} left", short_time(left)) : "";
  if (console_.progress == ProgressMode::plain) {
    std::string line = fmt::format("[{}/{}] {}", done_, total_, what_);
    if (!text.empty()) line += ": " + text + (rest.empty() ? "" : ", " + rest);
    return console_.info("{}", line);
  }
  constexpr std::size_t kWidth = 24;
  const auto filled = static_cast<std::size_t>(kWidth * std::clamp(share, 0.0, 1.0));
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  console_.status_line(fmt::format("[{}] {}/{}  {}  {}  {}", bar, done_, total_, text, rest, what_.substr(0, 60)));
}

}  // namespace mtmd::cli
