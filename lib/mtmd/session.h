// One conversation with a model: its KV cache and the generation loop.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sampling/sampler.h"
#include "mtmd/loop_guard.h"
#include "mtmd/model.h"
#include "mtmd/prompt.h"

namespace mtmd {

struct SessionOptions {
  std::int32_t n_ctx = 0;       ///< 0: as much as the prompt and the answer need, at most the model's own context
  std::int32_t n_ubatch = 512;  ///< tokens computed at once
  DType kv_type = DType::F16;
};

enum class FinishReason { stop, length, loop, timeout, cancelled };
std::string_view name(FinishReason reason) noexcept;

/// Milliseconds per stage.
struct Timings {
  double decode = 0, preprocess = 0, encode = 0, prefill = 0, generate = 0, total = 0;
  Timings& operator+=(const Timings& other) noexcept;
};

struct GenerateOptions {
  std::int32_t max_tokens = -1;  ///< -1: until the model stops or the context is full
  SamplingOptions sampling = {};
  std::vector<std::string> stop = {};  ///< texts, or tokens by their text, that end the answer (left out of it)
  bool loop_guard = true;
  std::chrono::milliseconds timeout{0};       ///< 0: none
  const std::atomic<bool>* cancel = nullptr;  ///< set by another thread or a signal handler
  encoders::ImageLimits image_limits = {};
};

struct Generated {
  std::string text;  ///< cut at a stop text, or at the start of a loop
  std::vector<Token> tokens;
  FinishReason finish = FinishReason::stop;
  int n_prompt = 0, n_cached = 0;  ///< tokens of the prompt; how many of them were still in the cache
  std::vector<UsedMedia> media;
  Timings timings;
};

/// What a prompt will cost, computed before anything runs.
struct Plan {
  int n_text_tokens = 0, n_media_tokens = 0, n_positions = 0;
  int n_ctx = 0, n_ctx_train = 0;
  std::uint64_t weight_bytes = 0, kv_bytes = 0, scratch_bytes = 0, peak_bytes = 0;
  std::vector<UsedMedia> media;
};

/// Called with each newly decoded piece of text (whole UTF-8 characters).
using OnText = std::function<void(std::string_view)>;

/// Not thread-safe; several sessions may share one Model.
class Session {
 public:
  explicit Session(std::shared_ptr<const Model> model, const SessionOptions& options = {});
  ~Session();

  /// Runs the prompt (reusing the part of the cache that already holds its beginning) and answers it.
  /// Throws Error(resource) when prompt and answer do not fit the context, saying which -c would do.
  Generated generate(const Prompt& prompt, const GenerateOptions& options, const OnText& on_text = {});
  Plan plan(const Prompt& prompt, const GenerateOptions& options);
  /// Forgets everything.
  void reset();

  const Model& model() const noexcept { return *model_; }

 private:
  struct Impl;
  /// Scratch of the encoders for these chunks, by running it on a device that computes nothing.
  std::uint64_t encoder_bytes(const Chunks& chunks) const;

  std::shared_ptr<const Model> model_;
  std::unique_ptr<Impl> impl_;
};

/// `chat`'s defaults: what the model file recommends (general.sampling.temp, top_k, top_p, min_p …), otherwise
/// temperature 0.7.
SamplingOptions recommended_sampling(const Model& model);

/// Prompt from a conversation: messages with roles through the model's chat template, media markers in their texts.
struct Message {
  std::string role, content;
};
std::string format_chat(const Model& model, std::span<const Message> messages, bool add_generation_prompt = true);

}  // namespace mtmd
