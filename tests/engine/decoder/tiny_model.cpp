#include "engine/decoder/tiny_model.h"

#include <cmath>
#include <cstring>
#include <deque>
#include <map>

#include "engine/decoder/goldens.h"

namespace mtmd::test {
namespace {

/// SplitMix64: a hash of the counter.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::uint64_t seed_of(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325;  // FNV-1a
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

}  // namespace

TinyModel::TinyModel(std::string architecture, const TinySizes& s, std::string_view norm_key)
    : sizes(s), architecture_(std::move(architecture)) {
  writer.set("general.architecture", architecture_);
  writer.set("general.name", "tiny " + architecture_);
  writer.set("tokenizer.ggml.model", "no_vocab");
  set("vocab_size", static_cast<std::uint32_t>(kVocab));
  set("context_length", std::uint32_t{4096});
  set("embedding_length", static_cast<std::uint32_t>(s.n_embd));
  set("block_count", static_cast<std::uint32_t>(s.n_layers));
  set("feed_forward_length", static_cast<std::uint32_t>(s.n_ff));
  set("attention.head_count", static_cast<std::uint32_t>(s.n_heads));
  set("attention.head_count_kv", static_cast<std::uint32_t>(s.n_kv_heads));
  set("attention.key_length", static_cast<std::uint32_t>(s.head_dim));
  set("attention.value_length", static_cast<std::uint32_t>(s.head_dim));
  set("rope.dimension_count", static_cast<std::uint32_t>(s.head_dim));
  set("rope.freq_base", 10000.0f);
  set(norm_key, 1e-5f);
}

void TinyModel::tensor(const std::string& name, std::vector<std::int64_t> shape, float deviation, float mean) {
  std::int64_t n = 1;
  for (std::int64_t d : shape) n *= d;
  std::vector<float> values(static_cast<std::size_t>(n));
  const std::uint64_t seed = seed_of(name);
  const float spread = deviation * std::sqrt(3.0f);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto u = static_cast<float>(static_cast<std::int64_t>(mixed(seed + i) >> 40) - (1 << 23)) * 0x1p-23f;
    values[i] = mean + spread * u;
  }
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  writer.add_tensor(name, DType::F32, std::move(shape), [bytes = std::move(bytes)](const auto& sink) { sink(bytes); });
}

void TinyModel::matrix(const std::string& name, std::int64_t out, std::int64_t in, float gain) {
  tensor(name + ".weight", {out, in}, gain / std::sqrt(static_cast<float>(in)));
}

void TinyModel::experts(const std::string& name, std::int64_t n, std::int64_t out, std::int64_t in, float gain) {
  tensor(name + ".weight", {n, out, in}, gain / std::sqrt(static_cast<float>(in)));
}

void TinyModel::norm(const std::string& name, std::int64_t n, float size) {
  tensor(name + ".weight", {n}, 0.2f * size, size);
}

void TinyModel::bias(const std::string& name, std::int64_t n) { tensor(name + ".bias", {n}, 0.3f); }

void TinyModel::embeddings(bool tied) {
  const std::int64_t d = sizes.n_embd;
  tensor("token_embd.weight", {kVocab, d}, tied ? 3.0f / std::sqrt(static_cast<float>(d)) : 1.0f);
  norm("output_norm", d);
  if (!tied) matrix("output", kVocab, d, 3.0f);
}

void TinyModel::attention(std::int32_t i, bool qkv_bias, bool out_bias) {
  const std::int64_t d = sizes.n_embd, q = std::int64_t{sizes.n_heads} * sizes.head_dim,
                     kv = std::int64_t{sizes.n_kv_heads} * sizes.head_dim;
  matrix(block(i, "attn_q"), q, d, 1.5f);
  matrix(block(i, "attn_k"), kv, d, 1.5f);
  matrix(block(i, "attn_v"), kv, d);
  matrix(block(i, "attn_output"), d, q, 1.5f);
  if (qkv_bias) {
    bias(block(i, "attn_q"), q);
    bias(block(i, "attn_k"), kv);
    bias(block(i, "attn_v"), kv);
  }
  if (out_bias) bias(block(i, "attn_output"), d);
}

void TinyModel::feed_forward(std::int32_t i) {
  matrix(block(i, "ffn_gate"), sizes.n_ff, sizes.n_embd, 1.5f);
  matrix(block(i, "ffn_up"), sizes.n_ff, sizes.n_embd, 1.5f);
  matrix(block(i, "ffn_down"), sizes.n_embd, sizes.n_ff, 1.5f);
}

std::vector<std::byte> TinyCase::bytes() const {
  TinyModel m(std::string(architecture), sizes, norm_key);
  build(m);
  return m.writer.to_memory();
}

std::vector<std::int32_t> tiny_prompt() {
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 40; ++i) ids.push_back((i * i * 7 + i * 3 + 1) % TinyModel::kVocab);
  return ids;
}

#define X(name) extern const TinyCase name;
namespace tiny {
#include "tiny_registry.inc"
}
#undef X
const std::vector<const TinyCase*>& tiny_cases() {
#define X(name) &tiny::name,
  static const std::vector<const TinyCase*> all = {
#include "tiny_registry.inc"
  };
#undef X
  return all;
}

const gguf::File& small_model(const std::string& name) {
  static std::map<std::string, gguf::File> open;
  static std::deque<std::vector<std::byte>> memory;
  if (const auto found = open.find(name); found != open.end()) return found->second;
  if (std::filesystem::exists(data(name + ".gguf")))
    return open.emplace(name, gguf::File::open(data(name + ".gguf"))).first->second;
  for (const TinyCase* c : tiny_cases()) {
    if (c->name != name) continue;
    memory.push_back(c->bytes());
    return open.emplace(name, gguf::File::from_memory(memory.back(), name + ".gguf")).first->second;
  }
  return open.emplace(name, gguf::File::open(kit() / (name + ".gguf"))).first->second;
}

}  // namespace mtmd::test
