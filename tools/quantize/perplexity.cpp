// mtmd perplexity: how well a model predicts a text, and how far it is from another model.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/error.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/progress.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"
#include "mtmd/quality/perplexity.h"
#include "quantize/text_file.h"

namespace mtmd::cli {
namespace {

using quality::DivergenceReport;
using quality::Estimate;

struct PerplexityCommand {
  ModelFlags model;
  SessionFlags session;
  std::string positional, text, base_file, reference;
  int n_chunks = -1, stride = 0;
  bool json = false, force = false, parse_special = false;
  CLI::Option* divergence = nullptr;

  void run(Console& console);

 private:
  quality::ReaderOptions reader(std::int32_t n_ctx) const;
  quality::Windows cut(const Model& loaded) const;
  void perplexity(Console& console, const Model& loaded);
  void compare(Console& console, const Model& loaded);
  void show(Console& console, const quality::Likelihood& l, std::int32_t windows, std::int32_t n_ctx) const;
};

quality::ReaderOptions PerplexityCommand::reader(std::int32_t n_ctx) const {
  const SessionOptions s = session.get();
  return {.n_ctx = n_ctx,
          .n_batch = session.n_batch > 0 ? session.n_batch : 2048,
          .n_ubatch = s.n_ubatch,
          .kv_type = s.kv_type};
}

/// As in llama-perplexity, two windows are the least: a single one says little.
quality::Windows PerplexityCommand::cut(const Model& loaded) const {
  if (text.empty()) fail(ErrorCategory::usage, "give a text with -f FILE");
  return {read_text_file(text),
          loaded.tokenizer(),
          {.n_ctx = session.options.n_ctx, .max = n_chunks, .parse_special = parse_special},
          2};
}

void PerplexityCommand::run(Console& console) {
  if (stride != 0) fail(ErrorCategory::usage, "--ppl-stride {}: only whole windows (0) are measured here", stride);
  if (!positional.empty() && !model.model.empty())
    fail(ErrorCategory::usage, "two models are given: {} and -m {}; --kl-divergence names the reference", positional,
         model.model);
  if (!positional.empty()) model.model = positional;
  if (!reference.empty() && !base_file.empty())
    fail(ErrorCategory::usage, "--kl-divergence {} and --kl-divergence-base {}: one reference is enough", reference,
         base_file);
  if (divergence->count() > 0 && reference.empty() && base_file.empty())
    fail(ErrorCategory::usage, "--kl-divergence: give the reference: a model, or --kl-divergence-base FILE");
  if (session.options.n_ctx == 0) session.options.n_ctx = 512;
  if (divergence->count() == 0 && !base_file.empty() && std::filesystem::exists(base_file) && !force)
    fail(ErrorCategory::output, "{}: exists already; --force replaces it, --kl-divergence compares with it", base_file);
  model.no_mmproj = true;
  const auto loaded = model.load(console);
  divergence->count() > 0 ? compare(console, *loaded) : perplexity(console, *loaded);
}

void PerplexityCommand::perplexity(Console& console, const Model& loaded) {
  const quality::Windows windows = cut(loaded);
  std::optional<quality::LogitsWriter> save;
  if (!base_file.empty()) save.emplace(base_file, windows, loaded.spec().n_vocab);
  std::int32_t done = 0;
  quality::Likelihood l;
  {
    Progress progress(console, static_cast<std::size_t>(windows.size()));
    l = quality::measure_perplexity(loaded.file(), loaded.device(), windows, reader(windows.n_ctx()),
                                    save ? &*save : nullptr, [&](std::int32_t n, const quality::Likelihood& so_far) {
                                      done = n;
                                      progress.update(static_cast<std::size_t>(n),
                                                      fmt::format("PPL {:.4f}", so_far.perplexity().value));
                                      return !cancel_flag();
                                    });
  }
  if (done < windows.size()) {
    console.warn("interrupted after {} of {} windows", done, windows.size());
    if (save) console.warn("{} was not written: it would be incomplete", base_file);
  } else if (save) {
    save->commit();
  }
  show(console, l, done, windows.n_ctx());
}

void PerplexityCommand::show(Console& console, const quality::Likelihood& l, std::int32_t windows,
                             std::int32_t n_ctx) const {
  const Estimate ppl = l.perplexity();
  if (json)
    return console.result(dump({{"model", model.model},
                                {"text", text},
                                {"n_ctx", n_ctx},
                                {"windows", windows},
                                {"tokens", l.count()},
                                {"ppl", ppl.value},
                                {"ppl_error", ppl.error}}) +
                          "\n");
  console.result(fmt::format("Final estimate: PPL = {:.4f} +/- {:.5f}\n", ppl.value, ppl.error));
  console.info("{} windows of {} tokens, {} tokens scored", windows, n_ctx, l.count());
}

std::string percent(const Estimate& e) { return fmt::format("{:10.3f} ± {:7.3f} %", 100 * e.value, 100 * e.error); }
std::string plain(const Estimate& e) { return fmt::format("{:12.6f} ± {:9.6f}", e.value, e.error); }

std::string table(const DivergenceReport& r) {
  std::string t = fmt::format("tokens scored          {}\n\nperplexity\n", r.count);
  const auto row = [&](std::string_view name, const std::string& value) {
    t += fmt::format("  {:<20} {}\n", name, value);
  };
  const auto value = [&](std::string_view name, double v) { row(name, fmt::format("{:12.6f}", v)); };
  const auto share = [&](std::string_view name, double v) { row(name, fmt::format("{:10.3f} %", 100 * v)); };
  row("of the model", plain(r.ppl));
  row("of the reference", plain(r.ppl_base));
  row("ratio", plain(r.ppl_ratio));
  row("ln of the ratio", plain(r.log_ppl_ratio));
  row("difference", plain(r.ppl_difference));
  share("correlation of ln p", r.ppl_correlation);
  t += "\nKL divergence (nats)\n";
  row("mean", plain(r.kld));
  value("maximum", r.kld_max);
  for (const auto& [name, v] : {std::pair{"99.9 %", r.kld_999},
                                {"99 %", r.kld_99},
                                {"95 %", r.kld_95},
                                {"90 %", r.kld_90},
                                {"median", r.kld_median},
                                {"10 %", r.kld_10},
                                {"5 %", r.kld_5},
                                {"1 %", r.kld_1},
                                {"0.1 %", r.kld_01},
                                {"minimum", r.kld_min}})
    value(name, v);
  t += "\nprobability of the token that follows, change\n";
  row("mean", percent(r.p_change));
  row("root mean square", percent(r.p_rms));
  for (const auto& [name, v] : {std::pair{"maximum", r.p_max},
                                {"99 %", r.p_99},
                                {"95 %", r.p_95},
                                {"75 %", r.p_75},
                                {"median", r.p_median},
                                {"25 %", r.p_25},
                                {"5 %", r.p_5},
                                {"1 %", r.p_1},
                                {"minimum", r.p_min}})
    share(name, v);
  row("same favourite", percent(r.same_top));
  return t;
}

Json as_json(const DivergenceReport& r) {
  const auto estimate = [](const Estimate& e) { return Json{{"value", e.value}, {"error", e.error}}; };
  return {{"tokens", r.count},
          {"ppl", estimate(r.ppl)},
          {"ppl_reference", estimate(r.ppl_base)},
          {"ppl_ratio", estimate(r.ppl_ratio)},
          {"ln_ppl_ratio", estimate(r.log_ppl_ratio)},
          {"ppl_difference", estimate(r.ppl_difference)},
          {"ln_p_correlation", r.ppl_correlation},
          {"kld",
           {{"mean", r.kld.value},
            {"error", r.kld.error},
            {"max", r.kld_max},
            {"p99.9", r.kld_999},
            {"p99", r.kld_99},
            {"p95", r.kld_95},
            {"p90", r.kld_90},
            {"median", r.kld_median},
            {"p10", r.kld_10},
            {"p5", r.kld_5},
            {"p1", r.kld_1},
            {"p0.1", r.kld_01},
            {"min", r.kld_min}}},
          {"delta_p",
           {{"mean", r.p_change.value},
            {"error", r.p_change.error},
            {"rms", r.p_rms.value},
            {"rms_error", r.p_rms.error},
            {"max", r.p_max},
            {"p99.9", r.p_999},
            {"p99", r.p_99},
            {"p95", r.p_95},
            {"p75", r.p_75},
            {"median", r.p_median},
            {"p25", r.p_25},
            {"p5", r.p_5},
            {"p1", r.p_1},
            {"p0.1", r.p_01},
            {"min", r.p_min}}},
          {"same_top", estimate(r.same_top)}};
}

void PerplexityCommand::compare(Console& console, const Model& loaded) {
  std::optional<quality::LogitsFile> recorded;
  std::optional<gguf::File> second;
  quality::Windows windows;
  if (!base_file.empty()) {
    recorded.emplace(base_file);
    if (!text.empty()) console.warn("-f {} is not read: {} holds the tokens of its text", text, base_file);
    auto tokens = recorded->tokens();
    if (n_chunks >= 0)
      tokens.resize(
          std::min(tokens.size(), static_cast<std::size_t>(n_chunks) * static_cast<std::size_t>(recorded->n_ctx())));
    windows = {std::move(tokens), recorded->n_ctx(), loaded.tokenizer()};
  } else {
    second = gguf::File::open(reference);
    windows = cut(loaded);
  }
  Progress progress(console, static_cast<std::size_t>(windows.size()));
  const auto on_window = [&](std::int32_t done, std::int32_t total) {
    progress.update(static_cast<std::size_t>(done), model.model);
    if (cancel_flag() && done < total) console.warn("interrupted after {} of {} windows", done, total);
    return !cancel_flag();
  };
  const quality::ReaderOptions options = reader(windows.n_ctx());
  const quality::Divergence d =
      recorded ? quality::measure_divergence(loaded.file(), loaded.device(), windows, options, *recorded, on_window)
               : quality::measure_divergence(loaded.file(), loaded.device(), windows, options, *second, on_window);
  const DivergenceReport r = d.report();
  if (!json) return console.result(table(r));
  Json out = {
      {"model", model.model}, {"reference", base_file.empty() ? reference : base_file}, {"n_ctx", windows.n_ctx()}};
  out.update(as_json(r));
  console.result(dump(out) + "\n");
}

}  // namespace

void add_perplexity(CLI::App& app, Console& console) {
  auto c = std::make_shared<PerplexityCommand>();
  auto* sub = app.add_subcommand("perplexity", "perplexity of a text, and KL divergence from another model");
  sub->footer(
      "Examples:\n"
      "  mtmd perplexity model.gguf -f wiki.test.raw\n"
      "  mtmd perplexity model-Q4_K_M.gguf -f wiki.test.raw --kl-divergence model-F16.gguf\n"
      "  mtmd perplexity model-F16.gguf -f wiki.test.raw --kl-divergence-base base.kld       record the reference\n"
      "  mtmd perplexity model-Q4_K_M.gguf --kl-divergence --kl-divergence-base base.kld     compare with it");
  sub->add_option("model", c->positional, "language model (GGUF), or -m")->type_name("FILE");
  c->model.add(*sub, false);
  c->session.add(*sub);
  sub->add_option("-f,--file", c->text, "the text (-: stdin)")->type_name("FILE");
  sub->add_option("--chunks", c->n_chunks, "at most so many windows")->type_name("N");
  sub->add_option("--ppl-stride", c->stride, "0: whole windows, the only way here")->type_name("N");
  sub->add_flag("--parse-special", c->parse_special, "recognise special tokens in the text");
  sub->add_option("--kl-divergence-base,--save-all-logits", c->base_file,
                  "record log probabilities here; with --kl-divergence: compare with them")
      ->type_name("FILE");
  c->divergence =
      sub->add_option("--kl-divergence", c->reference, "compare with a reference model, or with --kl-divergence-base")
          ->type_name("[FILE]")
          ->expected(0, 1);
  sub->add_flag("--json", c->json, "JSON instead of a table");
  sub->add_flag("--force", c->force, "replace recorded log probabilities that exist");
  sub->callback([c, &console] { c->run(console); });
}

}  // namespace mtmd::cli
