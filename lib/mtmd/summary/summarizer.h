// Texts of any length -> a summary: notes on every part that fits the context, then one summary of the notes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mtmd/session.h"

namespace mtmd {

enum class SummaryStyle { bullets, paragraph, minutes };

struct SummaryOptions {
  SummaryStyle style = SummaryStyle::bullets;
  std::string instructions = {};  ///< instead of the style's
  std::string system = {};
  bool strip_thinking = true;
  GenerateOptions generate = {};  ///< max_tokens: of the summary; timeout: of the whole work
};

struct Summary {
  std::string text;
  FinishReason finish = FinishReason::stop;  ///< the worst among all answers
  int n_parts = 0;                           ///< of the text that notes were taken of; 0: it fitted at once
  int n_levels = 0;                          ///< how often notes were taken of notes, plus one; 0: never
  int n_prompt = 0, n_generated = 0;
  Timings timings;
};

/// All optional.
struct SummaryHooks {
  /// Notes on a part that an earlier run kept under this key, a hash of the prompt.
  std::function<std::optional<std::string>(const std::string& key)> recall = {};
  std::function<void(const std::string& key, const std::string& notes)> keep = {};
  std::function<void(int done, int total)> progress = {};  ///< parts of this level
  OnText text = {};                                        ///< of the summary, as it grows
};

class Summarizer {
 public:
  /// Throws Error(usage) for a model that only reads lines.
  explicit Summarizer(std::shared_ptr<const Model> model, const SessionOptions& options = {});

  /// Throws Error(input) for a text without anything in it, Error(resource) when the context has no room for a part.
  Summary summarize(std::string_view text, const SummaryOptions& options, const SummaryHooks& hooks = {});
  const Model& model() const noexcept { return session_.model(); }

 private:
  class Work;
  Session session_;
  int n_ctx_;  ///< of one prompt and its answer
};

}  // namespace mtmd
