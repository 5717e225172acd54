#include "mtmd/read.h"

#include <algorithm>
#include <chrono>

#include "engine/base/error.h"
#include "mtmd/page/page.h"

namespace mtmd {

namespace {

constexpr std::string_view kOcrPrompt =
    "Write down all text in this picture exactly as it is printed, in reading order, line by line. Answer with the "
    "text only.";
constexpr std::string_view kDescribePrompt = "Describe this picture.";

FinishReason worse(FinishReason a, FinishReason b) { return std::max(a, b); }

}  // namespace

std::string_view name(Task task) noexcept { return task == Task::ocr ? "ocr" : "describe"; }

std::string without_thinking(std::string_view text) {
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  std::string result;
  while (true) {
    const auto open = text.find(kOpen);
    const auto close = text.find(kClose);
    if (close != text.npos && (open == text.npos || close < open)) {  // the template opened the block
      result.clear();
      text.remove_prefix(close + kClose.size());
    } else if (open != text.npos) {
      result += text.substr(0, open);
      text = close == text.npos ? std::string_view() : text.substr(close + kClose.size());
    } else {
      result += text;
      break;
    }
  }
  const auto first = result.find_first_not_of(" \t\r\n");
  return first == result.npos ? std::string() : result.substr(first);
}

Reader::Reader(std::shared_ptr<const Model> model, const SessionOptions& options)
    : session_(std::move(model), options) {
  if (!session_.model().projector())
    fail(ErrorCategory::usage, "{} has no vision encoder loaded: give its mmproj file with --mmproj",
         session_.model().name());
}

std::string Reader::default_prompt(Task task) const {
  const encoders::Presets presets = model().presets();
  if (task == Task::ocr && presets.picture_alone) return "";
  const std::string& trained = task == Task::ocr ? presets.ocr_prompt : presets.describe_prompt;
  if (!trained.empty()) return trained;
  if (task == Task::describe && presets.reads == "lines")
    fail(ErrorCategory::usage, "{} only reads lines of printed text; `describe` needs another model (-m)",
         model().name());
  return std::string(task == Task::ocr ? kOcrPrompt : kDescribePrompt);
}

Prompt Reader::prompt_for(Media picture, const ReadOptions& options) const {
  const std::string text = options.prompt.empty() ? default_prompt(options.task) : options.prompt;
  std::vector<Message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  const bool marked = text.find(kMediaMarker) != text.npos;
  const std::string gap = text.empty() ? "" : model().presets().gap;
  messages.push_back({"user", marked ? text : fmt::format("{}{}{}", kMediaMarker, gap, text)});
  std::vector<Media> media;
  media.push_back(std::move(picture));
  return Prompt::marked(format_chat(model(), messages), std::move(media));
}

GenerateOptions Reader::generate_options(const ReadOptions& options) const {
  const encoders::Presets presets = model().presets();
  GenerateOptions generate = options.generate;
  generate.stop.insert(generate.stop.end(), presets.stop.begin(), presets.stop.end());
  encoders::ImageLimits& limits = generate.image_limits;
  if (options.task == Task::ocr && !limits.min_tokens && !limits.max_tokens) limits = presets.ocr_limits;
  return generate;
}

ReadResult Reader::read(Media picture, const ReadOptions& options, const OnText& on_text) {
  if (options.task == Task::ocr && model().presets().reads == "lines") return read_lines(picture, options, on_text);
  const Generated g = session_.generate(prompt_for(std::move(picture), options), generate_options(options), on_text);
  ReadResult result{options.strip_thinking ? without_thinking(g.text) : g.text,
                    g.finish,
                    g.media,
                    g.timings,
                    {},
                    g.n_prompt,
                    static_cast<int>(g.tokens.size())};
  return result;
}

Plan Reader::plan(Media picture, const ReadOptions& options) {
  if (options.task != Task::ocr || model().presets().reads != "lines")
    return session_.plan(prompt_for(std::move(picture), options), generate_options(options));
  const page::Page page = page::find_lines(picture.image, line_format());
  Plan total;
  for (const page::Line& line : page.lines)
    for (const page::Segment& segment : line.segments) {
      const Plan one = session_.plan(prompt_for({segment.crop, "", picture.name, false}, options), options.generate);
      const int text = total.n_text_tokens + one.n_text_tokens, media = total.n_media_tokens + one.n_media_tokens;
      if (one.peak_bytes >= total.peak_bytes) total = one;
      total.n_text_tokens = text, total.n_media_tokens = media;
    }
  if (page.lines.empty()) total.weight_bytes = total.peak_bytes = model().weight_bytes();
  total.media = {
      {picture.image.size(), picture.image.size(), total.n_media_tokens, static_cast<int>(page.lines.size()), false}};
  return total;
}

page::LineFormat Reader::line_format() const {
  const encoders::Presets presets = model().presets();
  page::LineFormat format;
  if (presets.line_height > 0) format.height = presets.line_height;
  if (presets.max_line_width > 0) format.max_width = presets.max_line_width;
  return format;
}

ReadResult Reader::read_lines(const Media& picture, const ReadOptions& options, const OnText& on_text) {
  using namespace std::chrono;
  const auto start = steady_clock::now();
  const auto elapsed = [&] { return duration_cast<milliseconds>(steady_clock::now() - start); };
  const page::Page page = page::find_lines(picture.image, line_format());
  ReadResult result;
  result.timings.preprocess = static_cast<double>(elapsed().count());
  UsedMedia used{picture.image.size(), picture.image.size(), 0, 0, false};

  std::vector<std::string> texts;
  std::size_t shown = 0;
  GenerateOptions generate = options.generate;
  const auto read_segment = [&](const page::Segment& segment) {
    if (options.generate.timeout.count() > 0)
      generate.timeout = std::max(milliseconds(1), options.generate.timeout - elapsed());
    session_.reset();
    const Generated g = session_.generate(prompt_for({segment.crop, "", picture.name, false}, options), generate);
    texts.push_back(g.text);
    result.timings += g.timings;
    result.finish = worse(result.finish, g.finish);
    result.n_prompt += g.n_prompt;
    result.n_generated += static_cast<int>(g.tokens.size());
    for (const UsedMedia& m : g.media) used.tokens += m.tokens, used.tiles += m.tiles;
    return g.finish != FinishReason::cancelled && g.finish != FinishReason::timeout;
  };
  for (const page::Line& line : page.lines) {
    const bool all = std::ranges::all_of(line.segments, read_segment);
    result.text = page::join(page, texts);
    if (on_text && result.text.size() > shown) on_text(std::string_view(result.text).substr(shown));
    shown = result.text.size();
    if (!all) break;
  }
  if (page.lines.empty()) result.warnings.push_back("no lines of text were found");
  result.media = {used};
  result.timings.total = static_cast<double>(elapsed().count());
  return result;
}

}  // namespace mtmd
