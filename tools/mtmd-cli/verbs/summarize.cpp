// mtmd summarize: recordings, pictures and texts in, a summary out.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "engine/base/error.h"
#include "engine/tokenizer/unicode.h"
#include "mtmd-cli/batch.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/loaded_medium.h"
#include "mtmd-cli/recordings.h"
#include "mtmd-cli/verb.h"
#include "mtmd/hear/subtitles.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sha256.h"
#include "mtmd/read.h"
#include "mtmd/summary/summarizer.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTogether = "summary";  ///< what the one item of --together is called

struct SummarizeCommand {
  ModelFlags model;
  SessionFlags session;
  GenerateFlags generate;
  PromptFlags prompt;
  InputFlags input;
  OutputFlags output;
  SoundFlags sound;
  SummaryStyle style = SummaryStyle::bullets;
  std::string keep_transcript, instructions;
  bool together = false;

  void run(Console& console);
  std::string settings() const {
    return fmt::format("summarize|{}|{}|{}|{}|{}|{}|{}", static_cast<int>(style), instructions, prompt.system,
                       generate.settings(), model.settings(), sound.settings(), session.options.n_ctx);
  }
};

/// An input before it is read.
struct OpenInput {
  std::string path;
  std::optional<std::string> bytes;  ///< nothing: a recording that is read as a stream
  std::string content;               ///< SHA-256; empty: of a pipe
};

/// What the inputs say, whatever they are.
struct Source {
  std::string text;
  std::vector<Segment> segments = {};  ///< of a single recording
  Json media = Json::array();
  Timings timings = {};
  std::vector<std::string> warnings = {};
  bool partial = false, cut_short = false;
};

std::string first_bytes(const std::string& path) {
  std::string head(64, '\0');
  if (path == "-") {
    const ssize_t n = ::pread(STDIN_FILENO, head.data(), head.size(), 0);  // fails for a pipe
    head.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return head;
  }
  std::error_code error;
  std::ifstream in;
  if (fs::is_regular_file(path, error)) in.open(path, std::ios::binary);
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  return head;
}

bool is_recording(std::string_view bytes) {
  const auto head = std::as_bytes(std::span(bytes));
  return !bytes.starts_with("\xff\xfe") && !media::image_format(head) && media::is_sound(head);
}

/// Throws Error(input) for bytes that are no text.
std::string text_of(std::string bytes, const std::string& path) {
  const auto refuse = [&](std::string_view what) {
    fail(ErrorCategory::input, "{}: {}; expected a recording, a picture or a text in UTF-8", path, what);
  };
  if (bytes.starts_with("%PDF")) refuse("a PDF file: convert its pages to pictures (pdftoppm) or text (pdftotext)");
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) refuse("a text in UTF-16");
  if (bytes.find('\0') != bytes.npos) refuse("not of a known type");
  if (!unicode::is_valid(bytes)) refuse("a text that is not valid UTF-8");
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.erase(0, 3);
  return bytes;
}

class SummarizeJob final : public BatchJob {
 public:
  SummarizeJob(Console& console, std::shared_ptr<const Model> model, const SummarizeCommand& command,
               std::vector<std::string> together)
      : console_(console),
        model_(std::move(model)),
        command_(command),
        together_(std::move(together)),
        summarizer_(model_, command.session.get()) {}
  const Model& model() const override { return *model_; }

  std::string open(const std::string& path) override {
    inputs_.clear();
    if (together_.empty()) return (inputs_ = {open_one(path)})[0].content;
    std::string all;
    bool known = true;
    for (const std::string& p : together_) {
      inputs_.push_back(open_one(p));
      known = known && !inputs_.back().content.empty();
      all += inputs_.back().content;
    }
    return known ? media::sha256_hex(std::as_bytes(std::span(all))) : "";
  }

  std::optional<BatchResult> work(BatchItem& item) override {
    Source all;
    for (OpenInput& input : std::exchange(inputs_, {})) {
      const std::string path = input.path;
      std::optional<Source> one = read(std::move(input), item);
      if (!one) return std::nullopt;
      if (!together_.empty()) all.text += (all.text.empty() ? "" : "\n\n") + path + ":\n\n";
      all.text += one->text;
      all.segments = std::move(one->segments);
      for (Json& m : one->media) all.media.push_back(std::move(m));
      all.timings += one->timings;
      std::ranges::move(one->warnings, std::back_inserter(all.warnings));
      all.partial |= one->partial, all.cut_short |= one->cut_short;
    }
    keep_transcript(item, all);
    return summarize(item, std::move(all));
  }

 private:
  OpenInput open_one(const std::string& path) const {
    // Recordings may be longer than memory: they are read as streams. All else is read whole, and so are pipes, whose
    // first bytes cannot be looked at beforehand.
    if (command_.sound.pcm_rate > 0 || is_recording(first_bytes(path))) return {path, std::nullopt, content_of(path)};
    std::string bytes = read_bytes(path);
    std::string content = media::sha256_hex(std::as_bytes(std::span(bytes)));
    return {path, std::move(bytes), std::move(content)};
  }

  std::optional<Source> read(OpenInput input, BatchItem& item) {
    if (!input.bytes) return hear(open_recording(input.path, command_.sound), input.path, item);
    const auto bytes = std::as_bytes(std::span(*input.bytes));
    if (is_recording(*input.bytes))
      return hear(media::SoundStream::open_memory(bytes, input.path, command_.sound.stream()), input.path, item);
    if (media::image_format(bytes)) return look(input);
    return Source{.text = text_of(std::move(*input.bytes), input.path)};
  }

  std::optional<Source> hear(media::SoundStream stream, const std::string& path, BatchItem& item) {
    if (!transcriber_) transcriber_ = std::make_unique<Transcriber>(model_, command_.session.get());
    HearOptions options = command_.sound.hear();
    options.generate = command_.generate.get();
    options.generate.max_tokens = -1;  // -n is about the summary
    transcriber_->check(options);
    auto recording = transcribe(console_, *transcriber_, std::move(stream), command_.sound, options, path, item);
    if (!recording) return std::nullopt;
    return Source{.text = recording->transcript.text(),
                  .segments = recording->transcript.segments,
                  .media = media_json(*recording),
                  .timings = recording->transcript.timings,
                  .warnings = recording->warnings,
                  .partial = recording->partial,
                  .cut_short = recording->cut_short};
  }

  std::optional<Source> look(const OpenInput& input) {
    if (!reader_) reader_ = std::make_unique<Reader>(model_, command_.session.get());
    LoadedMedium picture = decode_picture(input.path, *input.bytes, input.content);
    ReadOptions options;
    options.generate = command_.generate.get();
    options.generate.max_tokens = -1;
    const ReadResult r = reader_->read(std::move(picture.media), options);
    if (r.finish == FinishReason::cancelled) return std::nullopt;
    Source source{.text = r.text, .media = media_json(r.media), .timings = r.timings, .warnings = picture.warnings};
    source.cut_short = r.finish != FinishReason::stop;
    if (source.cut_short) source.warnings.push_back(fmt::format("reading it ended early: {}", name(r.finish)));
    for (const std::string& w : source.warnings) console_.warn("{}: {}", input.path, w);
    return source;
  }

  void keep_transcript(const BatchItem& item, const Source& source) const {
    if (command_.keep_transcript.empty()) return;
    fs::path path = command_.keep_transcript;
    if (fs::is_directory(path))
      path /= (item.input.path == "-" ? "stdin" : fs::path(item.input.path).stem().string()) + ".txt";
    const OutputFlags& output = command_.output;
    if (fs::exists(path) && !output.force && !output.resume && !output.retry_failed)
      fail(ErrorCategory::output, "--keep-transcript {}: exists already; --force replaces it", path.string());
    const auto format = subtitle_format(path.extension().string().substr(path.extension().empty() ? 0 : 1));
    const bool subtitled = format && *format != SubtitleFormat::txt && !source.segments.empty();
    write_file_atomically(path, subtitled ? subtitles(source.segments, *format) : source.text + "\n");
  }

  std::optional<BatchResult> summarize(BatchItem& item, Source source) {
    SummaryOptions options;
    options.style = command_.style;
    options.instructions = !item.input.prompt.empty() ? item.input.prompt : command_.instructions;
    options.system = command_.prompt.system;
    options.strip_thinking = !command_.generate.keep_thinking;
    options.generate = command_.generate.get();
    const bool live = item.streams && console_.stdout_is_terminal();
    SummaryHooks hooks;
    hooks.recall = [&](const std::string& key) -> std::optional<std::string> {
      const auto notes = item.pieces.find("notes-" + key);
      return notes && notes->is_string() ? std::optional(notes->get<std::string>()) : std::nullopt;
    };
    hooks.keep = [&](const std::string& key, const std::string& notes) { item.pieces.add("notes-" + key, notes); };
    hooks.progress = [&](int done, int total) { item.progress.parts(done, total); };
    if (live)
      hooks.text = [&](std::string_view piece) {
        console_.result(piece);
        console_.flush_result();
      };
    const Summary s = summarizer_.summarize(source.text, options, hooks);
    if (s.finish == FinishReason::cancelled) return std::nullopt;
    if (live) console_.result("\n");
    source.timings += s.timings;
    if (s.finish != FinishReason::stop) {
      source.warnings.push_back(fmt::format("the summary ended early: {}", name(s.finish)));
      console_.warn("{}: {}", item.input.path, source.warnings.back());
    }
    Json record = ok_record(item.head, {s.text, s.finish, source.media, source.timings, source.warnings});
    if (!together_.empty()) record["inputs"] = together_;
    record["summary_of"] = {{"characters", source.text.size()}, {"parts", s.n_parts}, {"levels", s.n_levels}};
    if (source.partial) record["partial"] = true;
    return BatchResult{std::move(record), source.cut_short || s.finish != FinishReason::stop, live};
  }

  Console& console_;
  std::shared_ptr<const Model> model_;
  const SummarizeCommand& command_;
  std::vector<std::string> together_;  ///< all inputs of the one summary of --together
  Summarizer summarizer_;
  std::unique_ptr<Transcriber> transcriber_;  ///< made when the first recording comes
  std::unique_ptr<Reader> reader_;            ///< made when the first picture comes
  std::vector<OpenInput> inputs_;             ///< of the item that is open
};

void SummarizeCommand::run(Console& console) {
  output.check();
  (void)sound.stream();  // complains before the model is loaded
  auto items = input.get();
  instructions = prompt.get().value_or("");
  if (model.model.empty())
    fail(ErrorCategory::usage,
         "summarize needs a language model: give one with -m FILE (the built-in model only reads lines)");
  std::vector<std::string> all;
  if (together) {
    for (const auto& item : items) all.push_back(item.path);
    items = {{std::string(kTogether), ""}};
  }
  if (!keep_transcript.empty() && items.size() > 1 && !fs::is_directory(keep_transcript))
    fail(ErrorCategory::usage, "--keep-transcript {}: one file for {} inputs; give a folder that exists",
         keep_transcript, items.size());
  SummarizeJob job(console, model.load(console), *this, std::move(all));
  console.status = run_batch(console, job, items, output, {settings(), generate.strict});
}

}  // namespace

void add_summarize(CLI::App& app, Console& console) {
  auto command = std::make_shared<SummarizeCommand>();
  auto* sub = app.add_subcommand("summarize", "summaries of recordings, pictures and texts of any length");
  sub->footer(
      "Examples:\n"
      "  mtmd summarize -m voxtral-mini-3b.gguf meeting.m4a --style minutes --keep-transcript meeting.txt\n"
      "  mtmd summarize -m model.gguf report.txt -p 'List what it says about costs.'\n"
      "  mtmd summarize -m qwen2.5-omni.gguf --together talk.mp3 slide1.png slide2.png notes.txt -f md\n"
      "  mtmd summarize -m model.gguf calls/*.opus --out-dir summaries --resume");
  command->input.add(*sub, "recordings, pictures and texts");
  command->model.add(*sub, false);
  sub->add_option("--style", command->style, "bullets, paragraph or minutes")
      ->option_text("STYLE")
      ->transform(CLI::CheckedTransformer(std::map<std::string, SummaryStyle>{{"bullets", SummaryStyle::bullets},
                                                                              {"paragraph", SummaryStyle::paragraph},
                                                                              {"minutes", SummaryStyle::minutes}}));
  sub->add_flag("--together", command->together, "one summary of all inputs");
  sub->add_option("--keep-transcript", command->keep_transcript,
                  "write what was heard and read here (.srt, .vtt, .tsv, .csv: with times); a folder: a file per input")
      ->type_name("FILE");
  command->sound.add(*sub);
  command->prompt.add(*sub);
  command->output.add(*sub, {"txt", "md", "json", "jsonl"});
  command->generate.add(*sub);
  command->session.add(*sub);
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
