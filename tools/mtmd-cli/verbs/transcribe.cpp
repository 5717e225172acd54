// mtmd transcribe: recordings in, text and subtitles out.
#include <algorithm>
#include <memory>

#include "engine/base/error.h"
#include "mtmd-cli/batch.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/recordings.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

/// A recording of a batch.
class TranscribeJob final : public BatchJob {
 public:
  TranscribeJob(Console& console, Transcriber& transcriber, const SoundFlags& flags, const HearOptions& options)
      : console_(console), transcriber_(transcriber), flags_(flags), options_(options) {}
  const Model& model() const override { return transcriber_.model(); }
  std::string open(const std::string& path) override { return content_of(path); }

  std::optional<BatchResult> work(BatchItem& item) override {
    HearOptions options = options_;
    if (!item.input.prompt.empty()) options.prompt = item.input.prompt;
    const auto show = [&](const Segment& s) {
      console_.result(s.text + "\n");
      console_.flush_result();
    };
    auto recording = transcribe(console_, transcriber_, open_recording(item.input.path, flags_), flags_, options,
                                item.input.path, item, item.streams ? show : HearHooks{}.segment);
    if (!recording) return std::nullopt;
    const Transcript& t = recording->transcript;
    Json record = ok_record(item.head, {t.text(), t.finish, media_json(*recording), t.timings, recording->warnings});
    record["segments"] = segments_json(t);
    record["windows"] = windows_json(*recording);
    if (recording->partial) record["partial"] = true;
    return BatchResult{std::move(record), recording->cut_short, item.streams};
  }

 private:
  Console& console_;
  Transcriber& transcriber_;
  const SoundFlags& flags_;
  const HearOptions& options_;
};

struct TranscribeCommand {
  ModelFlags model;
  SessionFlags session;
  GenerateFlags generate;
  PromptFlags prompt;
  InputFlags input;
  OutputFlags output;
  SoundFlags sound;

  void run(Console& console) {
    output.check();
    (void)sound.stream();  // complains before the model is loaded
    const auto items = input.get();
    if (generate.min_tokens > 0 || generate.max_tokens > 0)
      fail(ErrorCategory::usage, "--image-min-tokens, --image-max-tokens: there are no pictures here");
    check_formats(items.size());
    Transcriber transcriber(model.load(console), session.get());
    HearOptions options = sound.hear();
    options.prompt = prompt.get().value_or("");
    options.system = prompt.system;
    options.generate = generate.get();
    options.strip_thinking = !generate.keep_thinking;
    transcriber.check(options);
    if (model.model.empty())
      console.info("the built-in model knows only English as synthesizers speak it; for recordings of people give -m");
    TranscribeJob job(console, transcriber, sound, options);
    const std::string settings = fmt::format("transcribe|{}|{}|{}|{}|{}", options.prompt, options.system,
                                             generate.settings(), model.settings(), sound.settings());
    console.status = run_batch(console, job, items, output, {settings, generate.strict});
  }

  /// Subtitles belong to one recording.
  void check_formats(std::size_t n_items) const {
    const bool one_result = output.folder.empty() && output.stem.empty();
    if (n_items < 2 || !one_result || output.formats.empty()) return;
    const std::string& format = output.formats[0];
    if (format != "txt" && !format.starts_with("json"))
      fail(ErrorCategory::usage, "-f {}: the times of {} recordings cannot share a file; give --out-dir", format,
           n_items);
  }
};

}  // namespace

void add_transcribe(CLI::App& app, Console& console) {
  auto command = std::make_shared<TranscribeCommand>();
  auto* sub = app.add_subcommand("transcribe", "text and subtitles of recordings of any length");
  sub->footer(
      "Examples:\n"
      "  mtmd transcribe -m model.gguf memo.m4a\n"
      "  mtmd transcribe -m voxtral-mini-3b.gguf -l de meeting.mp3 -o meeting.srt -f srt\n"
      "  mtmd transcribe -m model.gguf recordings/*.flac --out-dir text -f txt,srt,json --resume\n"
      "  mtmd transcribe -m model.gguf --start 3600 --duration 600 lecture.opus -f vtt\n"
      "  ffmpeg -i talk.mkv -f s16le -ac 1 -ar 16000 - | mtmd transcribe -m model.gguf --pcm-rate 16000 -\n"
      "  mtmd transcribe -m model.gguf -osrt -of subtitles film.wav       as whisper-cli has it");
  command->input.add(*sub, "recordings");
  command->model.add(*sub, true);
  command->sound.add(*sub);
  command->prompt.add(*sub);
  command->output.add(*sub, {"txt", "srt", "vtt", "tsv", "csv", "json", "jsonl"});
  command->output.add_whisper_aliases(*sub);
  command->generate.add(*sub);
  command->session.add(*sub);
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
