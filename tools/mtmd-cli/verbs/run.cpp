// mtmd run: any model, one prompt, media in any order.
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/loaded_medium.h"
#include "mtmd-cli/output.h"
#include "mtmd-cli/plan.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

struct RunCommand {
  ModelFlags model;
  SessionFlags session;
  GenerateFlags generate;
  PromptFlags prompt;
  OutputFlags output;
  std::vector<std::string> images, audios;
  bool plan = false, raw = false, video = false;

  void run(Console& console) {
    output.check();
    if (!output.folder.empty()) fail(ErrorCategory::usage, "--out-dir: `run` has one result; give -o");
    std::vector<Media> media;
    ReadResult result;
    const auto take = [&](LoadedMedium medium) {
      result.timings.decode += medium.decode_ms;
      result.warnings.insert(result.warnings.end(), medium.warnings.begin(), medium.warnings.end());
      media.push_back(std::move(medium.media));
    };
    for (const std::string& path : images) {
      LoadedMedium picture = load_picture(path);
      picture.media.frame = video;
      take(std::move(picture));
    }
    for (const std::string& path : audios) take(load_sound(path));
    const auto text = prompt.get();
    if (!text && media.empty())
      fail(ErrorCategory::usage, "give a prompt (-p, --file), a picture (--image) or a recording (--audio)");

    const auto loaded = model.load(console);
    const Prompt assembled =
        Prompt::marked(raw ? text.value_or("") : chat_text(*loaded, text.value_or(""), media.size()), std::move(media));
    Session conversation(loaded, session.get());
    const std::string format = output.formats.empty() ? "txt" : output.formats[0];
    if (plan) {
      const Plan p = conversation.plan(assembled, generate.get());
      console.result(format.starts_with("json") ? dump(plan_json("prompt", p)) + "\n" : plan_text("prompt", p));
      return;
    }
    answer(console, conversation, assembled, std::move(result), format);
  }

  /// The user's text through the model's chat template; pictures without a marker of their own go in front of it.
  std::string chat_text(const Model& loaded, const std::string& text, std::size_t n_media) const {
    std::string content;
    for (std::size_t i = count_media_markers(text); i < n_media; ++i) content += kMediaMarker;
    std::vector<Message> messages;
    if (!prompt.system.empty()) messages.push_back({"system", prompt.system});
    messages.push_back({"user", content + text});
    return format_chat(loaded, messages);
  }

  void answer(Console& console, Session& conversation, const Prompt& assembled, ReadResult result,
              const std::string& format) const {
    const bool live = output.file.empty() && format == "txt";
    const Generated g = conversation.generate(
        assembled, generate.get(), !live ? OnText{} : [&](std::string_view piece) {
          console.result(piece);
          console.flush_result();
        });
    result.text = generate.keep_thinking || live ? g.text : without_thinking(g.text);
    result.finish = g.finish;
    result.media = g.media;
    result.timings += g.timings;
    result.n_prompt = g.n_prompt;
    result.n_generated = static_cast<int>(g.tokens.size());
    if (g.finish != FinishReason::stop && g.finish != FinishReason::length)
      result.warnings.push_back(fmt::format("the answer ended early: {}", name(g.finish)));
    bool downscaled = false;
    for (const UsedMedia& m : result.media) downscaled |= m.downscaled;
    for (const UsedMedia& m : result.media)
      if (m.in.width > 0)
        console.info("picture {}x{} used at {}x{}: {} tokens, {} tiles", m.in.width, m.in.height, m.used.width,
                     m.used.height, m.tokens, m.tiles);
    for (const std::string& w : result.warnings) console.warn("{}", w);
    const Timings& t = result.timings;
    console.info(
        "decode {:.0f} ms, preprocess {:.0f}, encode {:.0f}, prefill {:.0f} ({} tokens, {:.1f} tok/s), generate {:.0f} "
        "({} tokens, {:.1f} tok/s)",
        t.decode, t.preprocess, t.encode, t.prefill, g.n_prompt, t.prefill > 0 ? g.n_prompt / t.prefill * 1e3 : 0,
        t.generate, result.n_generated, t.generate > 0 ? result.n_generated / t.generate * 1e3 : 0);
    if (live) console.result("\n");
    const Json record = ok_record({0, images.empty() ? "" : images[0], conversation.model().name()}, result);
    if (!output.file.empty()) write_file_atomically(output.file, render(record, format, false));
    if (output.file.empty() && !live) console.result(render(record, format, false));
    if (generate.strict && (downscaled || g.finish != FinishReason::stop))
      console.status = exit_code(ErrorCategory::strict);
  }
};

}  // namespace

void add_run(CLI::App& app, Console& console) {
  auto command = std::make_shared<RunCommand>();
  auto* sub = app.add_subcommand("run", "any model: a prompt with pictures and recordings in any order");
  sub->footer(
      "Examples:\n"
      "  mtmd run -m model.gguf -p 'Why is the sky blue?'\n"
      "  mtmd run -m model.gguf --image a.png --image b.png -p 'First <__media__>, then <__media__>: what differs?'\n"
      "  mtmd run -m model.gguf --audio memo.flac -p 'Transcribe this.'\n"
      "  cat prompt.txt | mtmd run -m model.gguf --file - -n 200 --temp 0.7 --seed 1");
  command->model.add(*sub, false);
  command->prompt.add(*sub);
  sub->add_option("--image", command->images, "a picture (repeatable; -: stdin)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  sub->add_option("--audio", command->audios, "a recording (repeatable)")->type_name("FILE")->allow_extra_args(false);
  sub->add_flag("--video-frames", command->video, "the pictures are consecutive frames of one video");
  sub->add_flag("--raw", command->raw, "use the prompt as it is, without the chat template");
  command->output.add(*sub, {"txt", "md", "json", "jsonl"});
  command->generate.add(*sub);
  command->session.add(*sub);
  sub->add_flag("--plan", command->plan, "show tokens and memory; run nothing");
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
