// mtmd convert: a Hugging Face checkpoint as GGUF files.
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"
#include "mtmd/convert/convert.h"

namespace mtmd::cli {
namespace {

namespace fs = std::filesystem;

struct ConvertCommand {
  std::string folder, model, mmproj;
  convert::Options options;
  bool force = false, json = false, no_mmproj = false;

  void run(Console& console) {
    convert::Converter converter(folder, options);
    for (const std::string& warning : converter.warnings()) console.warn("{}", warning);
    name_results(converter);
    for (const std::string& path : {model, mmproj})
      if (!path.empty() && fs::exists(path) && !force)
        fail(ErrorCategory::output, "{}: exists already; --force replaces it", path);
    write(console, converter, model, &convert::Converter::write_model, converter.architecture());
    if (!mmproj.empty()) write(console, converter, mmproj, &convert::Converter::write_mmproj, converter.projector());
  }

 private:
  void name_results(const convert::Converter& converter) {
    if (options.name.empty()) options.name = fs::canonical(folder).filename().string();
    if (model.empty()) model = options.name + ".gguf";
    if (converter.projector().empty() && !mmproj.empty())
      fail(ErrorCategory::usage, "--mmproj {}: {} has no vision part", mmproj, folder);
    if (!converter.projector().empty() && mmproj.empty() && !no_mmproj)
      mmproj = (fs::path(model).parent_path() / ("mmproj-" + fs::path(model).filename().string())).string();
  }

  void write(Console& console, convert::Converter& converter, const std::string& path,
             convert::Written (convert::Converter::*half)(const fs::path&), std::string_view kind) const {
    const convert::Written written = (converter.*half)(path);
    console.status_line("");
    if (json) {
      const Json record = {{"file", path}, {"kind", kind}, {"tensors", written.n_tensors}, {"bytes", written.n_bytes}};
      console.result(dump(record) + "\n");
    } else {
      console.result(fmt::format("{}: {}, {} tensors, {} bytes\n", path, kind, written.n_tensors, written.n_bytes));
    }
  }
};

}  // namespace

void add_convert(CLI::App& app, Console& console) {
  auto command = std::make_shared<ConvertCommand>();
  auto* sub = app.add_subcommand("convert", "Hugging Face checkpoints (safetensors) as GGUF files");
  sub->footer(
      "Examples:\n"
      "  mtmd convert Qwen2.5-VL-3B-Instruct/                 Qwen2.5-VL-3B-Instruct.gguf and its mmproj, here\n"
      "  mtmd convert SmolLM3-3B/ smollm3.gguf --outtype f16\n"
      "  mtmd convert DIR model.gguf && mtmd quantize model.gguf Q4_K_M\n"
      "The folder holds config.json, tokenizer.json and *.safetensors.");
  sub->add_option("folder", command->folder, "the checkpoint")->required()->type_name("DIR");
  sub->add_option("model", command->model, "the GGUF file to write (default: DIR's name, here)")->type_name("OUT");
  auto* mmproj = sub->add_option("--mmproj", command->mmproj, "the vision part (default: mmproj-OUT beside OUT)");
  mmproj->type_name("FILE");
  sub->add_flag("--no-mmproj", command->no_mmproj, "the language model alone")->excludes(mmproj);
  sub->add_option("--outtype", command->options.type,
                  "type of the matrices: auto (the checkpoint's 16 bits), f32, f16, bf16")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, convert::OutputType>{{"auto", convert::OutputType::automatic},
                                                                             {"f32", convert::OutputType::f32},
                                                                             {"f16", convert::OutputType::f16},
                                                                             {"bf16", convert::OutputType::bf16}}));
  sub->add_option("--pre", command->options.pre_tokenizer, "tokenizer.ggml.pre, where it cannot be found out")
      ->type_name("NAME");
  sub->add_option("--model-name", command->options.name, "general.name (default: DIR's name)")->type_name("NAME");
  sub->add_flag("--force", command->force, "replace files that exist");
  sub->add_flag("--json", command->json, "JSON lines");
  sub->callback([command, &console] {
    const bool bar = console.progress == ProgressMode::automatic;
    command->options.progress = [&console, bar](std::uint64_t done, std::uint64_t total) {
      if (bar) console.status_line(fmt::format("{} of {} MB", done / 1'000'000, total / 1'000'000));
      return !cancel_flag();
    };
    command->run(console);
  });
}

}  // namespace mtmd::cli
