#include "mtmd/hear/cutter.h"

#include <algorithm>
#include <cmath>

#include "encoders/audio/mel.h"
#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::size_t kBlock = audio::kRate / 2;
constexpr std::int64_t kQuietSpan = audio::kRate / 10;  ///< whose energy says how quiet a point is

std::int64_t samples_in(double seconds) { return std::llround(seconds * audio::kRate); }

}  // namespace

SoundCutter::SoundCutter(Read read, const CutOptions& options)
    : read_(std::move(read)),
      voice_(options.voice),
      max_(samples_in(options.max_seconds)),
      overlap_(samples_in(options.overlap_seconds)),
      silence_(samples_in(options.silence_seconds)),
      block_(kBlock) {
  if (max_ < audio::kRate || overlap_ < 0 || overlap_ > max_ / 3 || silence_ < 0)
    fail(ErrorCategory::usage,
         "windows of {} s that overlap by {} s, expected at least 1 s and an overlap of at most a third of that",
         options.max_seconds, options.overlap_seconds);
}

std::optional<SoundWindow> SoundCutter::next() {
  while (true) {
    if (auto ready = window()) return ready;
    if (ended_) return std::nullopt;
    if (!more()) ended_ = true;
  }
}

/// Reads a block; false at the end.
bool SoundCutter::more() {
  const std::size_t n = read_(block_);
  const auto read = std::span(block_).first(n);
  samples_.insert(samples_.end(), read.begin(), read.end());
  voice_.push(read);
  if (n == 0) voice_.finish();
  for (const audio::SpeechSegment& s : voice_.take()) segments_.push_back(s);
  return n > 0;
}

/// The next window if what is known is enough to say where it ends.
std::optional<SoundWindow> SoundCutter::window() {
  if (samples_.empty()) return std::nullopt;
  const std::int64_t decided = std::min(known(), voice_.decided());
  const auto open = voice_.open_since();
  const bool speaks = !segments_.empty() || open;
  const std::int64_t speech = !segments_.empty() ? segments_.front().begin : open.value_or(decided);
  if (speech - begin_ >= silence_ || !speaks) {
    const std::int64_t end = std::min(begin_ + max_, speech);
    if (speaks || end == begin_ + max_ || ended_)
      return take(ended_ && !speaks ? std::min(begin_ + max_, known()) : end, 0);
    return std::nullopt;
  }
  // A long pause ends the window early.
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const std::int64_t end = segments_[i].end;
    if (end > begin_ + max_) break;
    const std::int64_t next = i + 1 < segments_.size() ? segments_[i + 1].begin : open.value_or(decided);
    if (next - end >= silence_ && end > begin_) return take(end, 0);
  }
  if (decided < begin_ + max_ && !ended_) return std::nullopt;
  if (known() <= begin_ + max_) return take(known(), 0);
  if (const std::int64_t end = end_of_speech(); end > begin_) return take(end, 0);
  return take(quietest(begin_ + max_ / 3 * 2, begin_ + max_), overlap_);
}

/// The middle of the pause at which a window that is full is best cut: the longest in its second half, or else the last
/// one; begin_ where there is none.
std::int64_t SoundCutter::end_of_speech() const {
  std::int64_t best = begin_, longest = 0;
  const auto open = voice_.open_since();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const std::int64_t end = segments_[i].end;
    if (end > begin_ + max_ || end <= begin_) continue;
    const std::int64_t next = i + 1 < segments_.size() ? segments_[i + 1].begin : open.value_or(voice_.decided());
    const bool late = end >= begin_ + max_ / 2;
    if (late && next - end < longest) continue;
    best = std::min(begin_ + max_, end + (next - end) / 2);
    longest = late ? next - end : 0;
  }
  return best;
}

/// The middle of the quietest tenth of a second in [begin, end).
std::int64_t SoundCutter::quietest(std::int64_t begin, std::int64_t end) const {
  const auto energy = [&](std::int64_t from) {
    double sum = 0;
    for (std::int64_t i = from; i < from + kQuietSpan; ++i) {
      const double v = samples_[static_cast<std::size_t>(i - begin_)];
      sum += v * v;
    }
    return sum;
  };
  std::int64_t best = begin;
  double least = energy(begin);
  for (std::int64_t at = begin; at + kQuietSpan <= end; at += kQuietSpan / 10) {
    if (const double e = energy(at); e <= least) best = at, least = e;
  }
  return best + kQuietSpan / 2;
}

/// The window [begin_, end); the next one begins `overlap` before its end.
SoundWindow SoundCutter::take(std::int64_t end, std::int64_t overlap) {
  SoundWindow window;
  window.begin = begin_;
  window.samples.assign(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(end - begin_));
  const auto add = [&](std::int64_t from, std::int64_t to) {
    from = std::max(from, begin_), to = std::min(to, end);
    if (from >= to) return;
    if (!window.speaks()) window.speech_begin = from;
    window.speech_end = to;
  };
  for (const audio::SpeechSegment& s : segments_) add(s.begin, s.end);
  if (const auto open = voice_.open_since()) add(*open, end);
  begin_ = end - overlap;
  samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(begin_ - window.begin));
  while (!segments_.empty() && segments_.front().end <= begin_) segments_.pop_front();
  return window;
}

}  // namespace mtmd
