#include <fmt/core.h>

#include <array>
#include <clocale>
#include <new>

#include "engine/base/error.h"
#include "mtmd-cli/arguments.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

constexpr std::array kVerbs = {
    add_ocr,    add_describe, add_transcribe,  add_summarize, add_run,     add_chat,       add_inspect,  add_models,
    add_verify, add_tokenize, add_conformance, add_convert,   add_imatrix, add_perplexity, add_quantize,
#ifdef MTMD_HAVE_BENCH
    add_bench,
#endif
};

constexpr const char* kExamples =
    "Examples:\n"
    "  mtmd ocr receipt.png                               text of a picture, read by the built-in model\n"
    "  mtmd ocr scans/*.png --out-dir text -f txt,json    a folder of scans, one load of the model\n"
    "  mtmd describe -m model.gguf photo.jpg\n"
    "  mtmd transcribe -m model.gguf memo.m4a             what is said in a recording; -f srt: subtitles\n"
    "  mtmd summarize -m model.gguf meeting.mp3           transcribed, then summarized; texts and pictures, too\n"
    "  mtmd run -m model.gguf --image a.png --image b.png -p 'What differs?'\n"
    "  mtmd chat -m model.gguf\n"
    "  mtmd inspect model.gguf --tensors\n"
    "Results go to stdout, everything else to stderr. `mtmd VERB --help` begins with examples.";

/// Help that begins with the examples (CLI11's footer).
class ExamplesFirst final : public CLI::Formatter {
  std::string make_description(const CLI::App* app) const override {
    const std::string examples = app->get_footer();
    return CLI::Formatter::make_description(app) + (examples.empty() ? "" : examples + "\n\n");
  }
  std::string make_footer(const CLI::App*) const override { return ""; }
};

void add_globals(CLI::App& app, Console& console) {
  app.add_flag("-q,--quiet", console.quiet, "say nothing on stderr but errors");
  app.add_flag("-v,--verbose", console.verbosity, "say more (-vv: even more)");
  app.add_option_function<std::string>(
         "--log-file", [&](const std::string& f) { console.open_log(f); }, "copy of all messages")
      ->type_name("FILE");
  app.add_option("--progress", console.progress, "auto, plain, json or none")
      ->option_text("HOW")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ProgressMode>{{"auto", ProgressMode::automatic},
                                                                              {"plain", ProgressMode::plain},
                                                                              {"json", ProgressMode::json},
                                                                              {"none", ProgressMode::none}}));
}

int run(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  install_signal_handlers();
  Console console;
  CLI::App app{"mtmd: text, images and audio through open-weight multimodal models, on this machine.", "mtmd"};
  app.formatter(std::make_shared<ExamplesFirst>());
  app.footer(kExamples);
  app.set_version_flag("--version", "mtmd " MTMD_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  add_globals(app, console);
  for (const Verb add : kVerbs) add(app, console);

  try {
    auto arguments = normalised_arguments(argc, argv);
    std::ranges::reverse(arguments);  // CLI11 takes them from the back
    app.parse(std::move(arguments));
    console.flush_result();
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    console.error("{}", e.what());
    fmt::print(stderr, "Run with --help for what can be given.\n");
    return exit_code(ErrorCategory::usage);
  } catch (const Error& e) {
    console.error("{}", e.what());
    if (e.category() == ErrorCategory::interrupted && interrupted_status()) return interrupted_status();
    return exit_code(e.category());
  } catch (const std::bad_alloc&) {
    console.error("not enough memory");
    return exit_code(ErrorCategory::resource);
  } catch (const std::exception& e) {
    console.error("internal error, please report it: {}", e.what());
    return exit_code(ErrorCategory::internal);
  }
  if (const int status = interrupted_status()) return status;
  return console.status;
}

}  // namespace
}  // namespace mtmd::cli

int main(int argc, char** argv) { return mtmd::cli::run(argc, argv); }
