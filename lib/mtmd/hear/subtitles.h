// Segments as the files that players and spreadsheets read. Segments without text are left out.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mtmd/hear/segment.h"

namespace mtmd {

enum class SubtitleFormat {
  txt,  ///< a line per segment
  srt,  ///< SubRip: numbered, 00:00:00,000 --> 00:00:00,000
  vtt,  ///< WebVTT (W3C): 00:00:00.000 --> 00:00:00.000, with & < > escaped
  tsv,  ///< start, end (whole milliseconds) and text, separated by tabs, below a line of names
  csv,  ///< the same separated by commas, the text in quotes (RFC 4180)
};

std::optional<SubtitleFormat> subtitle_format(std::string_view name) noexcept;

/// Ends with a newline unless nothing is written. A segment shorter than a millisecond is given one.
std::string subtitles(std::span<const Segment> segments, SubtitleFormat format);

/// 3723.5 -> "01:02:03.500"; more than 99 hours take more digits. Negative seconds count as 0.
std::string clock_time(double seconds, char decimal = '.');

}  // namespace mtmd
