// Flags that several verbs share, as functions that add them to a subcommand and fill the library's own option structs.
#pragma once

#include <CLI/CLI.hpp>

#include <chrono>
#include <memory>
#include <string>

#include "mtmd-cli/console.h"
#include "mtmd/session.h"

namespace mtmd::cli {

/// -m --mmproj --encoder-precision --chat-template -t -dev -ngl
struct ModelFlags {
  std::string model, mmproj, chat_template, device = "cpu", encoder_precision = "auto";
  int threads = 0, threads_batch = 0, gpu_layers = 0;
  bool no_mmproj = false;
  void add(CLI::App& app, bool builtin_by_default);
  /// Throws Error(usage) when no model was given and none is built in.
  std::shared_ptr<const Model> load(Console& console) const;
  std::string settings() const;  ///< for the settings hash of --resume

 private:
  bool builtin_ = false;
};

/// -c -ub -b -ctk -ctv -fa
struct SessionFlags {
  SessionOptions options;
  std::string cache_k = "f16", cache_v = "f16", flash = "auto";
  int n_batch = 0;
  void add(CLI::App& app);
  SessionOptions get() const;
};

/// -n --temp --top-k … --seed, --grammar, --json-schema, --image-min-tokens, --timeout, --no-loop-guard, --stop
struct GenerateFlags {
  GenerateOptions options;
  int min_tokens = 0, max_tokens = 0;
  double timeout_seconds = 0;
  bool no_loop_guard = false, strict = false, keep_thinking = false;
  std::vector<std::string> logit_bias;
  CLI::App* command = nullptr;
  void add(CLI::App& app);
  /// Takes over what the user did not set.
  void recommend(const SamplingOptions& r);
  GenerateOptions get() const;  ///< with the cancel flag of the signal handlers
  std::string settings() const;

 private:
  void add_grammar(CLI::App& app);
};

/// -p and --file: the prompt text; nothing when neither was given.
struct PromptFlags {
  std::string prompt, file, system;
  void add(CLI::App& app);
  std::optional<std::string> get() const;
};

/// "auto", "f32", "bf16".
Precision parse_encoder_precision(std::string_view name);

/// The model that ships with mtmd: beside the program (build tree, installation) or in $MTMD_MODELS.
std::optional<std::filesystem::path> builtin_model();

/// Whole file or, for "-", stdin. Throws Error(input).
std::string read_bytes(const std::string& path);

}  // namespace mtmd::cli
