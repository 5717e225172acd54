// The verbs of `mtmd`. Adding one is one file under verbs/ and one line in main.cpp.
#pragma once

#include <CLI/CLI.hpp>

#include "mtmd-cli/console.h"

namespace mtmd::cli {

/// Adds the subcommand to `app`. When it is chosen, its callback runs the work and stores the exit status in
/// `console.status`; failures are thrown as mtmd::Error.
using Verb = void (*)(CLI::App& app, Console& console);

void add_run(CLI::App& app, Console& console);
void add_ocr(CLI::App& app, Console& console);
void add_describe(CLI::App& app, Console& console);
void add_transcribe(CLI::App& app, Console& console);
void add_summarize(CLI::App& app, Console& console);
void add_chat(CLI::App& app, Console& console);
void add_inspect(CLI::App& app, Console& console);
void add_models(CLI::App& app, Console& console);
void add_verify(CLI::App& app, Console& console);
void add_tokenize(CLI::App& app, Console& console);
void add_conformance(CLI::App& app, Console& console);
void add_convert(CLI::App& app, Console& console);
void add_imatrix(CLI::App& app, Console& console);
void add_perplexity(CLI::App& app, Console& console);
void add_quantize(CLI::App& app, Console& console);
#ifdef MTMD_HAVE_BENCH
void add_bench(CLI::App& app, Console& console);
#endif

}  // namespace mtmd::cli
