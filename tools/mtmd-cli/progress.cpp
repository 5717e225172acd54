#include "mtmd-cli/progress.h"

#include <nlohmann/json.hpp>

#include "mtmd-cli/record.h"

namespace mtmd::cli {

Progress::Progress(Console& console, std::size_t total)
    : console_(console), total_(total), start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() { console_.status_line(""); }

void Progress::update(std::size_t done, const std::string& what) {
  if (console_.progress == ProgressMode::none) return;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double left = done > 0 ? seconds / static_cast<double>(done) * static_cast<double>(total_ - done) : 0;
  switch (console_.progress) {
    case ProgressMode::none:
      return;
    case ProgressMode::json: {
      nlohmann::ordered_json line = {
          {"progress", {{"done", done}, {"total", total_}, {"item", what}, {"seconds", seconds}}}};
      if (done > 0) line["progress"]["seconds_left"] = left;
      console_.info("{}", dump(line));
      return;
    }
    case ProgressMode::plain:
      console_.info("[{}/{}] {}", done, total_, what);
      return;
    case ProgressMode::automatic: {
      if (!console_.stderr_is_terminal() || total_ < 2) return;
      constexpr std::size_t kWidth = 24;
      const std::size_t filled = total_ ? kWidth * done / total_ : 0;
      const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
      console_.status_line(fmt::format("[{}] {}/{}  {:.0f} s left  {}", bar, done, total_, left, what.substr(0, 60)));
      return;
    }
  }
}

}  // namespace mtmd::cli
