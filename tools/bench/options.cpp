#include "bench/options.h"

#include <memory>

#include "engine/base/error.h"
#include "engine/tensor/dtype.h"

namespace mtmd::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  mtmd bench -m model.gguf                             prompt of 512 tokens, generation of 128\n"
    "  mtmd bench -m a.gguf -m b.gguf -p 256,512 -n 32 -d 0,4096 -t 1,2 -r 10\n"
    "  mtmd bench --shape llama-3.2-1b --type Q8_0,Q4_K_M   no file needed: random weights of the true shape\n"
    "  mtmd bench -m model.gguf -npl 1-8*2 -p 0 --plot batches.svg\n"
    "  mtmd bench -m model.gguf -o json > today.json        every sample, the machine, the commit\n"
    "  mtmd bench -m model.gguf --compare yesterday.json    exit status 1 when something is slower\n"
    "  mtmd bench -m model.gguf --interleave isa=avx2 isa=avx512\n"
    "  mtmd bench -m model.gguf --interleave program=old/mtmd program=new/mtmd\n"
    "  mtmd bench --shape qwen2-vl-2b --image 1024x768      decode, resize, encode, prefill, generate\n"
    "  mtmd bench --ops --type Q4_K,Q8_0                    single kernels against the machine's ceilings\n"
    "  mtmd bench --ceilings                                memory read, int8, bf16 and f32 products\n";

class ExamplesFirst : public CLI::Formatter {
  std::string make_description(const CLI::App* app) const override { return app->get_description() + "\n" + kExamples; }
};

}  // namespace

std::vector<std::int32_t> counts(const std::vector<std::string>& texts, std::string_view flag, std::int32_t lowest) {
  std::vector<std::int32_t> all;
  for (const std::string& text : texts) {
    const auto values = bench::parse_counts(text, flag, lowest);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

std::vector<std::string> words(const std::vector<std::string>& texts, std::string_view flag) {
  std::vector<std::string> all;
  for (const std::string& text : texts) {
    if (text.empty()) {
      all.emplace_back();
      continue;
    }
    for (const std::string_view piece : bench::split_list(text, flag)) all.emplace_back(piece);
  }
  return all;
}

void BenchOptions::add(CLI::App& app) {
  const auto list = [&](const char* names, std::vector<std::string>& into, const char* help, const char* type) {
    app.add_option(names, into, help)->type_name(type)->allow_extra_args(false);
  };
  app.formatter(std::make_shared<ExamplesFirst>());
  app.footer(
      "Lists: 256,512; ranges: 256-1024*2 (256 512 1024), 1-8+1. Rates are medians; ± reaches to the farther end of the\n"
      "95 % interval of the median (order statistics; five samples reach 94 %).");
  list("-m,--model", models, "GGUF files", "FILE");
  list("--shape", shapes, "random weights in memory instead: qwen2.5-0.5b, llama-3.2-1b, smolvlm-500m, … (an unknown name lists them)", "NAME");
  list("--type", weight_types, "of --shape: F16, BF16, Q8_0, Q4_K_M, …; of --ops: weight types", "TYPE");
  list("-p,--n-prompt", prompts, "prompt lengths (512)", "N");
  list("-n,--n-gen", generates, "tokens to generate one by one (128)", "N");
  list("--pg,--n-prompt-gen", pairs, "prompt then generation, as P,N (-pg)", "P,N");
  list("-d,--n-depth", depths, "tokens in the cache beforehand (0)", "N");
  list("--npl,--n-parallel", parallel, "sequences generated side by side, each with its own depth (1) (-npl)", "N");
  list("-b,--batch-size", batches, "tokens of a prompt handed over at once (2048)", "N");
  list("--ub,--ubatch-size", ubatches, "rows computed at once (512) (-ub)", "N");
  list("--ctk,--cache-type-k", cache_k, "f32, f16 or q8_0 (f16) (-ctk)", "TYPE");
  list("--ctv,--cache-type-v", cache_v, "the same as for keys (-ctv)", "TYPE");
  list("-t,--threads", threads, "thread counts (0: one per core)", "N");
  list("--isa", isas, "instruction sets: base, avx2, avx512, amx", "ISA");
  app.add_option("--fa,--flash-attn", flash, "on, off or auto: attention here is always tiled, off is an error (-fa)")
      ->type_name("HOW")
      ->check(CLI::IsMember({"0", "1", "on", "off", "auto"}));
  app.add_option("--ngl,--n-gpu-layers", gpu_layers, "0: there are no GPU layers here (-ngl)");
  app.add_option("--mmp,--mmap", mmap, "1: files are always mapped (-mmp)");
  app.add_option("-r,--repetitions", repetitions, "measured runs of each test")->check(CLI::Range(1, 100000));
  app.add_flag("--no-warmup", no_warmup, "measure at once instead of when two runs in a row agree within 5 %");
  list("--image", images, "pictures of these sizes through decoding, resizing, encoder, prompt and answer", "WxH");
  list("--audio", sounds, "recordings of so many seconds, likewise", "SECONDS");
  app.add_option("--mmproj", mmproj, "encoder of --image and --audio; without -m it is measured alone")->type_name("FILE");
  app.add_option("--encoder-precision", encoder_precision, "of --image and --audio: f32, bf16, or auto: bf16 where the weights have no more bits")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  app.add_flag("--cosine", cosine, "encode in f32 as well, and say how far the embeddings are from that");
  app.add_flag("--ops", ops, "single kernels instead of a model");
  list("--tokens", tokens, "of --ops: tokens of matrix products (1,4,16,256)", "N");
  app.add_flag("--ceilings", ceilings,
               "what the machine does at best: memory read (bytes), int8, bf16 and f32 dot products (operations)");
  app.add_flag("--no-limits", no_limits, "do not measure what memory and multipliers give meanwhile");
  app.add_option("-o,--output", output, "md, csv, json or jsonl")->check(CLI::IsMember({"md", "csv", "json", "jsonl"}));
  app.add_option("--compare", compare, "results of an earlier run (-o json or jsonl): ratio, interval, verdict")->type_name("FILE");
  app.add_option("--plot", plot, "chart of the rates by depth, batch or threads, whatever has most values")->type_name("SVG");
  app.add_option("--interleave", interleave,
                 "two settings in turns, each 'KEY=VALUE …': a long flag of this list without its dashes, `program`, or an "
                 "environment variable; '' changes nothing")
      ->type_name("A B")
      ->expected(2);
  app.add_flag("--on-request", on_request,
               "one sample for every number of a test on stdin, in JSON: for measuring in turns with another program");
}

void BenchOptions::check() const {
  if (flash == "off" || flash == "0")
    fail(ErrorCategory::usage, "bench: -fa {}: attention here is always tiled; there is no other one to measure", flash);
  if (gpu_layers != 0) fail(ErrorCategory::usage, "bench: -ngl {}: this build computes on the CPU only", gpu_layers);
  if (mmap != 1) fail(ErrorCategory::usage, "bench: -mmp {}: files are always mapped", mmap);
  if (!cache_v.empty() && cache_v != cache_k)
    fail(ErrorCategory::usage, "bench: -ctk and -ctv differ: the cache has one type for both");
}

std::vector<bench::Test> BenchOptions::tests() const {
  std::vector<bench::Test> list;
  const auto many = counts(parallel, "-npl", 1);
  for (const std::int32_t depth : counts(depths, "-d")) {
    for (const std::int32_t p : counts(prompts, "-p"))
      if (p > 0) list.push_back({p, 0, depth, 1});
    for (const std::int32_t n : counts(generates, "-n"))
      for (const std::int32_t sequences : many)
        if (n > 0) list.push_back({0, n, depth, sequences});
    for (const std::string& pair : pairs) {
      const auto values = bench::parse_counts(pair, "-pg", 1);
      if (values.size() != 2) fail(ErrorCategory::usage, "bench: -pg {}: expected two counts, e.g. 512,128", pair);
      for (const std::int32_t sequences : many) list.push_back({values[0], values[1], depth, sequences});
    }
  }
  if (list.empty()) fail(ErrorCategory::usage, "bench: nothing to measure: -p, -n and -pg are all zero");
  return list;
}

std::vector<bench::TextOptions> BenchOptions::settings() const {
  std::vector<bench::TextOptions> list;
  for (const std::string& type_name : words(cache_k, "-ctk")) {
    const auto type = dtype_from_name(type_name);
    if (!type || (*type != DType::F32 && *type != DType::F16 && *type != DType::Q8_0))
      fail(ErrorCategory::usage, "bench: -ctk {}: the cache is f32, f16 or q8_0", type_name);
    for (const std::int32_t batch : counts(batches, "-b", 1))
      for (const std::int32_t ubatch : counts(ubatches, "-ub", 1))
        for (const std::string& isa : words(isas, "--isa"))
          for (const std::int32_t n : counts(threads, "-t"))
            list.push_back({.threads = n, .isa = isa, .batch = batch, .ubatch = ubatch, .cache_type = *type});
  }
  return list;
}

bench::Plan BenchOptions::plan() const {
  bench::Plan plan{.repetitions = repetitions};
  if (no_warmup) plan.most_warmups = 0;
  return plan;
}

}  // namespace mtmd::cli
