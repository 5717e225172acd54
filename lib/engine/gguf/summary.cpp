#include "engine/gguf/summary.h"

#include <algorithm>

namespace mtmd::gguf {
namespace {

/// Lenient look-ups: what does not fit is not there.
class Facts {
 public:
  explicit Facts(const Metadata& m) : metadata_(m) {}

  std::string text(const std::string& key) const {
    const Value* v = metadata_.find(key);
    const auto s = v && !v->is_array() ? v->as_string() : std::nullopt;
    return std::string(s.value_or(""));
  }
  bool flag(const std::string& key) const {
    const Value* v = metadata_.find(key);
    return v && v->as_bool().value_or(false);
  }
  /// A number, or the largest of an array of numbers (heads per layer).
  std::optional<std::uint64_t> count(const std::string& key) const {
    const Value* v = metadata_.find(key);
    std::optional<std::uint64_t> largest;
    for (std::size_t i = 0; v && i < v->size(); ++i) {
      const auto n = v->as_unsigned(i);
      if (n) largest = std::max(largest.value_or(0), *n);
    }
    return largest;
  }
  std::optional<std::uint64_t> length(const std::string& key) const {
    const Value* v = metadata_.find(key);
    if (!v || !v->is_array()) return std::nullopt;
    return v->size();
  }

 private:
  const Metadata& metadata_;
};

void general(const File& file, const Facts& facts, Summary& s) {
  s.architecture = facts.text("general.architecture");
  s.name = facts.text("general.name");
  s.description = facts.text("general.description");
  s.license = facts.text("general.license");
  s.size_label = facts.text("general.size_label");
  s.kind = facts.text("general.type");
  s.version = file.version();
  s.alignment = file.alignment();
  s.n_files = file.paths().size();
  s.file_bytes = file.file_bytes();
  s.n_keys = file.metadata().entries().size();
}

void tensors(const File& file, Summary& s) {
  for (const TensorInfo& t : file.tensors()) {
    auto share = std::ranges::find(s.types, t.type, &Summary::TypeShare::type);
    if (share == s.types.end()) share = s.types.insert(share, Summary::TypeShare{t.type});
    share->n_tensors += 1;
    share->n_values += static_cast<std::uint64_t>(t.n_values());
    share->n_bytes += t.data.size();
  }
  for (const Summary::TypeShare& share : s.types) {
    s.n_tensors += share.n_tensors;
    s.n_parameters += share.n_values;
    s.tensor_bytes += share.n_bytes;
  }
  std::ranges::stable_sort(s.types, std::greater<>(), &Summary::TypeShare::n_bytes);
  if (s.n_parameters)
    s.bits_per_weight = 8.0 * static_cast<double>(s.tensor_bytes) / static_cast<double>(s.n_parameters);
}

void decoder(const Facts& facts, Summary& s) {
  const std::string arch = s.architecture + ".";
  s.context_length = facts.count(arch + "context_length");
  s.width = facts.count(arch + "embedding_length");
  s.layers = facts.count(arch + "block_count");
  s.heads = facts.count(arch + "attention.head_count");
  s.kv_heads = facts.count(arch + "attention.head_count_kv");
  s.experts = facts.count(arch + "expert_count");
  s.experts_used = facts.count(arch + "expert_used_count");
  s.vocabulary = facts.length("tokenizer.ggml.tokens");
  if (!s.vocabulary) s.vocabulary = facts.count(arch + "vocab_size");
}

void tokenizer(const File& file, const Facts& facts, Summary& s) {
  constexpr std::string_view key = "tokenizer.chat_template";
  s.tokenizer = facts.text("tokenizer.ggml.model");
  s.pre_tokenizer = facts.text("tokenizer.ggml.pre");
  s.has_chat_template = !facts.text(std::string(key)).empty();
  for (const Metadata::Entry& e : file.metadata().entries())
    if (e.key.starts_with(key) && e.key.size() > key.size() + 1 && e.key[key.size()] == '.')
      s.chat_template_names.emplace_back(e.key.substr(key.size() + 1));
}

Summary::Encoder encoder(const Facts& facts, const std::string& modality) {
  const std::string prefix = "clip." + modality + ".";
  Summary::Encoder e;
  e.modality = modality;
  e.projector = facts.text(prefix + "projector_type");
  if (e.projector.empty()) e.projector = facts.text("clip.projector_type");
  e.layers = facts.count(prefix + "block_count");
  e.width = facts.count(prefix + "embedding_length");
  e.output_width = facts.count(prefix + "projection_dim");
  e.image_size = facts.count(prefix + "image_size");
  e.patch_size = facts.count(prefix + "patch_size");
  e.mel_bins = facts.count(prefix + "num_mel_bins");
  return e;
}

}  // namespace

Summary summarize(const File& file) {
  const Facts facts(file.metadata());
  Summary s;
  general(file, facts, s);
  tensors(file, s);
  decoder(facts, s);
  tokenizer(file, facts, s);
  for (const char* modality : {"vision", "audio"})
    if (facts.flag(std::string("clip.has_") + modality + "_encoder")) s.encoders.push_back(encoder(facts, modality));
  if (s.architecture != "clip" && (s.layers || !s.tokenizer.empty())) s.modalities.emplace_back("text");
  for (const Summary::Encoder& e : s.encoders) s.modalities.push_back(e.modality);
  return s;
}

}  // namespace mtmd::gguf
