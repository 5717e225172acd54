// mtmd bench: how fast a model runs on this machine. Options and columns are llama-bench's.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/ceilings.h"
#include "bench/compare.h"
#include "bench/encoder_runner.h"
#include "bench/interleave.h"
#include "bench/media_bench.h"
#include "bench/on_request.h"
#include "bench/op_bench.h"
#include "bench/options.h"
#include "bench/plot.h"
#include "bench/report.h"
#include "bench/shapes.h"
#include "bench/text_bench.h"
#include "engine/base/error.h"
#include "engine/base/output_file.h"
#include "engine/quant/quant.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/verb.h"
#include "mtmd/model.h"

namespace mtmd::cli {
namespace {

using bench::Json;
using bench::Result;

class BenchCommand {
 public:
  BenchOptions o;

  void run(Console& console) {
    o.check();
    if (o.ceilings) return run_ceilings(console);
    if (!o.interleave.empty()) return run_interleaved(console);
    if (o.on_request) return serve(console);
    if (o.ops) return finish(console, run_ops(console));
    if (o.models.empty() && o.shapes.empty() && (o.mmproj.empty() || !media()))
      fail(ErrorCategory::usage, "bench: no model given; use -m FILE or --shape NAME (or --mmproj FILE --image 512, --ops, --ceilings)");
    finish(console, media() ? run_media(console) : run_text(console));
  }

 private:
  void said(Console& console, const Result& r) const {
    console.detail("{} {}: {:.2f} {}", r.model_filename, r.test, bench::median(r.rates()), r.unit);
    for (const std::string& complaint : r.samples.conditions.complaints()) console.warn("{}: {}", r.test, complaint);
    const auto far = bench::outliers(r.samples.seconds);
    if (!far.empty()) console.warn("{}: {} of {} samples are far from the others", r.test, far.size(), r.samples.seconds.size());
  }

  /// Calls `use(file, name)` for every model file and every shape of every type.
  template <class F>
  void each_text_model(F use) const {
    for (const std::string& path : o.models) {
      const gguf::File file = gguf::File::open(path);
      file.prefetch();
      use(file, path);
    }
    for (const std::string& shape : words(o.shapes, "--shape"))
      for (const std::string& type : words(o.weight_types, "--type")) {
        const bench::RandomModel model = bench::random_model(shape, type);
        if (!model.text)
          fail(ErrorCategory::usage, "bench: --shape {} is an encoder; measure it with --image or --audio", shape);
        use(model.text->file(), model.name);
      }
  }

  std::vector<Result> run_text(Console& console) const {
    const auto tests = o.tests();
    std::vector<Result> results;
    each_text_model([&](const gguf::File& file, const std::string& name) {
      const bench::ModelFacts facts = bench::model_facts(file, name);
      for (const bench::TextOptions& setting : o.settings()) {
        const bench::Limits limits = o.no_limits ? bench::Limits{} : bench::measure_limits(setting.threads, setting.isa);
        bench::forget_peak_memory();
        auto some = bench::bench_text(file, facts, setting, tests, o.plan(), limits,
                                      [&](const Result& r) { said(console, r); });
        std::ranges::move(some, std::back_inserter(results));
      }
    });
    return results;
  }

  /// Calls `use(text, encoder, name)` for every pair of files, for an mmproj file alone and for every shape of every type.
  template <class F>
  void each_encoder(F use) const {
    const auto encode = [&](const gguf::File* text, gguf::File& encoder, const std::string& name) {
      encoder.set_precision(parse_encoder_precision(o.encoder_precision));
      encoder.prefetch();
      use(text, encoder, name);
    };
    for (const std::string& path : o.models) {
      const auto mmproj = o.mmproj.empty() ? find_mmproj(path) : std::optional<std::filesystem::path>(o.mmproj);
      if (!mmproj) fail(ErrorCategory::usage, "bench: {} has no mmproj file beside it; give one with --mmproj", path);
      const gguf::File text = gguf::File::open(path);
      gguf::File encoder = gguf::File::open(*mmproj);
      text.prefetch();
      encode(&text, encoder, path);
    }
    if (o.models.empty() && !o.mmproj.empty()) {
      gguf::File encoder = gguf::File::open(o.mmproj);
      encode(nullptr, encoder, o.mmproj);
    }
    for (const std::string& shape : words(o.shapes, "--shape"))
      for (const std::string& type : words(o.weight_types, "--type")) {
        const bench::RandomModel model = bench::random_model(shape, type);
        if (!model.encoder) fail(ErrorCategory::usage, "bench: --shape {} has no encoder", shape);
        encode(model.text ? &model.text->file() : nullptr, model.encoder->file(), model.name);
      }
  }

  bool media() const { return !o.images.empty() || !o.sounds.empty(); }

  std::vector<bench::Size> picture_sizes() const {
    std::vector<bench::Size> sizes;
    for (const std::string& list : o.images) std::ranges::copy(bench::parse_sizes(list, "--image"), std::back_inserter(sizes));
    return sizes;
  }

  std::vector<Result> run_media(Console& console) const {
    std::vector<Result> results;
    each_encoder([&](const gguf::File* text, gguf::File& encoder, const std::string& name) {
      const bench::MediaJob job{text, &encoder, name, picture_sizes(), counts(o.sounds, "--audio", 1), counts(o.generates, "-n").front(), o.cosine};
      for (const bench::TextOptions& setting : o.settings()) {
        bench::forget_peak_memory();
        auto some = bench::bench_media(job, setting, o.plan(), [&](const Result& r) { said(console, r); });
        std::ranges::move(some, std::back_inserter(results));
      }
    });
    return results;
  }

  std::vector<Result> run_ops(Console& console) const {
    std::vector<DType> types;
    if (!weight_types_given_) {
      for (const quant::Format& f : quant::all())
        if (f.encode && f.type != DType::F64 && f.type != DType::Q8_K) types.push_back(f.type);
    } else {
      for (const std::string& t : words(o.weight_types, "--type")) {
        const auto type = dtype_from_name(t);
        if (!type) fail(ErrorCategory::usage, "bench: --type {}: no such type", t);
        types.push_back(*type);
      }
    }
    std::vector<Result> results;
    for (const bench::TextOptions& setting : o.settings()) {
      const bench::OpOptions options{setting.threads, setting.isa, types, counts(o.tokens, "--tokens", 1)};
      const auto limits = o.no_limits ? bench::OpLimits{} : bench::measure_op_limits(setting.threads, setting.isa);
      auto some = bench::bench_ops(options, o.plan(), limits, [&](const Result& r) { said(console, r); });
      std::ranges::move(some, std::back_inserter(results));
    }
    return results;
  }

  void run_ceilings(Console& console) const {
    std::string text = "| threads | ceiling | instruction set | how | G/s | median |\n| ---: | --- | --- | --- | ---: | ---: |\n";
    std::vector<Json> records;
    for (const std::int32_t n : counts(o.threads, "-t")) {
      ThreadPool pool(n);
      for (const bench::Ceiling& c : bench::all_ceilings(pool, {})) {
        text += fmt::format("| {} | {} | {} | {} | {:.1f} | {:.1f} |\n", pool.size(), c.what, c.isa, c.how, c.best / 1e9,
                            c.median / 1e9);
        records.push_back({{"n_threads", pool.size()}, {"ceiling", c.what}, {"isa", c.isa}, {"how", c.how}, {"best", c.best}, {"median", c.median}});
      }
    }
    console.result(written(text, records));
  }

  std::string written(const std::string& table, std::span<const Json> records) const {
    if (o.output == "csv") return bench::csv(records);
    if (o.output == "json") return bench::json_list(records);
    if (o.output == "jsonl") return bench::jsonl(records);
    return table;
  }

  /// Tables, data, the comparison with an earlier run and the chart.
  void finish(Console& console, const std::vector<Result>& results) const {
    const bench::Machine machine = bench::machine_facts();
    std::vector<Json> records;
    for (const Result& r : results) records.push_back(bench::to_json(machine, r));
    std::string table = bench::markdown(results);
    if (o.output == "md") table += fmt::format("\n{}, {}, {:.2f} GHz, {} threads; build {}\n", machine.cpu, machine.isa, machine.ghz,
                                               results.front().n_threads, machine.commit);
    draw(results, machine);
    if (o.compare.empty()) return console.result(written(table, records));
    const auto comparisons = bench::compare(bench::read_records(o.compare), records);
    console.result(o.output == "md" ? table + "\n" + bench::markdown(comparisons, o.compare, "now") : written(table, records));
    if (o.output != "md") console.info("{}", bench::markdown(comparisons, o.compare, "now"));
    if (bench::any_slower(comparisons)) console.status = exit_code(ErrorCategory::failed);
  }

  void draw(std::span<const Result> results, const bench::Machine& machine) const {
    if (o.plot.empty()) return;
    const bool one = std::ranges::all_of(results, [&](const Result& r) { return r.model_filename == results.front().model_filename; });
    const std::string model = one ? std::filesystem::path(results.front().model_filename).filename().string() : "";
    const std::string svg = bench::plot(results, fmt::format("{}{}{}", model, model.empty() ? "" : " on ", machine.cpu));
    OutputFile file(o.plot);
    file.write(std::as_bytes(std::span(svg)));
    file.commit();
  }

  void serve(Console& console) const {
    const auto settings = o.settings();
    if (o.models.size() + o.shapes.size() + (media() && o.models.empty() && !o.mmproj.empty()) != 1 || settings.size() != 1 ||
        words(o.weight_types, "--type").size() != 1)
      fail(ErrorCategory::usage, "bench: --on-request serves one model with one setting");
    std::vector<bench::Served> served;
    const auto what = [](Device& device) { return "mtmd, " + device.info().description; };
    if (media())
      return each_encoder([&](const gguf::File*, gguf::File& encoder, const std::string&) {
        bench::EncoderRunner runner(encoder, {.threads = settings[0].threads, .isa = settings[0].isa}, picture_sizes(), counts(o.sounds, "--audio", 1));
        for (const auto& t : runner.tests()) served.push_back({.name = t.name, .tokens = t.tokens, .run = [&runner, &t] { runner.run(t); }});
        bench::serve_samples(what(runner.device()), served, console);
      });
    const auto tests = o.tests();
    each_text_model([&](const gguf::File& file, const std::string&) {
      bench::TextRunner runner(file, settings[0], tests);
      for (const bench::Test& t : tests)
        served.push_back({t.name(), t.tokens(), [&runner, &t] { runner.prepare(t); }, [&runner, &t] { runner.run(t); }});
      bench::serve_samples(what(runner.device()), served, console);
    });
  }

  std::vector<std::string> shared_arguments() const {
    std::vector<std::string> arguments = {"bench", "--on-request", "--quiet"};
    const auto add = [&](const char* flag, const std::vector<std::string>& texts) {
      if (texts.empty() || texts == std::vector<std::string>{""}) return;
      std::string joined;
      for (const std::string& t : texts) joined += (joined.empty() ? "" : ",") + t;
      arguments.insert(arguments.end(), {flag, joined});
    };
    add("--model", o.models);
    add("--shape", o.shapes);
    add("--type", o.weight_types);
    add("--n-prompt", o.prompts);
    add("--n-gen", o.generates);
    add("--n-depth", o.depths);
    add("--n-parallel", o.parallel);
    add("--threads", o.threads);
    add("--batch-size", o.batches);
    add("--ubatch-size", o.ubatches);
    add("--cache-type-k", o.cache_k);
    add("--isa", o.isas);
    add("--image", o.images);
    add("--audio", o.sounds);
    if (media()) add("--encoder-precision", {o.encoder_precision});
    if (!o.mmproj.empty()) add("--mmproj", {o.mmproj});
    for (const std::string& pair : o.pairs) arguments.insert(arguments.end(), {"--n-prompt-gen", pair});
    return arguments;
  }

  void run_interleaved(Console& console) const {
    char self[PATH_MAX];
    const auto length = ::readlink("/proc/self/exe", self, sizeof self);
    if (length <= 0) fail(ErrorCategory::device, "bench --interleave: /proc/self/exe cannot be read");
    const std::string program(self, static_cast<std::size_t>(length));
    const auto arguments = shared_arguments();
    const bench::Side sides[2] = {bench::make_side(program, arguments, o.interleave[0]),
                                  bench::make_side(program, arguments, o.interleave[1])};
    const bench::Turns turns = bench::take_turns(sides[0], sides[1], o.plan());
    const auto tests = media() ? std::vector<bench::Test>(turns.tests.size()) : o.tests();
    if (turns.tests.size() != tests.size())
      fail(ErrorCategory::usage, "bench --interleave: a setting may not change the tests themselves");
    std::vector<Result> results;
    std::vector<bench::Comparison> comparisons;
    for (std::size_t i = 0; i < tests.size(); ++i) {
      std::vector<double> rates[2];
      for (const int side : {0, 1}) {
        Result r;
        r.setting = sides[side].setting.empty() ? "as it is" : sides[side].setting;
        if (!o.models.empty()) r.model_filename = o.models[0];
        r.test = turns.tests[i];
        r.n_prompt = tests[i].prompt, r.n_gen = tests[i].generate, r.n_depth = tests[i].depth, r.n_parallel = tests[i].sequences;
        r.amount = media() ? 1 : static_cast<double>(tests[i].tokens());
        if (media()) r.unit = "1/s";
        r.samples.seconds = turns.seconds[side][i];
        rates[side] = r.rates();
        results.push_back(std::move(r));
      }
      comparisons.push_back(bench::compare_pairs(turns.tests[i], rates[0], rates[1]));
    }
    const bench::Machine machine = bench::machine_facts();
    std::vector<Json> records;
    for (const Result& r : results) records.push_back(bench::to_json(machine, r));
    draw(results, machine);
    const std::string table = bench::markdown(comparisons, results[0].setting, results[1].setting);
    console.result(written(table, records));
    if (o.output != "md") console.info("{}", table);
    if (bench::any_slower(comparisons)) console.status = exit_code(ErrorCategory::failed);
  }

 public:
  bool weight_types_given_ = false;
};

}  // namespace

void add_bench(CLI::App& app, Console& console) {
  auto command = std::make_shared<BenchCommand>();
  auto* sub = app.add_subcommand("bench", "how fast a model runs on this machine");
  command->o.add(*sub);
  sub->callback([command, sub, &console] {
    command->weight_types_given_ = sub->count("--type") > 0;
    command->run(console);
  });
}

}  // namespace mtmd::cli
