#include "mtmd/model.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "encoders/projector/audio_registry.h"
#include "encoders/projector/registry.h"
#include "engine/base/error.h"
#include "mtmd/media/sha256.h"

namespace mtmd {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kDefaultTemplate = "chatml";

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ErrorCategory::input, "{}: cannot open the chat template", path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

struct TemplateSource {
  std::string source, name;
};

/// --chat-template takes a built-in name, a file, or the Jinja source itself.
TemplateSource chosen_template(const std::string& wanted, const gguf::File& file) {
  if (wanted.empty()) {
    if (const auto own = file.metadata().get<std::string_view>("tokenizer.chat_template"))
      return {std::string(*own), "tokenizer.chat_template of " + file.metadata().file()};
    return {std::string(chat::builtin(kDefaultTemplate)), std::string(kDefaultTemplate)};
  }
  if (const auto source = chat::builtin(wanted); !source.empty()) return {std::string(source), wanted};
  if (wanted.find("{%") != wanted.npos || wanted.find("{{") != wanted.npos) return {wanted, "--chat-template"};
  if (fs::exists(wanted)) return {read_text(wanted), wanted};
  std::string names;
  for (const auto n : chat::builtin_names()) names += (names.empty() ? "" : ", ") + std::string(n);
  fail(ErrorCategory::usage, "--chat-template {}: neither a file nor a built-in template ({})", wanted, names);
}

std::string header_fingerprint(const gguf::File& file) {
  std::string facts;
  for (const auto& e : file.metadata().entries()) {
    facts += e.key;
    for (std::size_t i = 0; i < std::min<std::size_t>(e.value.size(), 64); ++i) {
      if (const auto s = e.value.as_string(i)) facts += *s;
      if (const auto n = e.value.as_number(i)) facts += fmt::format("{};", *n);
    }
  }
  for (const auto& t : file.tensors()) {
    facts += fmt::format("{}:{}:{}:", t.name, static_cast<int>(t.type), t.offset);
    // A few bytes of every tensor tell two trainings of one architecture apart.
    facts.append(reinterpret_cast<const char*>(t.data.data()), std::min<std::size_t>(t.data.size(), 64));
  }
  return media::sha256_hex(std::as_bytes(std::span(facts)));
}

/// Equal widths do not make a pair: positions must fit too, and the markers (check_markers).
void check_positions(const encoders::Projector& projector, const decoder::DecoderSpec& spec, const gguf::File& mmproj,
                     const gguf::File& text) {
  using encoders::PositionKind;
  const bool two_dimensional =
      projector.positions() == PositionKind::grid || projector.positions() == PositionKind::reading;
  if (two_dimensional && !spec.mrope)
    fail(ErrorCategory::model,
         "{}: its projector ({}) places pictures on a grid (M-RoPE), which {} ({}) does not know: this mmproj belongs "
         "to another model",
         mmproj.metadata().file(), projector.type(), text.metadata().file(), spec.architecture);
}

/// The texts around `media` ("pictures", "sound") must be tokens of the vocabulary where they look like some.
void check_markers(std::span<const encoders::Piece> layout, std::string_view media, std::string_view type,
                   const Tokenizer& tokenizer, const gguf::File& mmproj, const gguf::File& text) {
  for (const encoders::Piece& piece : layout) {
    if (!piece.otherwise.empty()) continue;  // one of the two
    const bool marker =
        piece.input < 0 && piece.text.size() > 2 && (piece.text.front() == '<' || piece.text.front() == '[');
    if (!marker) continue;
    const auto tokens = tokenizer.encode(piece.text, {.parse_special = true});
    const auto special = [&](Token t) {
      const TokenType kind = tokenizer.type(t);
      return kind == TokenType::control || kind == TokenType::user_defined;
    };
    if (tokens.size() > 4 && std::ranges::none_of(tokens, special))
      fail(ErrorCategory::model,
           "{}: its projector ({}) wraps {} in '{}', which is no token of {}: this mmproj belongs to another model",
           mmproj.metadata().file(), type, media, piece.text, text.metadata().file());
  }
}

void check_width(int width, std::string_view type, const gguf::File& mmproj, const gguf::File& text, int n_embd) {
  if (width % n_embd != 0)
    fail(ErrorCategory::model,
         "{}: its projector ({}) makes embeddings of width {}, but {} has n_embd {}: this mmproj belongs to another "
         "model",
         mmproj.metadata().file(), type, width, text.metadata().file(), n_embd);
}

template <class Names>
bool contains(const Names& names, std::string_view wanted) {
  return std::ranges::find(names, wanted) != names.end();
}

}  // namespace

bool is_mmproj(const gguf::File& file) {
  return file.metadata().get_or<std::string_view>("general.architecture", "") == "clip";
}

std::optional<fs::path> find_mmproj(const fs::path& model) {
  const fs::path folder = model.parent_path().empty() ? fs::path(".") : model.parent_path();
  const std::string stem = model.stem().string();
  for (const std::string& name : {"mmproj-" + stem + ".gguf", stem + "-mmproj.gguf", stem + ".mmproj.gguf"})
    if (fs::exists(folder / name)) return folder / name;
  std::vector<fs::path> candidates;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".gguf" && name.find("mmproj") != name.npos && entry.path() != model)
      candidates.push_back(entry.path());
  }
  if (candidates.size() == 1) return candidates.front();
  return std::nullopt;
}

std::shared_ptr<const Model> Model::load(const ModelOptions& options) {
  std::shared_ptr<Model> model(new Model(gguf::File::open(options.model)));
  if (is_mmproj(model->file_))
    fail(ErrorCategory::model,
         "{}: this is an mmproj file (an encoder of pictures or sound), not a language model; give it with --mmproj",
         options.model.string());
  model->device_ = make_device(options.device, options.device_options);
  {
    const decoder::Decoder probe(model->file_, *model->device_, {});  // checks every hyper-parameter and tensor
    model->spec_ = probe.spec();
    model->kv_layers_ = probe.kv_layers();
  }
  model->tokenizer_ = Tokenizer::load(model->file_.metadata());
  if (model->tokenizer_->size() > model->spec_.n_vocab)
    fail(ErrorCategory::model, "{}: the vocabulary has {} entries but token_embd has only {} rows",
         options.model.string(), model->tokenizer_->size(), model->spec_.n_vocab);

  const auto [source, name] = chosen_template(options.chat_template, model->file_);
  model->chat_template_source_ = source;
  model->chat_template_ = chat::Template::parse(source, name);

  const bool look = !options.mmproj && options.look_for_mmproj;
  if (const auto mmproj = look ? find_mmproj(options.model) : options.mmproj) {
    model->load_encoders(*mmproj, options.encoder_precision);
  }
  model->fingerprint_ = header_fingerprint(model->file_);
  if (model->mmproj_file_) model->fingerprint_ += header_fingerprint(*model->mmproj_file_);
  return model;
}

void Model::load_encoders(const fs::path& mmproj, Precision precision) {
  mmproj_file_ = gguf::File::open(mmproj);
  mmproj_file_->set_precision(precision);
  const gguf::File& file = *mmproj_file_;
  const gguf::Metadata& metadata = file.metadata();
  if (!is_mmproj(file))
    fail(ErrorCategory::model, "{}: not an mmproj file: general.architecture is '{}', expected 'clip'", mmproj.string(),
         metadata.get_or<std::string_view>("general.architecture", "(missing)"));
  const bool sees = encoders::has_vision_encoder(metadata), hears = encoders::has_audio_encoder(metadata);
  // Of a file with two encoders one may be of a type that is not known: the other still works.
  const bool sees_with =
      sees && (!hears || contains(encoders::projector_types(), encoders::projector_type_of(metadata)));
  const bool hears_with =
      hears && (!sees_with || contains(encoders::audio_projector_types(), encoders::audio_projector_type_of(metadata)));
  if (sees_with) {
    projector_ = encoders::load_projector(file, *device_);
    check_width(projector_->text_width(), projector_->type(), file, file_, spec_.n_embd);
    check_positions(*projector_, spec_, file, file_);
    const image::Image blank{64, 64, std::vector<std::uint8_t>(3 * 64 * 64)};
    check_markers(projector_->preprocess(std::span(&blank, 1), {}).layout, "pictures", projector_->type(), *tokenizer_,
                  file, file_);
  }
  if (hears_with) {
    audio_projector_ = encoders::load_audio_projector(file, *device_);
    check_width(audio_projector_->text_width(), audio_projector_->type(), file, file_, spec_.n_embd);
    const std::vector<float> silence(audio::kRate);
    check_markers(audio_projector_->preprocess(silence).layout, "sound", audio_projector_->type(), *tokenizer_, file,
                  file_);
  }
}

std::string Model::name() const {
  const auto name = file_.metadata().get_or<std::string_view>("general.name", "");
  return name.empty() ? file_.paths().empty() ? std::string("model") : file_.paths()[0].stem().string()
                      : std::string(name);
}

std::uint64_t Model::weight_bytes() const noexcept {
  return file_.file_bytes() + (mmproj_file_ ? mmproj_file_->file_bytes() : 0);
}

}  // namespace mtmd
