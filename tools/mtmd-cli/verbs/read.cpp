// mtmd ocr, mtmd describe: pictures in, text out.
#include <memory>
#include <nlohmann/json.hpp>

#include "mtmd-cli/batch.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/plan.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

struct ReadCommand {
  Task task;
  ModelFlags model;
  SessionFlags session;
  GenerateFlags generate;
  PromptFlags prompt;
  InputFlags input;
  OutputFlags output;
  bool plan = false;

  void run(Console& console) {
    output.check();
    const auto items = input.get();
    BatchOptions options;
    options.read = {.task = task,
                    .prompt = prompt.get().value_or(""),
                    .system = prompt.system,
                    .generate = generate.get(),
                    .strip_thinking = !generate.keep_thinking};
    options.strict = generate.strict;
    const auto loaded = model.load(console);
    Reader reader(loaded, session.get());
    if (options.read.prompt.empty()) options.read.prompt = reader.default_prompt(task);
    options.settings = fmt::format("{}|{}|{}|{}|{}", name(task), options.read.prompt, prompt.system,
                                   generate.settings(), model.settings());
    if (plan) return show_plan(console, reader, items, options.read);
    console.status = run_batch(console, reader, items, output, options);
  }

  void show_plan(Console& console, Reader& reader, const std::vector<InputFlags::Item>& items,
                 const ReadOptions& read) const {
    const bool json = !output.formats.empty() && output.formats[0].starts_with("json");
    for (const auto& item : items) {
      const Plan p = reader.plan(load_picture(item.path).media, read);
      console.result(json ? dump(plan_json(item.path, p)) + "\n" : plan_text(item.path, p));
    }
  }
};

void add_read(CLI::App& app, Console& console, Task task, const char* about, const char* examples) {
  auto command = std::make_shared<ReadCommand>();
  command->task = task;
  auto* sub = app.add_subcommand(std::string(name(task)), about);
  sub->footer(examples);
  command->input.add(*sub);
  command->model.add(*sub, task == Task::ocr);
  command->prompt.add(*sub);
  command->output.add(*sub, {"txt", "md", "json", "jsonl"});
  command->generate.add(*sub);
  command->session.add(*sub);
  sub->add_flag("--plan", command->plan, "show tokens and memory of every item; run nothing");
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace

void add_ocr(CLI::App& app, Console& console) {
  add_read(app, console, Task::ocr, "text of pictures",
           "Examples:\n"
           "  mtmd ocr receipt.png\n"
           "  mtmd ocr -f jsonl scans/*.png > all.jsonl\n"
           "  find scans -name '*.jpg' -print0 | mtmd ocr -0 --files-from - --out-dir text --resume\n"
           "  mtmd ocr -m qwen2-vl-2b-q4_k_m.gguf --mmproj mmproj-qwen2-vl-2b.gguf page.png -f md\n"
           "  mtmd ocr --plan page.png");
}

void add_describe(CLI::App& app, Console& console) {
  add_read(app, console, Task::describe, "descriptions of pictures",
           "Examples:\n"
           "  mtmd describe -m smolvlm-500m.gguf photo.jpg\n"
           "  mtmd describe -m model.gguf -p 'List the objects.' photos/*.jpg --out-dir notes -f md");
}

}  // namespace mtmd::cli
