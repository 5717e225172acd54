// mtmd inspect: a model file as a person wants to see it.
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "encoders/projector/audio_projector.h"
#include "encoders/projector/products.h"
#include "encoders/projector/projector.h"
#include "engine/base/error.h"
#include "engine/decoder/decoder.h"
#include "engine/gguf/summary.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

std::string magnitude(double n, const char* unit = "") {
  for (const auto& [scale, letter] : {std::pair{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}})
    if (n >= scale) return fmt::format("{:.2f} {}{}", n / scale, letter, unit);
  return fmt::format("{:.0f} {}", n, unit);
}

/// Strings in one line, long ones cut, long arrays by their first elements and their length.
std::string shown(const gguf::Value& value, std::size_t max_text) {
  const auto one = [&](std::size_t i) -> std::string {
    if (const auto s = value.as_string(i)) {
      const std::string text = dump(Json(std::string(s->substr(0, max_text))));
      return s->size() > max_text ? text + fmt::format("… ({} bytes)", s->size()) : text;
    }
    if (const auto b = value.as_bool(i)) return *b ? "true" : "false";
    if (const auto n = value.as_integer(i)) return fmt::format("{}", *n);
    if (const auto x = value.as_number(i)) return fmt::format("{:g}", *x);
    return "[…]";
  };
  if (!value.is_array()) return one(0);
  std::string text = "[";
  const std::size_t few = std::min<std::size_t>(value.size(), 8);
  for (std::size_t i = 0; i < few; ++i) text += (i ? ", " : "") + one(i);
  return text + (few < value.size() ? fmt::format(", … {} in all]", value.size()) : "]");
}

Json to_json(const gguf::Value& value) {
  const auto one = [&](std::size_t i) -> Json {
    if (const auto s = value.as_string(i)) return std::string(*s);
    if (const auto b = value.as_bool(i)) return *b;
    if (const auto n = value.as_integer(i)) return *n;
    if (const auto x = value.as_number(i)) return *x;
    if (const auto a = value.as_array(i)) return to_json(*a);
    return nullptr;
  };
  if (!value.is_array()) return one(0);
  Json all = Json::array();
  for (std::size_t i = 0; i < value.size(); ++i) all.push_back(one(i));
  return all;
}

struct InspectCommand {
  std::vector<std::string> files;
  bool json = false, tensors = false, metadata = false, chat_template = false;

  void run(Console& console) const {
    for (const std::string& path : files) {
      const gguf::File file = gguf::File::open(path);
      if (chat_template) {
        console.result(std::string(file.metadata().require<std::string_view>("tokenizer.chat_template")) + "\n");
        continue;
      }
      console.result(json ? dump(as_json(path, file), 2) + "\n" : as_text(path, file));
    }
  }

  /// How this build would use the file; empty parts when it cannot, with the reason in `problem`.
  struct Use {
    std::optional<encoders::Presets> presets;
    std::optional<encoders::AudioPresets> audio_presets;
    std::optional<decoder::DecoderSpec> spec;
    std::string products;  ///< how an encoder's are computed by default
    std::string problem;
  };

  static Use use_of(const gguf::File& file) {
    Use use;
    try {
      const auto device = make_device("cpu", {.threads = 1});
      if (file.metadata().get_or<std::string_view>("general.architecture", "") == "clip") {
        if (encoders::has_vision_encoder(file.metadata()))
          use.presets = encoders::load_projector(file, *device)->presets();
        if (encoders::has_audio_encoder(file.metadata()))
          use.audio_presets = encoders::load_audio_projector(file, *device)->presets();
        use.products = encoders::describe_products(file);
      } else {
        use.spec = decoder::Decoder(file, *device, {}).spec();
      }
    } catch (const Error& e) {
      use.problem = e.what();
    }
    return use;
  }

  std::string as_text(const std::string& path, const gguf::File& file) const {
    const gguf::Summary s = gguf::summarize(file);
    const Use use = use_of(file);
    std::string out = path + "\n";
    const auto line = [&](std::string_view name, const std::string& value) {
      if (!value.empty()) out += fmt::format("  {:<14} {}\n", name, value);
    };
    const auto number = [](const auto& n) { return n ? fmt::format("{}", *n) : std::string(); };
    line("name", s.name);
    line("architecture", s.architecture);
    line("description", s.description);
    line("license", s.license);
    line("parameters", magnitude(static_cast<double>(s.n_parameters)) + fmt::format(" ({} tensors)", s.n_tensors));
    line("size", fmt::format("{}, {:.2f} bits per weight, {}", magnitude(static_cast<double>(s.file_bytes), "B"),
                             s.bits_per_weight,
                             s.n_files > 1 ? fmt::format("{} files", s.n_files) : fmt::format("GGUF v{}", s.version)));
    std::string types;
    for (const auto& t : s.types)
      types += fmt::format(
          "{}{} {} ({:.0f} %)", types.empty() ? "" : ", ", t.n_tensors, name(t.type),
          100.0 * static_cast<double>(t.n_bytes) / static_cast<double>(std::max<std::uint64_t>(1, s.tensor_bytes)));
    line("types", types);
    std::string modalities;
    for (const auto& m : s.modalities) modalities += (modalities.empty() ? "" : ", ") + m;
    line("modalities", modalities);
    line("context", number(s.context_length));
    line("layers", number(s.layers) + (s.width ? fmt::format(" of width {}", *s.width) : ""));
    line("heads", number(s.heads) + (s.kv_heads ? fmt::format(" ({} for keys and values)", *s.kv_heads) : ""));
    if (s.experts && *s.experts > 0) line("experts", number(s.experts) + " (" + number(s.experts_used) + " used)");
    line("vocabulary", s.vocabulary ? fmt::format("{} ({}{}{})", *s.vocabulary, s.tokenizer,
                                                  s.pre_tokenizer.empty() ? "" : ", ", s.pre_tokenizer)
                                    : "");
    if (!s.tokenizer.empty())
      line("chat template", s.has_chat_template ? "yes (--chat-template prints it)" : "none (chatml stands in)");
    for (const auto& e : s.encoders) {
      line(e.modality, fmt::format("{}: {} layers of width {} to width {}", e.projector, number(e.layers),
                                   number(e.width), number(e.output_width)) +
                           (e.image_size ? ", pictures " + number(e.image_size) : "") +
                           (e.patch_size ? ", patches " + number(e.patch_size) : ""));
    }
    if (use.presets) {
      line("reads", use.presets->reads);
      line("ocr prompt", use.presets->picture_alone ? "none: the picture alone" : use.presets->ocr_prompt);
      line("describe", use.presets->describe_prompt);
      std::string stops;
      for (const auto& stop : use.presets->stop) stops += (stops.empty() ? "" : " ") + stop;
      line("stops at", stops);
      const encoders::ImageLimits& limits = use.presets->ocr_limits;
      if (limits.min_tokens || limits.max_tokens)
        line("ocr budget", fmt::format("{} to {} tokens a picture", limits.min_tokens.value_or(1),
                                       limits.max_tokens ? number(limits.max_tokens) : "any number of"));
    }
    if (use.audio_presets) {
      const encoders::AudioPresets& heard = *use.audio_presets;
      line("system", heard.system);
      line("transcribe", heard.transcribe_prompt.empty() ? "the sound alone" : heard.transcribe_prompt);
      line("answers begin", heard.answer);
      line("language", heard.with_language.empty() ? "cannot be told (-l)" : "-l: " + heard.with_language);
      line("clips", fmt::format("of {} s at most", heard.clip_seconds));
    }
    line("encoder", use.products);
    line("supported", use.problem.empty() ? "yes" : "no: " + use.problem);
    if (metadata)
      for (const auto& e : file.metadata().entries()) out += fmt::format("  {} = {}\n", e.key, shown(e.value, 200));
    if (tensors)
      for (const auto& t : file.tensors())
        out += fmt::format("  {:<44} {:<8} [{}]\n", t.name, name(t.type), fmt::join(t.shape, ", "));
    return out;
  }

  Json as_json(const std::string& path, const gguf::File& file) const {
    const gguf::Summary s = gguf::summarize(file);
    const Use use = use_of(file);
    const auto number = [](const auto& n) { return n ? Json(*n) : Json(nullptr); };
    Json out = {{"file", path},
                {"name", s.name},
                {"architecture", s.architecture},
                {"version", s.version},
                {"files", s.n_files},
                {"file_bytes", s.file_bytes},
                {"parameters", s.n_parameters},
                {"bits_per_weight", s.bits_per_weight},
                {"modalities", s.modalities},
                {"context_length", number(s.context_length)},
                {"layers", number(s.layers)},
                {"width", number(s.width)},
                {"heads", number(s.heads)},
                {"kv_heads", number(s.kv_heads)},
                {"experts", number(s.experts)},
                {"vocabulary", number(s.vocabulary)},
                {"tokenizer", s.tokenizer},
                {"pre_tokenizer", s.pre_tokenizer},
                {"chat_template", s.has_chat_template},
                {"supported", use.problem.empty()}};
    if (!use.problem.empty()) out["problem"] = use.problem;
    if (!use.products.empty()) out["encoder_products"] = use.products;
    Json types = Json::object();
    for (const auto& t : s.types)
      types[std::string(name(t.type))] = {{"tensors", t.n_tensors}, {"values", t.n_values}, {"bytes", t.n_bytes}};
    out["types"] = types;
    Json encoders = Json::array();
    for (const auto& e : s.encoders)
      encoders.push_back({{"modality", e.modality},
                          {"projector", e.projector},
                          {"layers", number(e.layers)},
                          {"width", number(e.width)},
                          {"output_width", number(e.output_width)},
                          {"image_size", number(e.image_size)},
                          {"patch_size", number(e.patch_size)}});
    out["encoders"] = encoders;
    if (use.presets)
      out["presets"] = {{"ocr", use.presets->ocr_prompt},
                        {"describe", use.presets->describe_prompt},
                        {"reads", use.presets->reads},
                        {"picture_alone", use.presets->picture_alone},
                        {"stop", use.presets->stop}};
    if (use.audio_presets)
      out["audio_presets"] = {{"system", use.audio_presets->system},
                              {"transcribe", use.audio_presets->transcribe_prompt},
                              {"answer", use.audio_presets->answer},
                              {"with_language", use.audio_presets->with_language},
                              {"any_language", use.audio_presets->any_language},
                              {"clip_seconds", use.audio_presets->clip_seconds}};
    if (metadata) {
      Json all = Json::object();
      for (const auto& e : file.metadata().entries()) all[std::string(e.key)] = to_json(e.value);
      out["metadata"] = all;
    }
    if (tensors) {
      Json all = Json::array();
      for (const auto& t : file.tensors())
        all.push_back({{"name", t.name},
                       {"type", name(t.type)},
                       {"shape", t.shape},
                       {"bytes", t.data.size()},
                       {"offset", t.offset}});
      out["tensors"] = all;
    }
    return out;
  }
};

}  // namespace

void add_inspect(CLI::App& app, Console& console) {
  auto command = std::make_shared<InspectCommand>();
  auto* sub = app.add_subcommand("inspect", "what is in a model file");
  sub->footer(
      "Examples:\n  mtmd inspect model.gguf\n  mtmd inspect --tensors --metadata mmproj.gguf\n  mtmd inspect --json "
      "model.gguf | jq .context_length");
  sub->add_option("files", command->files, "model files")->required()->type_name("FILE");
  sub->add_flag("--tensors", command->tensors, "every tensor: type and shape (outermost first)");
  sub->add_flag("--metadata", command->metadata, "every metadata key");
  sub->add_flag("--chat-template", command->chat_template, "print the chat template and nothing else");
  sub->add_flag("--json", command->json);
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
