// The tasks: the text of a picture (ocr), its description (describe).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mtmd/page/page.h"
#include "mtmd/session.h"

namespace mtmd {

enum class Task { ocr, describe };
std::string_view name(Task task) noexcept;

struct ReadOptions {
  Task task = Task::ocr;
  std::string prompt;  ///< empty: the one this model was trained with, or a general one
  std::string system;
  GenerateOptions generate;
  bool strip_thinking = true;
};

struct ReadResult {
  std::string text;
  FinishReason finish = FinishReason::stop;
  std::vector<UsedMedia> media;
  Timings timings;
  std::vector<std::string> warnings;
  int n_prompt = 0, n_generated = 0;
};

/// Reads pictures one after the other with one model. Models that read single lines get the page cut into lines first.
class Reader {
 public:
  explicit Reader(std::shared_ptr<const Model> model, const SessionOptions& options = {});

  ReadResult read(Media picture, const ReadOptions& options, const OnText& on_text = {});
  /// What read() would cost; nothing is computed.
  Plan plan(Media picture, const ReadOptions& options);
  /// The prompt that is used when the options have none.
  std::string default_prompt(Task task) const;
  const Model& model() const noexcept { return session_.model(); }

 private:
  ReadResult read_lines(const Media& page, const ReadOptions& options, const OnText& on_text);
  page::LineFormat line_format() const;
  Prompt prompt_for(Media picture, const ReadOptions& options) const;
  /// What the options say, completed by what the model was trained with.
  GenerateOptions generate_options(const ReadOptions& options) const;

  Session session_;
};

/// The text without <think>…</think> blocks (an unfinished one runs to the end) and the white space they leave in
/// front.
std::string without_thinking(std::string_view text);

}  // namespace mtmd
