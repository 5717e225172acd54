#include "mtmd/quantize/models.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include "engine/gguf/writer.h"
#include "engine/quant/quant.h"

namespace mtmd::quantize::test {
namespace fs = std::filesystem;
namespace {

void add_attention(std::vector<Named>& list, const std::string& block, const Shape& s) {
  const std::int64_t kv = s.width / s.n_head * s.n_head_kv;
  list.push_back({block + "attn_norm.weight", {s.width}});
  if (s.fused_qkv) {
    list.push_back({block + "attn_qkv.weight", {s.width + 2 * kv, s.width}});
  } else {
    list.push_back({block + "attn_q.weight", {s.width, s.width}});
    list.push_back({block + "attn_k.weight", {kv, s.width}});
    list.push_back({block + "attn_v.weight", {kv, s.width}});
  }
  list.push_back({block + "attn_output.weight", {s.width, s.width}});
  if (s.qk_norm)
    for (const char* name : {"attn_q_norm.weight", "attn_k_norm.weight"}) list.push_back({block + name, {64}});
  if (s.architecture == "qwen2")
    for (const char* name : {"attn_q.bias", "attn_k.bias", "attn_v.bias"}) list.push_back({block + name, {s.width}});
}

void add_feed_forward(std::vector<Named>& list, const std::string& block, const Shape& s) {
  list.push_back({block + "ffn_norm.weight", {s.width}});
  if (s.post_norms)
    for (const char* name : {"post_attention_norm.weight", "post_ffw_norm.weight"})
      list.push_back({block + name, {s.width}});
  if (s.n_expert > 0) {
    list.push_back({block + "ffn_gate_inp.weight", {s.n_expert, s.width}});
    list.push_back({block + "ffn_gate_exps.weight", {s.n_expert, s.ff, s.width}});
    list.push_back({block + "ffn_up_exps.weight", {s.n_expert, s.ff, s.width}});
    list.push_back({block + "ffn_down_exps.weight", {s.n_expert, s.width, s.ff}});
    return;
  }
  if (!s.fused_qkv) list.push_back({block + "ffn_gate.weight", {s.ff, s.width}});
  list.push_back({block + "ffn_up.weight", {s.fused_qkv ? 2 * s.ff : s.ff, s.width}});
  list.push_back({block + "ffn_down.weight", {s.width, s.ff}});
}

}  // namespace

std::vector<Named> tensors_of(const Shape& s) {
  std::vector<Named> list = {{"token_embd.weight", {s.vocab, s.width}}, {"output_norm.weight", {s.width}}};
  if (!s.tied) list.push_back({"output.weight", {s.vocab, s.width}});
  if (s.rope_factors) list.push_back({"rope_freqs.weight", {32}});
  for (std::int64_t i = 0; i < s.n_layer; ++i) {
    const std::string block = fmt::format("blk.{}.", i);
    add_attention(list, block, s);
    add_feed_forward(list, block, s);
  }
  return list;
}

std::vector<std::byte> random_model(const Shape& s, unsigned seed) {
  gguf::Writer w;
  w.set("general.architecture", std::string_view(s.architecture));
  w.set("general.file_type", std::uint32_t{1});
  const auto put = [&](const char* key, std::int64_t v) {
    w.set(fmt::format("{}.{}", s.architecture, key), static_cast<std::uint32_t>(v));
  };
  put("block_count", s.n_layer);
  put("attention.head_count", s.n_head);
  put("attention.head_count_kv", s.n_head_kv);
  if (s.n_expert > 0) put("expert_count", s.n_expert);
  w.set("a.note", "kept as it is");
  std::mt19937 random(seed);
  std::vector<std::vector<std::byte>> data;
  const auto list = tensors_of(s);
  data.reserve(list.size());
  for (const Named& t : list) {
    std::int64_t n = 1;
    for (const std::int64_t d : t.shape) n *= d;
    const DType type = t.shape.size() > 1 ? DType::F16 : DType::F32;
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) v = (static_cast<float>(random() % 4096) + static_cast<float>(random() % 4096)) / 4096 - 1;
    data.emplace_back(row_bytes(type, n));
    quant::find(type)->encode(values.data(), data.back().data(), n, nullptr, quant::Effort::standard);
    w.add_tensor(t.name, type, t.shape, data.back());
  }
  return w.to_memory();
}

void write_model(const fs::path& path, const Shape& shape, unsigned seed) {
  const auto bytes = random_model(shape, seed);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Folder::Folder() {
  std::string pattern = (fs::temp_directory_path() / "mtmd-quantize-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> Folder::names() const {
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(path_)) names.push_back(e.path().filename().string());
  std::ranges::sort(names);
  return names;
}

std::string contents(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace mtmd::quantize::test
