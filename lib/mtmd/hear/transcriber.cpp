#include "mtmd/hear/transcriber.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "engine/base/error.h"
#include "mtmd/hear/language.h"
#include "mtmd/hear/seam.h"
#include "mtmd/media/sha256.h"
#include "mtmd/read.h"

namespace mtmd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTokensPerSecond = 32, kTokensBesides = 64;  ///< nobody says more, even letter by letter
constexpr std::size_t kContextBytes = 400;
constexpr float kTemperatures[] = {0.4f, 0.8f};  ///< of the last tries
constexpr std::int64_t kShortestHalf = audio::kRate;

double seconds(std::int64_t samples) { return static_cast<double>(samples) / audio::kRate; }

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size()) text.replace(at, what.size(), by);
  return text;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n";
  const auto first = text.find_first_not_of(kWhite);
  return first == text.npos ? "" : std::string(text.substr(first, text.find_last_not_of(kWhite) - first + 1));
}

/// The last words of `text`, at most kContextBytes of them.
std::string_view ending(std::string_view text) {
  if (text.size() <= kContextBytes) return text;
  text.remove_prefix(text.size() - kContextBytes);
  const auto space = text.find_first_of(" \n");
  return space == text.npos ? std::string_view() : text.substr(space + 1);
}

/// The middle of the quietest tenth of a second in the middle third.
std::size_t quietest(std::span<const float> samples) {
  constexpr std::size_t kFrame = audio::kRate / 10, kStep = kFrame / 4;
  std::size_t best = samples.size() / 2;
  double least = -1;
  for (std::size_t at = samples.size() / 3; at + kFrame <= samples.size() * 2 / 3; at += kStep) {
    double energy = 0;
    for (const float v : samples.subspan(at, kFrame)) energy += static_cast<double>(v) * static_cast<double>(v);
    if (least < 0 || energy < least) least = energy, best = at + kFrame / 2;
  }
  return best;
}

/// Did the answer run away instead of coming to its end?
bool ran_away(FinishReason f) { return f == FinishReason::loop || f == FinishReason::length; }
bool stopped(FinishReason f) { return f == FinishReason::timeout || f == FinishReason::cancelled; }

/// Windows one after another -> segments, the overlap of two windows cut out of their texts.
class Segments {
 public:
  Segments(Transcript& result, const HearHooks& hooks) : result_(result), hooks_(hooks) {}

  void add(const HeardWindow& w) {
    if (w.text.empty()) return;
    Segment s{seconds(w.begin), seconds(w.end), w.text, Timing::window};
    if (w.speech_end > w.speech_begin)
      s.begin = seconds(w.speech_begin), s.end = seconds(w.speech_end), s.timing = Timing::speech;
    if (!last_.text.empty() && w.begin < last_end_) {
      const Seam seam = find_seam(last_.text, s.text, seconds(last_end_ - w.begin));
      last_.text = trimmed(std::string_view(last_.text).substr(0, seam.keep));
      s.text = trimmed(std::string_view(s.text).substr(seam.skip));
      const double middle = seconds(w.begin + (last_end_ - w.begin) / 2);
      last_.end = std::max(last_.begin, std::min(last_.end, middle));
      s.begin = std::min(s.end, std::max(s.begin, last_.end));
    }
    flush();
    last_ = std::move(s);
    last_end_ = w.end;
  }

  void flush() {
    if (last_.text.empty()) return;
    if (hooks_.segment) hooks_.segment(last_);
    result_.segments.push_back(std::exchange(last_, {}));
  }

 private:
  Transcript& result_;
  const HearHooks& hooks_;
  Segment last_;  ///< the next window may change its end; without text: none
  std::int64_t last_end_ = 0;
};

/// What the model is asked, and what its answer means.
class Question {
 public:
  Question(const Model& model, const HearOptions& options) : model_(model), presets_(model.audio_presets()) {
    if (!presets_.transcript_token.empty() && model.tokenizer().find(presets_.transcript_token) >= 0) {
      presets_.transcribe_prompt.clear(), presets_.gap.clear();
      presets_.answer = "{language}", presets_.with_language = "language {name}" + presets_.transcript_token;
    }
    const bool hint = !options.language.empty() && options.language != "auto";
    if (hint) set_language(options);
    const std::string language = hint ? presets_.with_language : presets_.any_language;
    const std::string_view chat = model.chat_template_source();
    const bool own = !options.system.empty() || !options.prompt.empty();
    if (!own && !presets_.system.empty() && (chat.empty() || chat.find("role") != chat.npos))
      presets_.transcribe_prompt.clear();
    else
      presets_.system.clear();
    system_ = options.system.empty() ? presets_.system : options.system;
    prompt_ = options.prompt.empty() ? replaced(presets_.transcribe_prompt, "{language}", language) : options.prompt;
    answer_ = options.prompt.empty() ? replaced(presets_.answer, "{language}", language) : "";
  }

  Prompt about(Media sound, std::string_view before) const {
    std::string text = prompt_;
    if (!before.empty())
      text += (text.empty() ? "" : "\n") + fmt::format("What was said before ends with: \"{}\"", before);
    const bool marked = text.find(kMediaMarker) != text.npos;
    std::vector<Message> messages;
    if (!system_.empty()) messages.push_back({"system", system_});
    messages.push_back(
        {"user", marked ? text : fmt::format("{}{}{}", kMediaMarker, text.empty() ? "" : presets_.gap, text)});
    std::vector<Media> media;
    media.push_back(std::move(sound));
    return Prompt::marked(format_chat(model_, messages) + answer_, std::move(media));
  }

  std::string transcript(std::string_view answer, bool strip_thinking) const {
    if (const std::string& token = presets_.transcript_token; !token.empty())
      if (const auto at = answer.find(token); at != answer.npos) answer.remove_prefix(at + token.size());
    return trimmed(strip_thinking ? without_thinking(answer) : answer);
  }

  const std::vector<std::string>& stop() const { return presets_.stop; }

 private:
  void set_language(const HearOptions& options) {
    if (!options.prompt.empty())
      fail(ErrorCategory::usage, "-l {} and an own prompt: name the language in the prompt", options.language);
    if (presets_.with_language.empty())
      fail(ErrorCategory::usage, "-l {}: {} ({}) was not trained to be told the language; leave -l out",
           options.language, model_.name(), model_.audio_projector()->type());
    const auto language = find_language(options.language);
    if (!language)
      fail(ErrorCategory::usage, "-l {}: not a known language; give a name or a code (German, de) or auto",
           options.language);
    presets_.with_language =
        replaced(replaced(presets_.with_language, "{name}", language->name), "{code}", language->code);
  }

  const Model& model_;
  encoders::AudioPresets presets_;
  std::string system_, prompt_, answer_;
};

}  // namespace

std::string Transcript::text() const {
  std::string all;
  for (const Segment& s : segments) all += (all.empty() ? "" : "\n") + s.text;
  return all;
}

Transcriber::Transcriber(std::shared_ptr<const Model> model, const SessionOptions& options)
    : session_(std::move(model), options) {
  if (!session_.model().audio_projector())
    fail(ErrorCategory::usage,
         "{} has no audio encoder loaded: give the mmproj file of a model that hears with --mmproj",
         session_.model().name());
}

void Transcriber::check(const HearOptions& options) const { Question(model(), options); }

double Transcriber::window_seconds() const { return model().audio_presets().clip_seconds; }

/// One transcription in progress.
struct Transcriber::Hearing {
  Hearing(Session& s, const HearOptions& o, Transcript& r)
      : session(s), options(o), question(s.model(), o), result(r), start(Clock::now()) {}

  Generated ask(std::span<const float> samples, float temperature, std::string_view before) {
    GenerateOptions generate = options.generate;
    generate.sampling.temperature = temperature;
    generate.stop.insert(generate.stop.end(), question.stop().begin(), question.stop().end());
    if (generate.max_tokens < 0)
      generate.max_tokens =
          kTokensBesides + static_cast<int>(std::ceil(kTokensPerSecond * seconds(std::ssize(samples))));
    if (options.generate.timeout.count() > 0) {
      const auto left = options.generate.timeout - (Clock::now() - start);
      generate.timeout =
          std::max(std::chrono::milliseconds(1), std::chrono::duration_cast<std::chrono::milliseconds>(left));
    }
    Media sound;
    sound.name = "the recording";
    sound.id = media::sha256_hex(std::as_bytes(samples));
    sound.sound.emplace(samples.begin(), samples.end());
    return session.generate(question.about(std::move(sound), before), generate);
  }

  struct Heard {
    std::string text;
    FinishReason finish = FinishReason::stop;
    int n_tokens = 0;
  };

  Heard attempt(HeardWindow& window, std::int64_t begin, std::span<const float> samples, float temperature,
                std::string_view before) {
    const Generated g = ask(samples, temperature, before);
    result.timings += g.timings;
    window.attempts.push_back({seconds(begin), seconds(begin + std::ssize(samples)), temperature, g.finish});
    return {question.transcript(g.text, options.strip_thinking), g.finish, g.media.empty() ? 0 : g.media[0].tokens};
  }

  /// May `heard` be improved on?
  bool try_again(const Heard& heard) const {
    const bool limited = options.generate.max_tokens >= 0 && heard.finish == FinishReason::length;  // as asked for
    return options.retry && ran_away(heard.finish) && !limited;
  }

  Heard listen(HeardWindow& window, std::int64_t begin, std::span<const float> samples, std::string_view before,
               bool may_cut) {
    Heard best = attempt(window, begin, samples, options.generate.sampling.temperature, before);
    if (!try_again(best)) return best;
    const auto cut = static_cast<std::int64_t>(quietest(samples));
    if (may_cut && cut >= kShortestHalf && std::ssize(samples) - cut >= kShortestHalf) {
      Heard first = listen(window, begin, samples.first(static_cast<std::size_t>(cut)), "", false);
      if (stopped(first.finish)) return first;
      const Heard second = listen(window, begin + cut, samples.subspan(static_cast<std::size_t>(cut)), "", false);
      first.text += (first.text.empty() || second.text.empty() ? "" : " ") + second.text;
      return {std::move(first.text), std::max(first.finish, second.finish), first.n_tokens + second.n_tokens};
    }
    for (const float temperature : kTemperatures) {
      Heard again = attempt(window, begin, samples, temperature, "");
      if (!try_again(again)) return again;
      if (again.text.size() > best.text.size()) best = std::move(again);  // cut later: more of it was no loop
    }
    return best;
  }

  bool out_of_time() const {
    return options.generate.timeout.count() > 0 && Clock::now() - start > options.generate.timeout;
  }
  bool cancelled() const { return options.generate.cancel && options.generate.cancel->load(); }

  HeardWindow hear(const SoundWindow& w, std::string_view before) {
    HeardWindow heard;
    heard.begin = w.begin, heard.end = w.end(), heard.speech_begin = w.speech_begin, heard.speech_end = w.speech_end;
    if (options.vad && !w.speaks()) return heard;
    Heard h = listen(heard, 0, w.samples, before, true);
    heard.text = std::move(h.text), heard.finish = h.finish, heard.n_tokens = h.n_tokens;
    return heard;
  }

  Session& session;
  const HearOptions& options;
  Question question;
  Transcript& result;
  Clock::time_point start;
};

Transcript Transcriber::transcribe(const std::function<std::optional<SoundWindow>()>& next, const HearOptions& options,
                                   const HearHooks& hooks) {
  Transcript result;
  Hearing hearing(session_, options, result);
  Segments segments(result, hooks);
  std::string before;
  std::int64_t covered = 0;
  while (true) {
    if (hearing.cancelled()) result.finish = FinishReason::cancelled;
    if (hearing.out_of_time()) result.finish = std::max(result.finish, FinishReason::timeout);
    if (stopped(result.finish)) break;
    const std::optional<SoundWindow> window = next();
    if (!window) break;
    if (window->begin > covered || window->end() <= covered)
      fail(ErrorCategory::internal, "the window from {} s to {} s does not go on at {} s", seconds(window->begin),
           seconds(window->end()), seconds(covered));
    media::Sha256 hash;
    hash.update(std::as_bytes(std::span(window->samples)));
    hash.update(std::as_bytes(std::span(before)));
    const std::string key = hash.hex();
    std::optional<HeardWindow> heard = hooks.recall ? hooks.recall(key) : std::nullopt;
    if (heard) {
      ++result.n_recalled;
      // Equal sound may have been heard elsewhere in the recording.
      heard->begin = window->begin, heard->end = window->end();
      heard->speech_begin = window->speech_begin, heard->speech_end = window->speech_end;
    } else {
      heard = hearing.hear(*window, before);
      if (stopped(heard->finish)) {
        result.finish = heard->finish;
        break;
      }
      if (hooks.keep) hooks.keep(key, *heard);
    }
    covered = heard->end;
    segments.add(*heard);
    result.finish = std::max(result.finish, heard->finish);
    result.n_tokens += heard->n_tokens;
    if (!heard->attempts.empty()) result.heard_seconds += seconds(heard->end - heard->begin);
    if (options.context) before = ran_away(heard->finish) ? "" : ending(heard->text);
    result.windows.push_back(std::move(*heard));
    if (hooks.progress) hooks.progress(seconds(covered));
  }
  segments.flush();
  result.seconds = seconds(covered);
  return result;
}

}  // namespace mtmd
