#include "mtmd/media/sound_file.h"

#include <soxr.h>

#include <cmath>

#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

constexpr int kMostRate = 1 << 20;
constexpr std::size_t kBlock = 1 << 14;  ///< frames read at once

}  // namespace

bool is_sound(std::span<const std::byte> bytes) noexcept {
  return sound_kind({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) != SoundKind::none;
}

DecodedSound decode_sound(std::span<const std::byte> bytes, std::string_view name, const SoundOptions& options) {
  auto from = open_sound_bytes(bytes);
  const auto source = open_sound_source(from, name, {}, options.convention == Convention::reference);
  if (source->channels < 1 || source->rate < 1 || source->rate > kMostRate)
    fail(ErrorCategory::input, "{}: a recording of {} channels at {} Hz, expected at least 1 and 1 to {} Hz", name,
         source->channels, source->rate, kMostRate);
  DecodedSound out;
  out.facts = {source->format, source->rate, source->channels, 0, {}};
  const double most = options.max_seconds * source->rate;
  std::vector<float> block(kBlock);
  while (const std::size_t n = source->read(block)) {
    out.facts.frames += static_cast<std::int64_t>(n);
    if (static_cast<double>(out.facts.frames) > most)
      fail(ErrorCategory::resource, "{}: the recording is longer than {} s; cut it", name, options.max_seconds);
    out.samples.insert(out.samples.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
  }
  out.facts.warnings = closing_warnings(*source, *from, out.facts.frames);
  if (out.samples.empty()) {
    fail(ErrorCategory::input, "{}: the recording holds no samples{}", name,
         out.facts.warnings.empty() ? "" : ": " + out.facts.warnings.front());
  }
  return out;
}

std::vector<float> resample(std::span<const float> samples, int from, int to) {
  if (from < 1 || to < 1 || from > kMostRate || to > kMostRate)
    fail(ErrorCategory::input, "cannot resample from {} Hz to {} Hz, expected 1 to {}", from, to, kMostRate);
  if (from == to || samples.empty()) return {samples.begin(), samples.end()};
  const double wanted = std::ceil(static_cast<double>(samples.size()) * to / from);
  if (wanted > 1e10)
    fail(ErrorCategory::resource, "{} samples at {} Hz are too many at {} Hz", samples.size(), from, to);
  std::vector<float> out(static_cast<std::size_t>(wanted));
  std::size_t used = 0, made = 0;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  if (const soxr_error_t error = soxr_oneshot(from, to, 1, samples.data(), samples.size(), &used, out.data(),
                                              out.size(), &made, nullptr, &quality, nullptr)) {
    fail(ErrorCategory::internal, "resampling from {} Hz to {} Hz: {}", from, to, error);
  }
  out.resize(made);
  return out;
}

}  // namespace mtmd::media
