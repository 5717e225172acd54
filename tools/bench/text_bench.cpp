#include "bench/text_bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "bench/statistics.h"
#include "engine/base/isa.h"

namespace mtmd::bench {
namespace {

bool starts_any(std::string_view name, std::initializer_list<std::string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](std::string_view b) { return name.starts_with(b); });
}

/// Of expert weights only what is used counts.
double used_share(const gguf::File& file, const gguf::TensorInfo& t, const std::string& architecture) {
  if (t.shape.size() < 3) return 1;
  const auto n = file.metadata().get_or<std::int32_t>(architecture + ".expert_count", 0);
  const auto used = file.metadata().get_or<std::int32_t>(architecture + ".expert_used_count", n);
  return n > 0 ? static_cast<double>(used) / n : 1;
}

void explain(Result& r, const Test& test, const ModelFacts& facts, const Limits& limits,
             std::span<const double> memory_rates) {
  const double rate = median(r.rates());
  if (test.generate > 0 && test.prompt == 0 && !memory_rates.empty()) {
    const double memory = median(memory_rates);
    const double read = static_cast<double>(facts.streamed_bytes) * rate / test.sequences;
    r.extra.emplace_back("memory_read_bytes_per_second", memory);
    r.extra.emplace_back("weight_bytes_per_second", read);
    r.limit = fmt::format("{:.0f} % of memory read", 100 * read / memory);
  }
  if (test.prompt > 0 && test.generate == 0 && limits.int8 > 0) {
    const double operations = 2 * facts.products * rate;
    r.extra.emplace_back("weight_operations_per_second", operations);
    r.extra.emplace_back("int8_operations_per_second", limits.int8);
    r.limit = fmt::format("{:.0f} % of int8 dot", 100 * operations / limits.int8);
    if (limits.bf16 > 0) {
      r.extra.emplace_back("bf16_operations_per_second", limits.bf16);
      r.limit += fmt::format(", {:.0f} % of bf16", 100 * operations / limits.bf16);
    }
  }
}

}  // namespace

void ModelFacts::copy_to(Result& result) const {
  result.model_filename = file;
  result.model_type = architecture;
  result.weight_types = types;
  result.model_size = bytes;
  result.model_n_params = parameters;
}

ModelFacts model_facts(const gguf::File& file, std::string name) {
  ModelFacts facts;
  facts.file = std::move(name);
  facts.architecture = std::string(file.metadata().get_or<std::string_view>("general.architecture", "unknown"));
  std::map<DType, std::uint64_t> bytes;
  for (const gguf::TensorInfo& t : file.tensors()) {
    bytes[t.type] += t.data.size();
    facts.bytes += t.data.size();
    facts.parameters += static_cast<std::uint64_t>(t.n_values());
    const double share = used_share(file, t, facts.architecture);
    const bool idle_table = t.name == "token_embd.weight" && file.find("output.weight");
    if (!idle_table) facts.streamed_bytes += static_cast<std::uint64_t>(share * static_cast<double>(t.data.size()));
    if (t.shape.size() >= 2 && starts_any(t.name, {"blk."})) facts.products += share * static_cast<double>(t.n_values());
  }
  std::vector<std::pair<std::uint64_t, DType>> order;
  for (const auto& [type, n] : bytes) order.emplace_back(n, type);
  std::ranges::sort(order, std::greater<>());
  for (const auto& [n, type] : order) {
    const double percent = 100.0 * static_cast<double>(n) / static_cast<double>(facts.bytes);
    if (percent >= 1)
      facts.types += fmt::format("{}{} {:.0f} %", facts.types.empty() ? "" : ", ", mtmd::name(type), percent);
  }
  return facts;
}

Limits measure_limits(int threads, const std::string& isa) {
  Limits limits;
  limits.pool = std::make_unique<ThreadPool>(threads);
  limits.memory = std::make_unique<MemoryProbe>(*limits.pool);
  const CeilingOptions options{.isa = isa, .seconds = 0.02, .samples = 5};
  limits.int8 = dot_ceiling(*limits.pool, "int8 dot", options).best;
  limits.bf16 = dot_ceiling(*limits.pool, "bf16 dot", options).best;
  return limits;
}

std::vector<Result> bench_text(const gguf::File& file, const ModelFacts& facts, const TextOptions& options,
                               std::span<const Test> tests, const Plan& plan, const Limits& limits,
                               const std::function<void(const Result&)>& progress) {
  TextRunner runner(file, options, tests);
  std::vector<Result> results;
  for (const Test& t : tests) {
    std::vector<double> first_token, memory_rates;
    Result r;
    facts.copy_to(r);
    r.n_threads = runner.device().info().threads;
    r.isa = mtmd::name(select_isa(options.isa));
    r.n_batch = options.batch, r.n_ubatch = std::min(options.ubatch, options.batch);
    r.type_k = r.type_v = mtmd::name(options.cache_type);
    r.test = t.name();
    r.n_prompt = t.prompt, r.n_gen = t.generate, r.n_depth = t.depth, r.n_parallel = t.sequences;
    r.amount = static_cast<double>(t.tokens());
    r.samples = measure(
        plan,
        [&] {
          runner.prepare(t);
          if (limits.memory && t.generate > 0) memory_rates.push_back(limits.memory->rate());
        },
        [&] {
          first_token.push_back(runner.run(t));
          return -1.0;
        });
    const std::size_t warmups = r.samples.warmup.size();
    if (limits.memory) r.samples.conditions.peak_bytes -= std::min(r.samples.conditions.peak_bytes, std::uint64_t{limits.memory->bytes()});
    r.extra.emplace_back("first_token_ms", 1e3 * median(std::span(first_token).subspan(warmups)));
    r.extra.emplace_back("cache_bytes", static_cast<double>(runner.cache().bytes()));
    explain(r, t, facts, limits, memory_rates.empty() ? memory_rates : std::span<const double>(memory_rates).subspan(warmups));
    results.push_back(std::move(r));
    if (progress) progress(results.back());
  }
  return results;
}

}  // namespace mtmd::bench
