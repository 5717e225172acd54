#include "mtmd/hear/subtitles.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mtmd {
namespace {

struct Milliseconds {
  std::int64_t begin, end;
};

std::int64_t milliseconds(double seconds) {
  return std::llround(std::clamp(std::isfinite(seconds) ? seconds : 0.0, 0.0, 1e9) * 1000);
}

Milliseconds times(const Segment& s) {
  const std::int64_t begin = milliseconds(s.begin);
  return {begin, std::max(begin + 1, milliseconds(s.end))};
}

std::string clock_time(std::int64_t ms, char decimal) {
  return fmt::format("{:02}:{:02}:{:02}{}{:03}", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, decimal, ms % 1000);
}

/// One line; a blank one would end a cue, a tab a column.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte != 0x7f)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string replaced(std::string text, char from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, 1, to);
  return text;
}

std::string cue(std::size_t number, const Segment& s, const std::string& line, SubtitleFormat format) {
  const auto [begin, end] = times(s);
  switch (format) {
    case SubtitleFormat::txt:
      return line + "\n";
    case SubtitleFormat::srt:
      return fmt::format("{}{}\n{} --> {}\n{}\n", number > 1 ? "\n" : "", number, clock_time(begin, ','),
                         clock_time(end, ','), line);
    case SubtitleFormat::vtt:
      return fmt::format("\n{} --> {}\n{}\n", clock_time(begin, '.'), clock_time(end, '.'),
                         replaced(replaced(replaced(line, '&', "&amp;"), '<', "&lt;"), '>', "&gt;"));
    case SubtitleFormat::tsv:
      return fmt::format("{}\t{}\t{}\n", begin, end, line);
    case SubtitleFormat::csv:
      return fmt::format("{},{},\"{}\"\n", begin, end, replaced(line, '"', "\"\""));
  }
  return "";
}

std::string_view head(SubtitleFormat format) {
  switch (format) {
    case SubtitleFormat::txt:
    case SubtitleFormat::srt:
      return "";
    case SubtitleFormat::vtt:
      return "WEBVTT\n";
    case SubtitleFormat::tsv:
      return "start\tend\ttext\n";
    case SubtitleFormat::csv:
      return "start,end,text\n";
  }
  return "";
}

}  // namespace

std::optional<SubtitleFormat> subtitle_format(std::string_view name) noexcept {
  if (name == "txt") return SubtitleFormat::txt;
  if (name == "srt") return SubtitleFormat::srt;
  if (name == "vtt") return SubtitleFormat::vtt;
  if (name == "tsv") return SubtitleFormat::tsv;
  if (name == "csv") return SubtitleFormat::csv;
  return std::nullopt;
}

std::string subtitles(std::span<const Segment> segments, SubtitleFormat format) {
  std::string all(head(format));
  std::size_t number = 0;
  for (const Segment& s : segments)
    if (const std::string line = one_line(s.text); !line.empty()) all += cue(++number, s, line, format);
  return all;
}

std::string clock_time(double seconds, char decimal) { return clock_time(milliseconds(seconds), decimal); }

}  // namespace mtmd
