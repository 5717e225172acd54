// mtmd chat: a conversation on the terminal, pictures with /image.
#include <histedit.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

#include "engine/base/error.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/loaded_medium.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"
#include "mtmd/read.h"

namespace mtmd::cli {
namespace {

constexpr const char* kHelp =
    "/image PATH   add a picture to your next message\n"
    "/clear        forget the conversation\n"
    "/undo         take back the last question and answer\n"
    "/help, /quit (or Ctrl-D); Ctrl-C ends an answer";

/// Lines from the user: with editing and a history file on a terminal, plainly otherwise.
class LineInput {
 public:
  explicit LineInput(bool terminal) {
    if (!terminal) return;
    edit_ = el_init("mtmd", stdin, stderr, stderr);
    history_ = history_init();
    HistEvent event;
    ::history(history_, &event, H_SETSIZE, 1000);
    if (const char* home = std::getenv("HOME")) file_ = std::string(home) + "/.mtmd_history";
    if (!file_.empty()) ::history(history_, &event, H_LOAD, file_.c_str());
    el_set(
        edit_, EL_PROMPT, +[](EditLine*) -> const char* { return "> "; });
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, ::history, history_);
    el_set(edit_, EL_SIGNAL, 1);
  }
  ~LineInput() {
    if (!edit_) return;
    HistEvent event;
    if (!file_.empty()) ::history(history_, &event, H_SAVE, file_.c_str());
    history_end(history_);
    el_end(edit_);
  }
  LineInput(const LineInput&) = delete;
  LineInput& operator=(const LineInput&) = delete;

  bool read(std::string& line) {
    if (!edit_) return static_cast<bool>(std::getline(std::cin, line));
    int length = 0;
    const char* text = el_gets(edit_, &length);
    if (!text || length <= 0) return false;
    line.assign(text, static_cast<std::size_t>(length));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    HistEvent event;
    if (!line.empty()) ::history(history_, &event, H_ENTER, text);
    return true;
  }

 private:
  EditLine* edit_ = nullptr;
  ::History* history_ = nullptr;
  std::string file_;
};

struct ChatCommand {
  ModelFlags model;
  SessionFlags session;
  GenerateFlags generate;
  PromptFlags prompt;

  std::vector<Message> messages;
  std::vector<Media> media;  ///< of all messages, in order
  std::string pending;       ///< media markers for the next message

  void run(Console& console) {
    const auto loaded = model.load(console);
    generate.recommend(recommended_sampling(*loaded));
    Session conversation(loaded, session.get());
    clear();
    const bool terminal = console.stdin_is_terminal() && console.stderr_is_terminal();
    if (terminal) console.info("{}\n{}", loaded->name(), kHelp);
    LineInput input(terminal);
    if (const auto first = prompt.get()) say(console, conversation, *first);
    for (std::string line; input.read(line);) {
      if (cancel_flag()) {
        if (!terminal) return;
        forget_interrupt();
      }
      if (line.empty()) continue;
      if (line == "/quit" || line == "/exit") return;
      if (line[0] == '/')
        command(console, conversation, line);
      else
        say(console, conversation, line);
    }
    if (terminal) forget_interrupt();
  }

  void clear() {
    messages.clear();
    media.clear();
    pending.clear();
    if (!prompt.system.empty()) messages.push_back({"system", prompt.system});
  }

  void command(Console& console, Session& conversation, const std::string& line) {
    const auto space = line.find(' ');
    const std::string word = line.substr(0, space), argument = space == line.npos ? "" : line.substr(space + 1);
    if (word == "/image" && !argument.empty()) {
      try {
        if (!conversation.model().projector())
          fail(ErrorCategory::usage, "{} has no vision encoder: start with --mmproj", conversation.model().name());
        LoadedMedium picture = load_picture(argument);
        console.info("{}x{}: goes with your next message", picture.media.image.width, picture.media.image.height);
        media.push_back(std::move(picture.media));
        pending += kMediaMarker;
      } catch (const Error& e) {
        console.error("{}", e.what());
      }
    } else if (word == "/clear") {
      clear();
      conversation.reset();
    } else if (word == "/undo") {
      undo();
    } else {
      console.info("{}", kHelp);
    }
  }

  void undo() {
    while (!messages.empty() && messages.back().role == "assistant") messages.pop_back();
    if (messages.empty() || messages.back().role != "user") return;
    media.resize(media.size() - count_media_markers(messages.back().content) - count_media_markers(pending));
    pending.clear();
    messages.pop_back();
  }

  void say(Console& console, Session& conversation, const std::string& text) {
    // A marker typed by the user would take a picture that is not there.
    if (count_media_markers(text) > 0) return console.error("{} is the mark of a picture: use /image", kMediaMarker);
    messages.push_back({"user", pending + text});
    pending.clear();
    try {
      const Prompt all = Prompt::marked(format_chat(conversation.model(), messages), media);
      const Generated g = conversation.generate(all, generate.get(), [&](std::string_view piece) {
        console.result(piece);
        console.flush_result();
      });
      console.result("\n");
      console.flush_result();
      if (g.finish != FinishReason::stop) console.warn("the answer ended early: {}", name(g.finish));
      console.detail("{} prompt tokens ({} cached), {} generated, {:.1f} tok/s", g.n_prompt, g.n_cached,
                     g.tokens.size(),
                     g.timings.generate > 0 ? static_cast<double>(g.tokens.size()) / g.timings.generate * 1e3 : 0);
      messages.push_back({"assistant", generate.keep_thinking ? g.text : without_thinking(g.text)});
      if (g.finish == FinishReason::cancelled && console.stdin_is_terminal()) forget_interrupt();
    } catch (const Error& e) {
      if (e.category() == ErrorCategory::output) throw;
      console.error("{}", e.what());
      undo();
      console.status = exit_code(e.category());
    }
  }
};

}  // namespace

void add_chat(CLI::App& app, Console& console) {
  auto command = std::make_shared<ChatCommand>();
  auto* sub = app.add_subcommand("chat", "a conversation with pictures");
  sub->footer(std::string("Examples:\n  mtmd chat -m model.gguf\n  printf 'Hello\\nAnd now?\\n' | mtmd chat -m "
                          "model.gguf --temp 0\nIn the chat:\n") +
              kHelp);
  command->model.add(*sub, false);
  command->prompt.add(*sub);
  command->generate.add(*sub);
  command->session.add(*sub);
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
