// mtmd imatrix: what the inputs of every weight matrix look like while a model reads texts and pictures.
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/progress.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"
#include "mtmd/quality/collect.h"
#include "quantize/media_prompt.h"
#include "quantize/text_file.h"

namespace mtmd::cli {
namespace {

namespace fs = std::filesystem;
using quality::ImatrixForm;
using quality::ImportanceMatrix;

struct ImatrixCommand {
  ModelFlags model;
  SessionFlags session;
  std::vector<std::string> texts, images, audios, in_files;
  std::string output = "imatrix.gguf", form, prompt;
  int n_chunks = -1, from_chunk = 0, output_every = 10, save_every = 0, min_tokens = 0, max_tokens = 0;
  bool process_output = false, no_ppl = false, parse_special = false, resume = false, force = false, json = false;
  CLI::Option* output_given = nullptr;

  void run(Console& console);

 private:
  /// One chunk of work: a window of a text, or a picture.
  struct Item {
    std::size_t source = 0;  ///< text, or after them picture
    std::int32_t window = 0;
  };
  void check() const;
  ImatrixForm chosen_form() const {
    return form == "dat" || (form.empty() && output.ends_with(".dat")) ? ImatrixForm::dat : ImatrixForm::gguf;
  }
  std::vector<std::string> sources() const;
  std::vector<Item> items(const Model& loaded);
  std::size_t resumed(const std::vector<std::string>& data_sets);
  void collect(Console& console, const std::shared_ptr<const Model>& loaded, const std::vector<Item>& all,
               std::size_t done);
  void read_medium(Console& console, const Model& loaded, quality::Collector& collector, const std::string& path);
  ImportanceMatrix so_far(const quality::Collector& collector) const;
  void write(const fs::path& path, const ImportanceMatrix& matrix) const;
  void report(Console& console, const ImportanceMatrix& matrix, const Model& loaded) const;

  ImportanceMatrix base_;  ///< of the files merged in, or of the run that is continued
  std::vector<quality::Windows> windows_;
  std::vector<std::string> media_;  ///< pictures, then recordings
  std::string question_;            ///< what is asked about them
};

void ImatrixCommand::check() const {
  if (texts.empty() && media_.empty() && in_files.empty())
    fail(ErrorCategory::usage,
         "give texts (-f), pictures (--image), recordings (--audio) or importance matrices (--in-file)");
  if (output_every < 0 || save_every < 0)
    fail(ErrorCategory::usage, "-ofreq and --save-frequency count chunks: 0 or more");
  if (std::ranges::count(texts, "-") + std::ranges::count(media_, "-") > 1)
    fail(ErrorCategory::usage, "stdin can be read only once");
  if (output_given->count() == 0 && texts.empty() && media_.empty()) return;  // a report only
  if (fs::exists(output) && !force && !resume)
    fail(ErrorCategory::output, "{}: exists already; --force replaces it, --resume goes on", output);
}

std::vector<std::string> ImatrixCommand::sources() const {
  std::vector<std::string> all = texts;
  all.insert(all.end(), media_.begin(), media_.end());
  return all;
}

std::vector<ImatrixCommand::Item> ImatrixCommand::items(const Model& loaded) {
  quality::WindowOptions options{.n_ctx = session.options.n_ctx, .parse_special = parse_special};
  std::vector<Item> all;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    windows_.emplace_back(read_text_file(texts[i]), loaded.tokenizer(), options);
    for (std::int32_t w = 0; w < windows_.back().size(); ++w) all.push_back({i, w});
  }
  if (from_chunk > 0 && static_cast<std::size_t>(from_chunk) >= all.size() && !texts.empty())
    fail(ErrorCategory::usage, "--chunk {}: the texts have {} chunks of {} tokens", from_chunk, all.size(),
         options.n_ctx);
  all.erase(all.begin(), all.begin() + std::clamp<std::ptrdiff_t>(from_chunk, 0, std::ssize(all)));
  if (n_chunks >= 0 && std::ssize(all) > n_chunks) all.resize(static_cast<std::size_t>(n_chunks));
  for (std::size_t i = 0; i < media_.size(); ++i) all.push_back({texts.size() + i, 0});
  return all;
}

/// Takes the result of a run that was interrupted as the base; returns how many chunks it has read of ours.
std::size_t ImatrixCommand::resumed(const std::vector<std::string>& data_sets) {
  std::uint32_t before = 0;
  for (const std::string& f : in_files) before += quality::read_imatrix(f).chunk_count;
  ImportanceMatrix old = quality::read_imatrix(output, static_cast<std::uint32_t>(session.options.n_ctx));
  if (old.chunk_size != static_cast<std::uint32_t>(session.options.n_ctx) || old.chunk_count < before)
    fail(ErrorCategory::usage, "{}: was made from chunks of {} tokens, not {}: it cannot be continued with this -c",
         output, old.chunk_size, session.options.n_ctx);
  for (const std::string& d : data_sets)
    if (std::ranges::find(old.datasets, d) == old.datasets.end())
      fail(ErrorCategory::usage,
           "{}: was not made from {}: --resume needs the same texts and pictures (--in-file adds "
           "to a finished matrix)",
           output, d);
  base_ = std::move(old);
  return base_.chunk_count - before;
}

void ImatrixCommand::run(Console& console) {
  media_ = images;
  media_.insert(media_.end(), audios.begin(), audios.end());
  check();
  if (session.options.n_ctx == 0) session.options.n_ctx = 512;
  if (chosen_form() == ImatrixForm::dat && resume && sources().size() > 1)
    fail(ErrorCategory::usage, "--resume: the .dat form remembers one text only; use GGUF");
  model.no_mmproj = media_.empty();
  const auto loaded = model.load(console);
  std::vector<Item> all = items(*loaded);
  std::size_t done = 0;
  if (resume && fs::exists(output)) {
    done = std::min(resumed(sources()), all.size());
    console.info("{}: {} of {} chunks are done", output, done, all.size());
  } else {
    for (const std::string& f : in_files)
      base_.merge(quality::read_imatrix(f, static_cast<std::uint32_t>(session.options.n_ctx)));
  }
  if (!base_.entries.empty())
    quality::require_fit(quality::coverage(base_, loaded->file()), in_files.empty() ? output : in_files[0],
                         model.model);
  for (const std::string& s : sources())
    if (std::ranges::find(base_.datasets, s) == base_.datasets.end()) base_.datasets.push_back(s);
  if (done < all.size()) return collect(console, loaded, all, done);
  if (!in_files.empty() && output_given->count() > 0) write(output, base_);
  report(console, base_, *loaded);
}

void ImatrixCommand::collect(Console& console, const std::shared_ptr<const Model>& loaded, const std::vector<Item>& all,
                             std::size_t done) {
  const SessionOptions s = session.get();
  quality::Collector collector(loaded, {.reader = {.n_ctx = s.n_ctx,
                                                   .n_batch = session.n_batch > 0 ? session.n_batch : 2048,
                                                   .n_ubatch = s.n_ubatch,
                                                   .kv_type = s.kv_type},
                                        .observe = {.output = process_output},
                                        .perplexity = !no_ppl && !texts.empty()});
  if (!media_.empty()) question_ = media_question(loaded, prompt);
  const std::vector<std::string> names = sources();
  const auto start = std::chrono::steady_clock::now();
  std::size_t chunks = done;
  {
    Progress progress(console, all.size());
    for (; chunks < all.size() && !cancel_flag();) {
      const Item& item = all[chunks];
      const auto ppl = collector.likelihood().perplexity();
      progress.update(
          chunks, ppl.value > 0 ? fmt::format("PPL {:.4f}  {}", ppl.value, names[item.source]) : names[item.source]);
      if (item.source < texts.size())
        collector.read(windows_[item.source], item.window);
      else
        read_medium(console, *loaded, collector, names[item.source]);
      ++chunks;
      const auto due = [&](int every) { return every > 0 && chunks % static_cast<std::size_t>(every) == 0; };
      if (due(output_every) && chunks < all.size()) write(output, so_far(collector));
      if (due(save_every)) write(fmt::format("{}.at_{}", output, chunks), so_far(collector));
    }
  }
  if (chunks == done) return;  // interrupted before anything was read
  const ImportanceMatrix matrix = so_far(collector);
  write(output, matrix);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double rows = 0;
  for (const auto& [name, e] : collector.matrix().entries) rows = std::max(rows, double{std::ranges::max(e.counts)});
  if (chunks < all.size())
    console.warn("interrupted after {} of {} chunks; {} holds these, --resume goes on", chunks, all.size(), output);
  const auto ppl = collector.likelihood().perplexity();
  if (ppl.value > 0) console.info("PPL = {:.4f} +/- {:.5f} over the texts", ppl.value, ppl.error);
  console.info("{:.0f} tokens in {:.1f} s, {:.1f} tokens/s", rows, seconds, rows / seconds);
  report(console, matrix, *loaded);
}

void ImatrixCommand::read_medium(Console& console, const Model& loaded, quality::Collector& collector,
                                 const std::string& path) {
  encoders::ImageLimits limits;
  if (min_tokens > 0) limits.min_tokens = min_tokens;
  if (max_tokens > 0) limits.max_tokens = max_tokens;
  collector.read(media_prompt(console, loaded, path, question_), limits);
}

ImportanceMatrix ImatrixCommand::so_far(const quality::Collector& collector) const {
  ImportanceMatrix all = base_;
  all.merge(collector.matrix());
  return all;
}

void ImatrixCommand::write(const fs::path& path, const ImportanceMatrix& matrix) const {
  quality::write_imatrix(path, matrix, chosen_form());
}

void ImatrixCommand::report(Console& console, const ImportanceMatrix& matrix, const Model& loaded) const {
  const quality::Coverage c = quality::coverage(matrix, loaded.file());
  std::size_t never = 0;
  for (const auto& b : c.blanks) never += b.experts.size();
  if (json) {
    Json blanks = Json::array();
    for (const auto& b : c.blanks)
      blanks.push_back({{"tensor", b.tensor}, {"experts", b.experts}, {"of", b.n_experts}});
    console.result(dump({{"model", model.model},
                         {"chunks", matrix.chunk_count},
                         {"chunk_size", matrix.chunk_size},
                         {"datasets", matrix.datasets},
                         {"covered", c.covered},
                         {"missing", c.missing},
                         {"experts_never_hit", blanks}}) +
                   "\n");
    return;
  }
  console.info("{} chunks: {} of {} weight matrices of the blocks are covered", matrix.chunk_count, c.covered,
               c.covered + std::ssize(c.missing));
  if (!c.missing.empty())
    console.warn("nothing was seen of {} tensors: {}", c.missing.size(), fmt::join(c.missing, ", "));
  for (const auto& b : c.blanks)
    console.warn("{}: {} of {} experts were never hit: {}", b.tensor, b.experts.size(), b.n_experts,
                 fmt::join(b.experts, ", "));
  if (never > 0) console.warn("more, or other, texts would reach the experts that were never hit");
}

}  // namespace

void add_imatrix(CLI::App& app, Console& console) {
  auto c = std::make_shared<ImatrixCommand>();
  auto* sub = app.add_subcommand("imatrix", "importance matrix of a model, from texts and pictures, for `quantize`");
  sub->footer(
      "Examples:\n"
      "  mtmd imatrix -m model.gguf -f calibration.txt -o imatrix.gguf\n"
      "  mtmd imatrix -m model.gguf --mmproj mmproj.gguf --image scans/*.png -f calibration.txt -o imatrix.gguf\n"
      "  mtmd imatrix -m model.gguf -f more.txt --in-file imatrix.gguf -o both.gguf\n"
      "  mtmd imatrix -m model.gguf -f calibration.txt -o imatrix.gguf --resume\n"
      "  mtmd imatrix -m model.gguf --in-file imatrix.gguf --json        coverage of a matrix that is there");
  c->model.add(*sub, false);
  c->session.add(*sub);
  sub->add_option("-f,--file", c->texts, "a text (repeatable; -: stdin)")->type_name("FILE")->allow_extra_args(false);
  sub->add_option("--image", c->images, "pictures that are read through the vision encoder")->type_name("FILE");
  sub->add_option("--audio", c->audios, "recordings that are read through the audio encoder")->type_name("FILE");
  sub->add_option("-p,--prompt", c->prompt, "what is asked about each picture; <__media__> marks where it goes")
      ->type_name("TEXT");
  c->output_given = sub->add_option("-o,--output,--output-file", c->output, "where the matrix goes")
                        ->type_name("FILE")
                        ->capture_default_str();
  sub->add_option("--output-format", c->form, "gguf or dat (default: what the name ends with)")
      ->check(CLI::IsMember({"gguf", "dat"}));
  sub->add_option("--chunks", c->n_chunks, "read at most so many chunks of the texts")->type_name("N");
  sub->add_option("--chunk,--from-chunk", c->from_chunk, "leave out so many at the beginning")->type_name("N");
  sub->add_option("--ofreq,--output-frequency", c->output_every, "write the matrix every N chunks (0: at the end)")
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--save-frequency", c->save_every, "keep a copy FILE.at_N every N chunks")->type_name("N");
  sub->add_option("--in-file", c->in_files, "add a matrix made earlier (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  sub->add_flag("--process-output", c->process_output, "the output matrix, too");
  sub->add_flag("--no-ppl", c->no_ppl, "do not score the texts: faster");
  sub->add_flag("--parse-special", c->parse_special, "recognise special tokens in the texts");
  sub->add_option("--image-min-tokens", c->min_tokens, "at least so many tokens per picture");
  sub->add_option("--image-max-tokens", c->max_tokens, "at most so many tokens per picture");
  sub->add_flag("--resume", c->resume, "go on with a run that was interrupted");
  sub->add_flag("--force", c->force, "replace a matrix that exists");
  sub->add_flag("--json", c->json, "the coverage report as JSON on stdout");
  sub->callback([c, &console] { c->run(console); });
}

}  // namespace mtmd::cli
