// mtmd models: what can be loaded, and how each was verified.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "encoders/projector/audio_projector.h"
#include "encoders/projector/projector.h"
#include "engine/decoder/decoder.h"
#include "engine/quant/quant.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

struct Row {
  std::string_view kind, name, verified;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const auto name : decoder::architectures()) all.push_back({"text", name, mtmd::name(decoder::verified(name))});
  for (const auto type : encoders::projector_types())
    all.push_back({"vision", type, mtmd::name(encoders::verified(type))});
  for (const auto type : encoders::audio_projector_types())
    all.push_back({"audio", type, mtmd::name(encoders::audio_verified(type))});
  for (const quant::Format& format : quant::all())
    all.push_back({"weights", mtmd::name(format.type), mtmd::name(Verified::recorded)});
  std::ranges::stable_sort(all, {},
                           [](const Row& row) { return std::pair(row.kind != "weights" ? row.name : "", row.kind); });
  return all;
}

std::string text_table() {
  constexpr std::pair<std::string_view, std::string_view> kHeadings[] = {
      {"text", "Language models (general.architecture)"},
      {"vision", "Vision (clip.projector_type of the mmproj)"},
      {"audio", "Sound (clip.audio.projector_type or clip.projector_type of the mmproj)"},
      {"weights", "Types of weights"}};
  std::string out;
  for (const auto& [kind, heading] : kHeadings) {
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", heading);
    for (const Row& row : rows())
      if (row.kind == kind) out += fmt::format("  {:<20} {}\n", row.name, row.verified);
  }
  out += "\nTokenizers (tokenizer.ggml.model)\n  gpt2, llama, gemma4, bert, t5; tokenizer.ggml.pre:";
  std::size_t column = 0;
  for (const auto name : PreTokenizer::names()) {
    if (column == 0 || column + name.size() > 110) {
      out += "\n   ";
      column = 3;
    }
    out += fmt::format(" {}", name);
    column += name.size() + 1;
  }
  return out + "\n";
}

std::string json_lines() {
  std::string out;
  for (const Row& row : rows()) {
    const Json record = {{"kind", row.kind}, {"name", row.name}, {"verified", row.verified}};
    out += dump(record) + "\n";
  }
  for (const auto name : PreTokenizer::names()) {
    const Json record = {{"kind", "pre-tokenizer"}, {"name", name}};
    out += dump(record) + "\n";
  }
  return out;
}

}  // namespace

void add_models(CLI::App& app, Console& console) {
  auto json = std::make_shared<bool>(false);
  auto* sub = app.add_subcommand("models", "what can be loaded, and how each was verified");
  sub->footer(
      "Examples:\n  mtmd models\n  mtmd models --json | grep vision\n"
      "Verified by: a recorded case of the reference implementation; small models run through llama.cpp's library; or "
      "our "
      "own\nreference device only. Sampling settings, chat templates and pre-processing belong to the model file.");
  sub->add_flag("--json", *json, "JSON lines");
  sub->callback([json, &console] { console.result(*json ? json_lines() : text_table()); });
}

}  // namespace mtmd::cli
