#include "mtmd-cli/flags.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "encoders/projector/products.h"
#include "engine/base/error.h"
#include "mtmd-cli/signals.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

std::string read_bytes(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> owned(nullptr, std::fclose);
  std::FILE* in = stdin;
  if (path != "-") {
    if (fs::is_directory(path)) fail(ErrorCategory::input, "{}: is a folder, not a file", path);
    owned.reset(in = std::fopen(path.c_str(), "rbe"));
    if (!in) fail(ErrorCategory::input, "{}: cannot open: {}", path, std::strerror(errno));
  }
  std::string all;
  char buffer[1 << 16];
  while (true) {
    const std::size_t n = std::fread(buffer, 1, sizeof buffer, in);
    all.append(buffer, n);
    if (n == sizeof buffer) continue;
    if (std::ferror(in)) {
      if (errno == EINTR && cancel_flag())
        fail(ErrorCategory::interrupted, "interrupted while reading {}", path == "-" ? "stdin" : path);
      fail(ErrorCategory::input, "{}: cannot read: {}", path == "-" ? "stdin" : path, std::strerror(errno));
    }
    return all;
  }
}

std::optional<fs::path> builtin_model() {
  constexpr const char* kName = "line-reader.gguf";
  std::vector<fs::path> places;
  if (const char* dir = std::getenv("MTMD_MODELS")) places.emplace_back(dir);
  char self[PATH_MAX];
  if (const auto n = ::readlink("/proc/self/exe", self, sizeof self); n > 0) {
    const fs::path bin = fs::path(std::string(self, static_cast<std::size_t>(n))).parent_path();
    places.push_back(bin / "../share/mtmd/models");  // installed: PREFIX/bin
    places.push_back(bin / "../../models");          // built: REPOSITORY/build/PRESET
  }
  places.emplace_back(MTMD_SOURCE_MODELS);
  std::error_code error;
  for (const fs::path& place : places)
    if (fs::exists(place / kName, error)) return fs::weakly_canonical(place / kName, error);
  return std::nullopt;
}

Precision parse_encoder_precision(std::string_view name) {
  if (name == "f32") return Precision::f32;
  return name == "bf16" ? Precision::bf16 : Precision::bf16_exact;
}

void ModelFlags::add(CLI::App& app, bool builtin_by_default) {
  builtin_ = builtin_by_default;
  app.add_option(
         "-m,--model", model,
         builtin_ ? "language model (GGUF); default: the built-in reader of printed text" : "language model (GGUF)")
      ->type_name("FILE");
  app.add_option("--mmproj,--mm", mmproj, "vision encoder (GGUF); default: the one beside the model")
      ->type_name("FILE");
  app.add_flag("--no-mmproj", no_mmproj, "text only: do not look for an mmproj file");
  app.add_option("--encoder-precision", encoder_precision,
                 "products of the encoder: f32, bf16, or auto: bf16 where its weights have no more bits")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--chat-template", chat_template, "a built-in name, a file, or Jinja text")->type_name("NAME|FILE");
  app.add_option("-t,--threads", threads, "threads (default: one per core)")->check(CLI::Range(0, 4096));
  app.add_option("--tb,--threads-batch", threads_batch, "accepted for llama.cpp's users; must equal -t")
      ->check(CLI::Range(0, 4096));
  app.add_option("--dev,--device", device, "cpu or reference");
  app.add_option("--ngl,--gpu-layers", gpu_layers, "layers on a GPU: this build has none, so 0");
}

std::shared_ptr<const Model> ModelFlags::load(Console& console) const {
  if (gpu_layers != 0) fail(ErrorCategory::usage, "-ngl {}: this build computes on the CPU only", gpu_layers);
  if (threads_batch != 0 && threads_batch != threads)
    fail(ErrorCategory::usage, "-tb {}: prompt and answer use the same threads here; give only -t", threads_batch);
  ModelOptions options;
  if (!model.empty()) {
    options.model = model;
  } else if (const auto own = builtin_ ? builtin_model() : std::nullopt) {
    options.model = *own;
  } else {
    fail(ErrorCategory::usage, "{}",
         builtin_ ? "the built-in model was not found (looked beside the program and in $MTMD_MODELS); give -m FILE"
                  : "give a model with -m FILE");
  }
  if (!mmproj.empty()) options.mmproj = mmproj;
  options.look_for_mmproj = !no_mmproj;
  options.encoder_precision = parse_encoder_precision(encoder_precision);
  options.chat_template = chat_template;
  options.device = device;
  options.device_options.threads = threads;
  auto loaded = Model::load(options);
  const DeviceInfo info = loaded->device().info();
  console.detail("model: {} ({}), device: {} ({}, {} threads)", loaded->name(), loaded->spec().architecture, info.name,
                 info.description, info.threads);
  if (const gguf::File* file = loaded->mmproj_file()) console.detail("encoder: {}", encoders::describe_products(*file));
  return loaded;
}

std::string ModelFlags::settings() const {
  return fmt::format("{}|{}|{}|{}|{}|{}", model, mmproj, no_mmproj, chat_template, device, encoder_precision);
}

void SessionFlags::add(CLI::App& app) {
  app.add_option("-c,--ctx-size", options.n_ctx, "context in tokens (0: what prompt and answer need)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--ub,--ubatch-size", options.n_ubatch, "prompt tokens computed at once")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("-b,--batch-size", n_batch, "accepted for llama.cpp's users; -ub decides")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--ctk,--cache-type-k", cache_k, "KV cache: f32, f16 or q8_0")->capture_default_str();
  app.add_option("--ctv,--cache-type-v", cache_v, "must equal -ctk")->capture_default_str();
  app.add_option("--fa,--flash-attn", flash, "on or auto (attention is always tiled here)")
      ->check(CLI::IsMember({"on", "auto", "1"}));
}

SessionOptions SessionFlags::get() const {
  if (cache_k != cache_v && cache_v != "f16")
    fail(ErrorCategory::usage, "-ctk {} -ctv {}: keys and values have the same type here", cache_k, cache_v);
  const auto type = dtype_from_name(cache_k);
  if (!type || (*type != DType::F32 && *type != DType::F16 && *type != DType::Q8_0))
    fail(ErrorCategory::usage, "-ctk {}: expected f32, f16 or q8_0", cache_k);
  SessionOptions result = options;
  result.kv_type = *type;
  return result;
}

void GenerateFlags::add(CLI::App& app) {
  SamplingOptions& s = options.sampling;
  app.add_option("-n,--predict", options.max_tokens, "tokens of the answer at most (-1: until the model stops)")
      ->check(CLI::Range(-1, INT_MAX));
  command = &app;
  app.add_option("--temp", s.temperature, "temperature; 0: greedy")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--top-k", s.top_k)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--top-p", s.top_p)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--min-p", s.min_p)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--typical", s.typical_p)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--repeat-last-n", s.penalty_last_n, "tokens that penalties look back on")
      ->check(CLI::Range(-1, INT_MAX))
      ->capture_default_str();
  app.add_option("--repeat-penalty", s.repeat_penalty)->capture_default_str();
  app.add_option("--frequency-penalty", s.frequency_penalty)->capture_default_str();
  app.add_option("--presence-penalty", s.presence_penalty)->capture_default_str();
  app.add_option("--dry-multiplier", s.dry_multiplier)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--dry-base", s.dry_base)->capture_default_str();
  app.add_option("--dry-allowed-length", s.dry_allowed_length)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--dry-penalty-last-n", s.dry_penalty_last_n)->check(CLI::Range(-1, INT_MAX))->capture_default_str();
  app.add_option("--logit-bias", logit_bias, "TOKEN+BIAS or TOKEN-BIAS, e.g. 15043-2.5")
      ->type_name("BIAS")
      ->allow_extra_args(false);
  add_grammar(app);
  app.add_option("-s,--seed", s.seed, "the same seed gives the same answer")->capture_default_str();
  app.add_option("--stop", options.stop, "text that ends the answer (repeatable)")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app.add_option("--image-min-tokens", min_tokens, "at least this many tokens for a picture")
      ->check(CLI::PositiveNumber);
  app.add_option("--image-max-tokens", max_tokens, "at most this many tokens for a picture")
      ->check(CLI::PositiveNumber);
  app.add_option("--timeout", timeout_seconds, "seconds for one item")->check(CLI::NonNegativeNumber);
  app.add_flag("--no-loop-guard", no_loop_guard, "let the model repeat itself");
  app.add_flag("--keep-thinking", keep_thinking, "do not strip <think>…</think>");
  app.add_flag("--strict", strict, "exit 9 when an answer looped or was cut, or a picture was downscaled");
}

void GenerateFlags::recommend(const SamplingOptions& r) {
  SamplingOptions& s = options.sampling;
  const auto take = [&](const char* flag, auto& ours, const auto& theirs) {
    if (command->get_option(flag)->count() == 0) ours = theirs;
  };
  take("--temp", s.temperature, r.temperature);
  take("--top-k", s.top_k, r.top_k);
  take("--top-p", s.top_p, r.top_p);
  take("--min-p", s.min_p, r.min_p);
  take("--repeat-last-n", s.penalty_last_n, r.penalty_last_n);
  take("--repeat-penalty", s.repeat_penalty, r.repeat_penalty);
}

void GenerateFlags::add_grammar(CLI::App& app) {
  SamplingOptions& s = options.sampling;
  const auto from_file = [](const char* flag, std::string& text) {  // read once, since it may be stdin
    return [flag, &text](const std::string& path) {
      text = read_bytes(path);
      if (text.empty()) fail(ErrorCategory::usage, "{} {}: the file is empty", flag, path);
    };
  };
  auto* text = app.add_option("--grammar", s.grammar, "the answer matches this grammar")->type_name("GBNF");
  auto* file = app.add_option_function<std::string>("--grammar-file", from_file("--grammar-file", s.grammar),
                                                    "the same, from a file (-: stdin)")
                   ->type_name("FILE");
  auto* schema =
      app.add_option("-j,--json-schema", s.json_schema, "the answer is JSON after this schema ({}: any JSON)")
          ->type_name("SCHEMA");
  auto* schema_file =
      app.add_option_function<std::string>("--json-schema-file", from_file("--json-schema-file", s.json_schema),
                                           "the same, from a file (-: stdin)")
          ->type_name("FILE");
  file->excludes(text);
  schema->excludes(text)->excludes(file);
  schema_file->excludes(text)->excludes(file)->excludes(schema);
}

GenerateOptions GenerateFlags::get() const {
  GenerateOptions result = options;
  grammar_of(result.sampling);  // complains before the model works
  result.loop_guard = !no_loop_guard;
  result.timeout = std::chrono::milliseconds(static_cast<long long>(timeout_seconds * 1000));
  if (min_tokens > 0) result.image_limits.min_tokens = min_tokens;
  if (max_tokens > 0) result.image_limits.max_tokens = max_tokens;
  if (min_tokens > 0 && max_tokens > 0 && min_tokens > max_tokens)
    fail(ErrorCategory::usage, "--image-min-tokens {} is above --image-max-tokens {}", min_tokens, max_tokens);
  for (const std::string& bias : logit_bias) {
    const auto sign = bias.find_first_of("+-");
    char* end = nullptr;
    const long token = std::strtol(bias.c_str(), &end, 10);
    const bool id = sign != bias.npos && sign > 0 && end == bias.c_str() + sign;
    const float value = id ? std::strtof(bias.c_str() + sign, &end) : 0;
    if (!id || *end || token < 0 || token > INT_MAX)
      fail(ErrorCategory::usage, "--logit-bias {}: expected TOKEN+BIAS or TOKEN-BIAS", bias);
    result.sampling.logit_bias.emplace_back(static_cast<std::int32_t>(token), value);
  }
  result.cancel = &cancel_flag();
  return result;
}

std::string GenerateFlags::settings() const {
  const SamplingOptions& s = options.sampling;
  std::string text =
      fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", options.max_tokens, s.temperature, s.top_k, s.top_p,
                  s.min_p, s.typical_p, s.penalty_last_n, s.repeat_penalty, s.frequency_penalty, s.presence_penalty,
                  s.dry_multiplier, s.seed, min_tokens, max_tokens, keep_thinking);
  for (const auto& stop : options.stop) text += "|" + stop;
  for (const auto& bias : logit_bias) text += "|" + bias;
  if (!s.grammar.empty()) text += "|grammar|" + s.grammar;
  if (!s.json_schema.empty()) text += "|json_schema|" + s.json_schema;
  return text;
}

void PromptFlags::add(CLI::App& app) {
  auto* p =
      app.add_option("-p,--prompt", prompt, "what to ask; <__media__> marks where a picture goes")->type_name("TEXT");
  app.add_option("--file", file, "read the prompt from a file (-: stdin)")->type_name("FILE")->excludes(p);
  app.add_option("--sys,--system-prompt", system, "system message")->type_name("TEXT");
}

std::optional<std::string> PromptFlags::get() const {
  if (!file.empty()) return read_bytes(file);
  if (!prompt.empty()) return prompt == "-" ? read_bytes("-") : prompt;
  return std::nullopt;
}

}  // namespace mtmd::cli
