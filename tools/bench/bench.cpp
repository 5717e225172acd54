// mtmd bench: how fast a model runs on this machine. Options and columns are llama-bench's.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/benchmark.h"
#include "engine/base/error.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BenchCommand {
  std::vector<std::string> models;
  std::vector<std::int32_t> prompts = {512}, generates = {128}, depths = {0};
  std::vector<std::string> pairs, types;
  std::vector<int> threads = {0};
  std::int32_t ubatch = 512;
  int repetitions = 5;
  std::string output = "md", cache_k = "f16", cache_v = "f16";
  std::vector<std::int64_t> tokens = {1, 4, 16, 256}, shape = {2048, 2048};
  bool ops = false;

  void run(Console& console) const {
    if (ops) return run_ops(console);
    if (models.empty()) fail(ErrorCategory::usage, "bench: no model given; use -m FILE (or --ops for single kernels)");
    std::string text = output == "md" ? model_header() : "";
    Json all = Json::array();
    for (const std::string& model : models)
      for (const int n : threads) {
        const bench::ModelReport report =
            bench::bench_model(model, tests(), options(n), [&](const bench::ModelResult& r) {
              console.detail("{}: {} {:.2f} t/s", model, r.test.name(), r.tokens_per_second());
            });
        for (const bench::ModelResult& r : report.results) {
          if (output == "md") text += row(report, r);
          if (output == "jsonl") text += json(report, r).dump() + "\n";
          if (output == "json") all.push_back(json(report, r));
        }
      }
    console.result(output == "json" ? all.dump(2) + "\n" : text);
  }

 private:
  bench::ModelOptions options(int n_threads) const {
    const auto type = dtype_from_name(cache_k);
    if (cache_k != cache_v || !type)
      fail(ErrorCategory::usage, "bench: -ctk {} and -ctv {}: the cache has one type, f32, f16 or q8_0", cache_k,
           cache_v);
    return {.threads = n_threads, .ubatch = ubatch, .cache_type = *type, .repetitions = repetitions};
  }

  std::vector<bench::Test> tests() const {
    std::vector<bench::Test> list;
    for (const std::int32_t depth : depths) {
      for (const std::int32_t p : prompts)
        if (p > 0) list.push_back({p, 0, depth});
      for (const std::int32_t n : generates)
        if (n > 0) list.push_back({0, n, depth});
      for (const std::string& pair : pairs) {
        bench::Test t{0, 0, depth};
        char end = 0;
        if (std::sscanf(pair.c_str(), "%d,%d%c", &t.prompt, &t.generate, &end) != 2 || t.prompt <= 0 || t.generate <= 0)
          fail(ErrorCategory::usage, "bench: -pg {}: expected two counts, e.g. 512,128", pair);
        list.push_back(t);
      }
    }
    if (list.empty()) fail(ErrorCategory::usage, "bench: nothing to measure: -p, -n and -pg are all zero");
    return list;
  }

  static std::string model_header() {
    return "| model | size | params | backend | threads | test | t/s |\n| --- | ---: | ---: | --- | ---: | ---: | ---: "
           "|\n";
  }

  static std::string row(const bench::ModelReport& report, const bench::ModelResult& r) {
    const double median = r.samples.median(), rate = r.tokens_per_second();
    return fmt::format("| {} {} | {:.2f} MiB | {:.2f} M | {} | {} | {} | {:.2f} ± {:.2f} |\n", report.architecture,
                       report.types, static_cast<double>(report.weight_bytes) / (1 << 20),
                       static_cast<double>(report.parameters) / 1e6, report.device.name, report.device.threads,
                       r.test.name(), rate, rate * r.samples.spread() / median);
  }

  static Json json(const bench::ModelReport& report, const bench::ModelResult& r) {
    Json samples = Json::array();
    for (const double s : r.samples.seconds) samples.push_back(static_cast<std::int64_t>(s * 1e9));
    return {{"model_filename", report.file},
            {"model_type", report.architecture},
            {"weight_types", report.types},
            {"model_size", report.weight_bytes},
            {"model_n_params", report.parameters},
            {"backends", report.device.name},
            {"cpu_info", report.device.description},
            {"n_threads", report.device.threads},
            {"n_prompt", r.test.prompt},
            {"n_gen", r.test.generate},
            {"n_depth", r.test.depth},
            {"median_ns", static_cast<std::int64_t>(r.samples.median() * 1e9)},
            {"spread_ns", static_cast<std::int64_t>(r.samples.spread() * 1e9)},
            {"median_ts", r.tokens_per_second()},
            {"samples_ns", std::move(samples)}};
  }

  std::vector<DType> op_types() const {
    if (types.empty())
      return {DType::F32,  DType::F16,    DType::BF16,   DType::Q8_0, DType::Q4_0, DType::Q4_1,
              DType::Q5_0, DType::Q5_1,   DType::Q2_K,   DType::Q3_K, DType::Q4_K, DType::Q5_K,
              DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4};
    std::vector<DType> list;
    for (const std::string& t : types) {
      const auto type = dtype_from_name(t);
      if (!type) fail(ErrorCategory::usage, "bench: --type {}: no such type", t);
      if (shape[1] % info(*type).block_size != 0)
        fail(ErrorCategory::usage, "bench: --shape {},{}: rows of {} are not whole blocks of {}", shape[0], shape[1],
             shape[1], name(*type));
      list.push_back(*type);
    }
    return list;
  }

  void run_ops(Console& console) const {
    std::string text = output == "md" ? "| type | shape | tokens | us | GB/s | of memory | GOPS |\n| --- | --- | ---: "
                                        "| ---: | ---: | ---: | ---: |\n"
                                      : "";
    Json all = Json::array();
    for (const int n_threads : threads) {
      const auto device = make_device("cpu", {.threads = n_threads, .isa = {}});
      const double memory = bench::memory_read_rate(n_threads);
      console.info("{} threads, {}: memory read {:.1f} GB/s", device->info().threads, device->info().description,
                   memory / 1e9);
      for (const DType type : op_types())
        for (const std::int64_t n : tokens) {
          const bench::OpResult r = bench::bench_matmul(*device, type, shape[0], shape[1], n, 4 * repetitions);
          if (output == "md")
            text += fmt::format("| {} | {} x {} | {} | {:.1f} ± {:.1f} | {:.1f} | {:.0f} % | {:.0f} |\n", name(type),
                                r.rows, r.cols, n, r.samples.median() * 1e6, r.samples.spread() * 1e6,
                                r.bytes_per_second() / 1e9, 100 * r.bytes_per_second() / memory,
                                r.operations_per_second() / 1e9);
          const Json line = {{"type", name(type)},
                             {"rows", r.rows},
                             {"cols", r.cols},
                             {"tokens", n},
                             {"n_threads", device->info().threads},
                             {"median_ns", static_cast<std::int64_t>(r.samples.median() * 1e9)},
                             {"bytes_per_second", r.bytes_per_second()},
                             {"memory_bytes_per_second", memory},
                             {"operations_per_second", r.operations_per_second()}};
          if (output == "jsonl") text += line.dump() + "\n";
          if (output == "json") all.push_back(line);
        }
    }
    console.result(output == "json" ? all.dump(2) + "\n" : text);
  }
};

}  // namespace

void add_bench(CLI::App& app, Console& console) {
  auto command = std::make_shared<BenchCommand>();
  auto* sub = app.add_subcommand("bench", "how fast a model runs on this machine");
  sub->footer(
      "Examples:\n"
      "  mtmd bench -m model.gguf                          prompt of 512 tokens, generation of 128\n"
      "  mtmd bench -m a.gguf -m b.gguf -p 256,512 -n 32 -d 0,4096 -t 1,2 -r 10\n"
      "  mtmd bench -m model.gguf -o json > today.json     every sample\n"
      "  mtmd bench --ops --type q4_k,q8_0 --tokens 1,512  single matrix products\n"
      "Numbers are medians, ± half the distance between the quartiles, after one run to warm up.");
  sub->add_option("-m,--model", command->models, "GGUF files")->type_name("FILE");
  sub->add_option("-p,--n-prompt", command->prompts, "prompt lengths")->delimiter(',')->check(CLI::NonNegativeNumber);
  sub->add_option("-n,--n-gen", command->generates, "tokens to generate one by one")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--pg,--n-prompt-gen", command->pairs, "prompt then generation, as P,N")->type_name("P,N");
  sub->add_option("-d,--n-depth", command->depths, "tokens in the cache beforehand")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  sub->add_option("-r,--repetitions", command->repetitions, "measured runs of each test")->check(CLI::PositiveNumber);
  sub->add_option("-t,--threads", command->threads, "thread counts (0: one per core)")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  sub->add_option("-u,--ub,--ubatch-size", command->ubatch, "rows computed at once")->check(CLI::PositiveNumber);
  sub->add_option("--ctk,--cache-type-k", command->cache_k, "f32, f16 or q8_0");
  sub->add_option("--ctv,--cache-type-v", command->cache_v, "the same as for keys");
  sub->add_option("-o,--output", command->output, "md, json or jsonl")->check(CLI::IsMember({"md", "json", "jsonl"}));
  sub->add_flag("--ops", command->ops, "single matrix products instead of a model");
  sub->add_option("--type", command->types, "--ops: weight types")->delimiter(',');
  sub->add_option("--tokens", command->tokens, "--ops: tokens")->delimiter(',')->check(CLI::PositiveNumber);
  sub->add_option("--shape", command->shape, "--ops: rows,cols")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::PositiveNumber);
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
