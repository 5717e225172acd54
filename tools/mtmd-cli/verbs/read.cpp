// mtmd ocr, mtmd describe: pictures in, text out.
#include <memory>
#include <nlohmann/json.hpp>

#include "mtmd-cli/batch.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/loaded_medium.h"
#include "mtmd-cli/plan.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/verb.h"
#include "mtmd/media/sha256.h"
#include "mtmd/read.h"

namespace mtmd::cli {
namespace {

/// A picture of a batch.
class ReadJob final : public BatchJob {
 public:
  ReadJob(Console& console, Reader& reader, const ReadOptions& options)
      : console_(console), reader_(reader), options_(options) {}
  const Model& model() const override { return reader_.model(); }

  std::string open(const std::string& path) override {
    bytes_ = read_bytes(path);
    return content_ = media::sha256_hex(std::as_bytes(std::span(bytes_)));
  }

  std::optional<BatchResult> work(BatchItem& item) override {
    LoadedMedium picture = decode_picture(item.input.path, bytes_, content_);
    bytes_ = {};
    ReadOptions read = options_;
    if (!item.input.prompt.empty()) read.prompt = item.input.prompt;
    const bool live = item.streams && console_.stdout_is_terminal();
    const OnText show = [&](std::string_view text) {
      console_.result(text);
      console_.flush_result();
    };
    ReadResult result = reader_.read(std::move(picture.media), read, live ? show : OnText{});
    if (result.finish == FinishReason::cancelled) return std::nullopt;
    result.timings.decode = picture.decode_ms;
    result.timings.total += picture.decode_ms;
    result.warnings.insert(result.warnings.begin(), picture.warnings.begin(), picture.warnings.end());
    const bool cut_short = comment(item.input.path, result);
    if (live) console_.result("\n");
    return BatchResult{ok_record(item.head, result), cut_short, live};
  }

 private:
  /// Says what --strict complains of; returns whether there is something.
  bool comment(const std::string& input, ReadResult& result) {
    bool strict = false;
    for (const UsedMedia& m : result.media) {
      if (m.downscaled) {
        result.warnings.push_back(fmt::format("{}x{} was scaled down to {}x{} ({} tokens)", m.in.width, m.in.height,
                                              m.used.width, m.used.height, m.tokens));
        strict = true;
      }
      console_.detail("{}: {}x{} used at {}x{}, {} tokens in {} tiles", input, m.in.width, m.in.height, m.used.width,
                      m.used.height, m.tokens, m.tiles);
    }
    if (result.finish != FinishReason::stop) {
      result.warnings.push_back(fmt::format("the answer ended early: {}", name(result.finish)));
      strict = true;
    }
    for (const std::string& w : result.warnings) console_.warn("{}: {}", input, w);
    const Timings& t = result.timings;
    console_.detail(
        "{}: decode {:.0f} ms, preprocess {:.0f}, encode {:.0f}, prefill {:.0f} ({} tokens), generate {:.0f} ({} "
        "tokens), total {:.0f}",
        input, t.decode, t.preprocess, t.encode, t.prefill, result.n_prompt, t.generate, result.n_generated, t.total);
    return strict;
  }

  Console& console_;
  Reader& reader_;
  const ReadOptions& options_;
  std::string bytes_, content_;  ///< of the item that is open
};

struct ReadCommand {
  Task task;
  ModelFlags model;
  SessionFlags session;
  GenerateFlags generate;
  PromptFlags prompt;
  InputFlags input;
  OutputFlags output;
  bool plan = false;

  void run(Console& console) {
    output.check();
    const auto items = input.get();
    ReadOptions read = {.task = task,
                        .prompt = prompt.get().value_or(""),
                        .system = prompt.system,
                        .generate = generate.get(),
                        .strip_thinking = !generate.keep_thinking};
    const auto loaded = model.load(console);
    Reader reader(loaded, session.get());
    if (read.prompt.empty()) read.prompt = reader.default_prompt(task);
    if (plan) return show_plan(console, reader, items, read);
    BatchOptions options;
    options.strict = generate.strict;
    options.settings =
        fmt::format("{}|{}|{}|{}|{}", name(task), read.prompt, prompt.system, generate.settings(), model.settings());
    ReadJob job(console, reader, read);
    console.status = run_batch(console, job, items, output, options);
  }

  void show_plan(Console& console, Reader& reader, const std::vector<InputFlags::Item>& items,
                 const ReadOptions& read) const {
    const bool json = !output.formats.empty() && output.formats[0].starts_with("json");
    for (const auto& item : items) {
      const Plan p = reader.plan(load_picture(item.path).media, read);
      console.result(json ? dump(plan_json(item.path, p)) + "\n" : plan_text(item.path, p));
    }
  }
};

void add_read(CLI::App& app, Console& console, Task task, const char* about, const char* examples) {
  auto command = std::make_shared<ReadCommand>();
  command->task = task;
  auto* sub = app.add_subcommand(std::string(name(task)), about);
  sub->footer(examples);
  command->input.add(*sub);
  command->model.add(*sub, task == Task::ocr);
  command->prompt.add(*sub);
  command->output.add(*sub, {"txt", "md", "json", "jsonl"});
  command->generate.add(*sub);
  command->session.add(*sub);
  sub->add_flag("--plan", command->plan, "show tokens and memory of every item; run nothing");
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace

void add_ocr(CLI::App& app, Console& console) {
  add_read(app, console, Task::ocr, "text of pictures",
           "Examples:\n"
           "  mtmd ocr receipt.png\n"
           "  mtmd ocr -f jsonl scans/*.png > all.jsonl\n"
           "  find scans -name '*.jpg' -print0 | mtmd ocr -0 --files-from - --out-dir text --resume\n"
           "  mtmd ocr -m qwen2-vl-2b-q4_k_m.gguf --mmproj mmproj-qwen2-vl-2b.gguf page.png -f md\n"
           "  mtmd ocr --plan page.png");
}

void add_describe(CLI::App& app, Console& console) {
  add_read(app, console, Task::describe, "descriptions of pictures",
           "Examples:\n"
           "  mtmd describe -m smolvlm-500m.gguf photo.jpg\n"
           "  mtmd describe -m model.gguf -p 'List the objects.' photos/*.jpg --out-dir notes -f md");
}

}  // namespace mtmd::cli
