#include "mtmd-cli/recordings.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/base/error.h"
#include "mtmd-cli/signals.h"
#include "mtmd/hear/cutter.h"
#include "mtmd/media/sha256.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

namespace {

constexpr double kForever = 1e9;  ///< seconds

double rounded(double seconds) { return std::round(seconds * 1000) / 1000; }
double seconds(std::int64_t samples) { return static_cast<double>(samples) / audio::kRate; }

FinishReason finish_reason(const std::string& text) {
  for (const FinishReason r :
       {FinishReason::stop, FinishReason::length, FinishReason::loop, FinishReason::timeout, FinishReason::cancelled})
    if (name(r) == text) return r;
  return FinishReason::stop;
}

Json attempts_json(const HeardWindow& w, double from) {
  Json attempts = Json::array();
  for (const Attempt& a : w.attempts)
    attempts.push_back({{"begin", rounded(from + a.begin)},
                        {"end", rounded(from + a.end)},
                        {"temperature", rounded(static_cast<double>(a.temperature))},
                        {"finish_reason", name(a.finish)}});
  return attempts;
}

/// A window in the journal. Its place in the recording is not kept: the same sound may come again.
Json piece_json(const HeardWindow& w) {
  return {
      {"text", w.text}, {"finish_reason", name(w.finish)}, {"tokens", w.n_tokens}, {"attempts", attempts_json(w, 0)}};
}

std::optional<HeardWindow> heard_window(const Json& piece) {
  try {
    HeardWindow w;
    w.text = piece.at("text").get<std::string>();
    w.finish = finish_reason(piece.at("finish_reason").get<std::string>());
    w.n_tokens = piece.at("tokens").get<int>();
    for (const Json& a : piece.at("attempts"))
      w.attempts.push_back({a.at("begin").get<double>(), a.at("end").get<double>(), a.at("temperature").get<float>(),
                            finish_reason(a.at("finish_reason").get<std::string>())});
    return w;
  } catch (const Json::exception&) {
    return std::nullopt;  // not ours: heard again
  }
}

/// Says what there is to say about a recording and adds it to its warnings.
void comment(Console& console, const std::string& path, Recording& r) {
  const Transcript& t = r.transcript;
  std::size_t loops = 0, again = 0;
  for (const HeardWindow& w : t.windows) {
    loops += w.finish == FinishReason::loop || w.finish == FinishReason::length;
    again += w.attempts.size() > 1;
  }
  if (t.finish == FinishReason::timeout) {
    r.warnings.push_back(fmt::format("the time was over after {:.1f} of {:.1f} s", t.seconds, r.seconds));
    r.partial = true;
  }
  if (loops > 0)
    r.warnings.push_back(fmt::format("{} of {} windows ended in a loop or at the limit{}", loops, t.windows.size(),
                                     again > 0 ? ", also when heard again" : ""));
  r.cut_short = r.partial || t.finish != FinishReason::stop;
  for (const std::string& w : r.warnings) console.warn("{}: {}", path, w);
  const double took = t.timings.total / 1000;
  console.detail(
      "{}: {} at {} Hz, {} channels: {:.1f} of {:.1f} s covered, {:.1f} s heard in {} windows ({} known, {} heard "
      "again), "
      "{:.1f} s: decode {:.0f} ms, encode {:.0f}, prefill {:.0f}, generate {:.0f}",
      path, r.format, r.rate, r.channels, t.seconds, r.seconds, t.heard_seconds, t.windows.size(), t.n_recalled, again,
      took, t.timings.decode, t.timings.encode, t.timings.prefill, t.timings.generate);
}

}  // namespace

void SoundFlags::add(CLI::App& app) {
  app.add_option("-l,--language", language, "language that is spoken, by name or code (German, de); auto: not told")
      ->type_name("LANG");
  app.add_option("--start", start, "begin so many seconds into each recording")
      ->type_name("SECONDS")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--duration", duration, "of each recording, so many seconds at most")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  app.add_option("--window", window, "seconds that are heard at once at most (default: what the model was trained for)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1.0, 3600.0));
  app.add_option("--vad", vad, "on: silence is not shown to the model and has no text; off: everything is")
      ->type_name("on|off")
      ->transform(CLI::CheckedTransformer(std::map<std::string, bool>{{"on", true}, {"off", false}}))
      ->default_str("on");
  app.add_flag("--context", context, "tell the model what was said before each window");
  app.add_flag("--no-retry", no_retry, "hear no window twice, even if the answer loops");
  app.add_option("--pcm-rate", pcm_rate, "the input is samples without a header, so many a second")
      ->type_name("HZ")
      ->check(CLI::Range(1000, 1 << 20));
  app.add_option("--pcm-format", pcm_format, "their type (default: s16le): " + media::sample_type_names())
      ->type_name("TYPE");
  app.add_option("--pcm-channels", pcm_channels, "their channels, interleaved")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

media::SoundStreamOptions SoundFlags::stream() const {
  media::SoundStreamOptions options;
  options.rate = audio::kRate;
  options.start_seconds = start;
  if (duration > 0) options.duration_seconds = duration;
  if (pcm_rate > 0) {
    const auto type = media::sample_type(pcm_format.empty() ? "s16le" : pcm_format);
    if (!type)
      fail(ErrorCategory::usage, "--pcm-format {}: expected one of {}", pcm_format, media::sample_type_names());
    options.pcm = media::PcmFormat{*type, pcm_rate, pcm_channels};
  } else if (!pcm_format.empty() || pcm_channels != 1) {
    fail(ErrorCategory::usage, "samples without a header need their rate: give --pcm-rate");
  }
  return options;
}

HearOptions SoundFlags::hear() const {
  HearOptions options;
  options.language = language;
  options.context = context;
  options.vad = vad;
  options.retry = !no_retry;
  return options;
}

std::string SoundFlags::settings() const {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", language, start, duration, window, vad, context, no_retry,
                     pcm_rate, pcm_format, pcm_channels);
}

std::string content_of(const std::string& path) {
  std::error_code error;
  if (path == "-" || !fs::is_regular_file(path, error)) return "";
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ErrorCategory::input, "{}: cannot open: {}", path, std::strerror(errno));
  media::Sha256 hash;
  std::vector<char> block(1 << 20);
  while (in && !cancel_flag()) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    hash.update(std::as_bytes(std::span(block.data(), static_cast<std::size_t>(in.gcount()))));
  }
  if (cancel_flag()) fail(ErrorCategory::interrupted, "interrupted while reading {}", path);
  if (in.bad()) fail(ErrorCategory::input, "{}: cannot read", path);
  return hash.hex();
}

media::SoundStream open_recording(const std::string& path, const SoundFlags& flags) {
  return path == "-" ? media::SoundStream::open_fd(STDIN_FILENO, "stdin", flags.stream())
                     : media::SoundStream::open_file(path, flags.stream());
}

std::optional<Recording> transcribe(Console& console, Transcriber& transcriber, media::SoundStream stream,
                                    const SoundFlags& flags, const HearOptions& options, const std::string& path,
                                    BatchItem& item, const std::function<void(const Segment&)>& on_segment) {
  const std::optional<double> length = stream.duration_seconds();
  const double most = flags.window > 0 ? flags.window : transcriber.window_seconds();
  std::int64_t n_samples = 0;
  std::chrono::duration<double, std::milli> decoding{0};
  CutOptions cut{.max_seconds = most};
  if (!options.vad) cut.silence_seconds = kForever;
  SoundCutter cutter(
      [&](std::span<float> to) {
        const auto start = std::chrono::steady_clock::now();
        const std::size_t n = stream.read(to);
        decoding += std::chrono::steady_clock::now() - start;
        n_samples += static_cast<std::int64_t>(n);
        return n;
      },
      cut);
  bool recalled = false;
  HearHooks hooks;
  hooks.segment = on_segment;
  hooks.recall = [&](const std::string& key) -> std::optional<HeardWindow> {
    const auto piece = item.pieces.find(key);
    auto window = piece ? heard_window(*piece) : std::nullopt;
    recalled = window.has_value();
    return window;
  };
  hooks.keep = [&](const std::string& key, const HeardWindow& w) { item.pieces.add(key, piece_json(w)); };
  hooks.progress = [&](double done) {
    if (recalled) item.progress.sound_was_done(done);
    item.progress.sound(done, length);
  };
  item.progress.sound(0, length);
  Recording r;
  r.transcript = transcriber.transcribe([&] { return cutter.next(); }, options, hooks);
  if (r.transcript.finish == FinishReason::cancelled) return std::nullopt;
  r.transcript.timings.decode = decoding.count();
  r.transcript.timings.total += decoding.count();
  const media::SoundFacts& facts = stream.facts();
  r.format = facts.format, r.rate = facts.rate, r.channels = facts.channels;
  r.warnings = facts.warnings;
  r.seconds = length ? std::max(*length, seconds(n_samples)) : seconds(n_samples);
  r.start = flags.start;
  for (Segment& segment : r.transcript.segments) segment.begin += r.start, segment.end += r.start;
  r.partial = !r.warnings.empty();
  comment(console, path, r);
  return r;
}

Json media_json(const Recording& r) {
  return Json::array({{{"kind", "audio"},
                       {"format", r.format},
                       {"rate", r.rate},
                       {"channels", r.channels},
                       {"seconds", rounded(r.seconds)},
                       {"covered_seconds", rounded(r.transcript.seconds)},
                       {"heard_seconds", rounded(r.transcript.heard_seconds)},
                       {"tokens", r.transcript.n_tokens},
                       {"tiles", r.transcript.windows.size()}}});
}

Json segments_json(const Transcript& transcript) {
  Json all = Json::array();
  for (const Segment& s : transcript.segments)
    all.push_back({{"begin", rounded(s.begin)}, {"end", rounded(s.end)}, {"text", s.text}, {"timing", name(s.timing)}});
  return all;
}

Json windows_json(const Recording& r) {
  Json all = Json::array();
  for (const HeardWindow& w : r.transcript.windows)
    all.push_back({{"begin", rounded(r.start + seconds(w.begin))},
                   {"end", rounded(r.start + seconds(w.end))},
                   {"speech", w.speech_end > w.speech_begin},
                   {"finish_reason", name(w.finish)},
                   {"attempts", attempts_json(w, r.start + seconds(w.begin))}});
  return all;
}

}  // namespace mtmd::cli
