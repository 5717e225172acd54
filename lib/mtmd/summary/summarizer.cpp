#include "mtmd/summary/summarizer.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/base/error.h"
#include "engine/tokenizer/unicode.h"
#include "mtmd/media/sha256.h"
#include "mtmd/read.h"
#include "mtmd/summary/parts.h"

namespace mtmd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kContext = 16384;  ///< unless -c says otherwise: longer prompts are read less carefully
constexpr int kAnswer = 1024, kNotes = 512, kSmallestPart = 32;
constexpr int kMargin = 8;  ///< tokens that may come into being where texts meet

std::string_view style_instructions(SummaryStyle style) {
  switch (style) {
    case SummaryStyle::bullets:
      return "Summarize it as a list of bullet points, the most important first.";
    case SummaryStyle::paragraph:
      return "Summarize it in one paragraph.";
    case SummaryStyle::minutes:
      return "Write minutes of it: the topics, what was said on each, what was decided, and who is to do what by when.";
  }
  return "";
}

}  // namespace

class Summarizer::Work {
 public:
  Work(Session& session, int n_ctx, const SummaryOptions& options, const SummaryHooks& hooks)
      : session_(session), options_(options), hooks_(hooks), n_ctx_(n_ctx), start_(Clock::now()) {
    answer_ = options.generate.max_tokens >= 0 ? options.generate.max_tokens : std::min(kAnswer, n_ctx / 4);
    const int frame = std::max(count_tokens(notes_prompt("", 9999, 9999), tokenizer()),
                               count_tokens(final_prompt("", true), tokenizer()));
    room_ = n_ctx - frame - kMargin;
    part_ = room_ - answer_;
    if (part_ < kSmallestPart) {
      const int would_do = frame + kMargin + answer_ + 4 * kSmallestPart;
      const int trained = session.model().spec().n_ctx_train;
      fail(ErrorCategory::resource, "a summary takes {} tokens besides the text and the context holds {}; {}",
           frame + answer_, n_ctx,
           would_do <= trained ? fmt::format("-c {} would do", would_do)
                               : fmt::format("the model was trained for {}: use another one or a smaller -n", trained));
    }
    notes_ = std::min({kNotes, room_ / 4, part_ / 2});  // halves what is left at every level
  }

  Summary summarize(std::string_view source) {
    std::string text = unicode::replace_invalid(source);
    if (text.find_first_not_of(" \t\r\n") == text.npos) fail(ErrorCategory::input, "there is no text to summarize");
    while (count_tokens(text, tokenizer()) > part_) {
      text = take_notes(text);
      if (stopped()) return std::move(result_);
    }
    const std::string prompt = final_prompt(text, result_.n_levels > 0);
    const Generated g = ask(prompt, answer_, hooks_.text);
    result_.text = options_.strip_thinking ? without_thinking(g.text) : g.text;
    return std::move(result_);
  }

 private:
  const Tokenizer& tokenizer() const { return session_.model().tokenizer(); }
  bool stopped() const { return result_.finish == FinishReason::timeout || result_.finish == FinishReason::cancelled; }

  std::string prompt(const std::string& content) const {
    std::vector<Message> messages;
    if (!options_.system.empty()) messages.push_back({"system", options_.system});
    messages.push_back({"user", content});
    return format_chat(session_.model(), messages);
  }

  std::string notes_prompt(std::string_view part, std::size_t i, std::size_t n) const {
    return prompt(fmt::format(
        "The following is part {} of {} of a longer text. Write notes on it: facts, names, numbers, decisions, open "
        "questions. Be short, use only what the text says, and write in the language of the text.\n\n{}",
        i, n, part));
  }

  std::string final_prompt(std::string_view text, bool of_notes) const {
    const std::string_view task =
        options_.instructions.empty() ? style_instructions(options_.style) : std::string_view(options_.instructions);
    return prompt(fmt::format("The following {} {} Use only what it says, and write in its language.\n\n{}",
                              of_notes ? "are notes on a longer text, in order." : "is a text.", task, text));
  }

  Generated ask(const std::string& prompt, int max_tokens, const OnText& on_text) {
    GenerateOptions generate = options_.generate;
    generate.max_tokens = max_tokens;
    if (generate.timeout.count() > 0) {
      const auto left = generate.timeout - (Clock::now() - start_);
      generate.timeout =
          std::max(std::chrono::milliseconds(1), std::chrono::duration_cast<std::chrono::milliseconds>(left));
    }
    Generated g = session_.generate(Prompt().text(prompt), generate, on_text);
    result_.timings += g.timings;
    result_.n_prompt += g.n_prompt;
    result_.n_generated += static_cast<int>(g.tokens.size());
    result_.finish = std::max(result_.finish, g.finish);
    return g;
  }

  /// Notes on every part of `text`, each at most notes_ tokens.
  std::string take_notes(const std::string& text) {
    const auto parts = parts_of(text, part_, tokenizer());
    if (++result_.n_levels == 1) result_.n_parts = static_cast<int>(parts.size());
    std::string all;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (hooks_.progress) hooks_.progress(static_cast<int>(i), static_cast<int>(parts.size()));
      const std::string notes = notes_on(notes_prompt(parts[i], i + 1, parts.size()));
      if (stopped()) return all;
      all += (all.empty() ? "" : "\n\n") + notes;
    }
    return all;
  }

  std::string notes_on(const std::string& prompt) {
    const std::string key = media::sha256_hex(std::as_bytes(std::span(prompt)));
    if (hooks_.recall)
      if (auto known = hooks_.recall(key)) return *known;
    const FinishReason before = std::exchange(result_.finish, FinishReason::stop);
    const Generated g = ask(prompt, notes_, {});
    // Notes that reach their limit are cut, which is what the limit is for.
    if (result_.finish == FinishReason::length) result_.finish = FinishReason::stop;
    result_.finish = std::max(result_.finish, before);
    if (stopped()) return "";
    const std::string answer = unicode::replace_invalid(without_thinking(g.text));
    const auto parts = parts_of(answer, notes_, tokenizer());  // what was generated may be spelled with more tokens
    const std::string notes(parts.empty() ? std::string_view() : parts.front());
    if (hooks_.keep) hooks_.keep(key, notes);
    return notes;
  }

  Session& session_;
  const SummaryOptions& options_;
  const SummaryHooks& hooks_;
  int n_ctx_, answer_ = 0, room_ = 0, part_ = 0, notes_ = 0;  ///< tokens
  Clock::time_point start_;
  Summary result_;
};

Summarizer::Summarizer(std::shared_ptr<const Model> model, const SessionOptions& options)
    : session_(std::move(model), options),
      n_ctx_(options.n_ctx > 0 ? options.n_ctx : std::min(kContext, session_.model().spec().n_ctx_train)) {
  if (this->model().presets().reads == "lines")
    fail(ErrorCategory::usage,
         "{} only reads lines of text and speech, it cannot summarize: give a language model with -m FILE",
         this->model().name());
}

Summary Summarizer::summarize(std::string_view text, const SummaryOptions& options, const SummaryHooks& hooks) {
  return Work(session_, n_ctx_, options, hooks).summarize(text);
}

}  // namespace mtmd
