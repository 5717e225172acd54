#include "mtmd/convert/hf_directory.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "engine/quant/quant.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd::testing {
namespace {

using Json = nlohmann::json;

/// How the transformers library writes the expressions of these pre-tokenizers.
Json hf_pre_tokenizer(const std::string& pre) {
  const std::string contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  const std::string words = contractions + R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  const std::string rest = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  if (pre == "gpt-2") return {{"type", "ByteLevel"}, {"use_regex", true}};
  Json first;
  if (pre == "smollm") {
    first = {{"type", "Digits"}, {"individual_digits", true}};
    return {{"type", "Sequence"}, {"pretokenizers", {first, {{"type", "ByteLevel"}, {"use_regex", true}}}}};
  }
  const std::string digits = pre == "qwen2" ? R"(\p{N})" : R"(\p{N}{1,3})";
  first = {{"type", "Split"}, {"pattern", {{"Regex", words + digits + rest}}}, {"behavior", "Isolated"}};
  return {{"type", "Sequence"}, {"pretokenizers", {first, {{"type", "ByteLevel"}, {"use_regex", false}}}}};
}

/// All pairs of entries that make up an entry, best scores first: how SentencePiece models become merge lists.
std::vector<std::string> merges_of(const std::vector<std::string_view>& texts, const std::vector<float>& scores,
                                   const std::vector<std::int32_t>& types) {
  std::map<std::string_view, std::size_t> ids;
  for (std::size_t i = 0; i < texts.size(); ++i) ids[texts[i]] = i;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < texts.size(); ++i)
    if (types[i] == static_cast<std::int32_t>(TokenType::normal)) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<std::string> merges;
  for (const std::size_t i : order)
    for (std::size_t cut = 1; cut < texts[i].size(); ++cut)
      if (ids.count(texts[i].substr(0, cut)) && ids.count(texts[i].substr(cut)))
        merges.push_back(std::string(texts[i].substr(0, cut)) + " " + std::string(texts[i].substr(cut)));
  return merges;
}

}  // namespace

Values read_values(const gguf::File& file, const std::string& name) {
  const gguf::TensorInfo* t = file.find(name);
  if (!t) throw std::runtime_error("the test asks for a tensor that is not there: " + name);
  Values v{t->shape, std::vector<float>(static_cast<std::size_t>(t->n_values()))};
  quant::find(t->type)->decode(t->data.data(), v.data.data(), t->n_values());
  return v;
}

Values minus_one(Values v) {
  for (float& x : v.data) x -= 1.0f;
  return v;
}

Values unpaired(Values v, std::int64_t heads) {
  Values out = v;
  const std::int64_t head = v.shape[0] / heads, cols = v.shape.size() > 1 ? v.shape[1] : 1;
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t i = 0; i < head; ++i) {
      const std::int64_t from = h * head + i, to = h * head + i % 2 * (head / 2) + i / 2;
      std::copy_n(v.data.begin() + from * cols, cols, out.data.begin() + to * cols);
    }
  return out;
}

Values stack(const std::vector<Values>& parts) {
  Values out = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    out.shape[0] += parts[i].shape[0];
    out.data.insert(out.data.end(), parts[i].data.begin(), parts[i].data.end());
  }
  return out;
}

Values two_frames(const Values& a, const Values& b) {
  Values out{{a.shape[0], a.shape[1], 2, a.shape[2], a.shape[3]}, {}};
  const std::int64_t plane = a.shape[2] * a.shape[3];
  for (std::int64_t p = 0; p < a.shape[0] * a.shape[1]; ++p)
    for (const Values* v : {&a, &b})
      out.data.insert(out.data.end(), v->data.begin() + p * plane, v->data.begin() + (p + 1) * plane);
  return out;
}

std::string safetensors_bytes(const Tensors& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& [name, v] : tensors) {
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(v.data.data()), v.data.size() * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", v.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string table = header.dump();
  table.resize((table.size() + 7) / 8 * 8, ' ');
  std::uint64_t size = table.size();
  std::string out(sizeof size, '\0');
  std::memcpy(out.data(), &size, sizeof size);
  return out + table + data;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void write_tokenizer(const std::filesystem::path& folder, const gguf::Metadata& m) {
  const auto texts = m.require<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  const auto types = m.require<std::vector<std::int32_t>>("tokenizer.ggml.token_type");
  const bool pieces = m.require<std::string_view>("tokenizer.ggml.model") == "llama";
  Json vocab = Json::object(), added = Json::array();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto type = static_cast<TokenType>(types[i]);
    const bool special = type == TokenType::control || type == TokenType::unknown;
    if (type == TokenType::unused) continue;
    if (special || type == TokenType::user_defined)
      added.push_back({{"id", i}, {"content", texts[i]}, {"special", special}});
    else
      vocab[std::string(texts[i])] = i;
  }
  Json model = {{"type", "BPE"}, {"vocab", vocab}, {"byte_fallback", pieces}};
  Json file = {{"added_tokens", added}};
  if (pieces) {
    model["unk_token"] = "<unk>";
    model["merges"] = merges_of(texts, m.require<std::vector<float>>("tokenizer.ggml.scores"), types);
    Json steps = {{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}};
    if (m.get_or<bool>("tokenizer.ggml.add_space_prefix", true))
      steps.insert(steps.begin(), Json{{"type", "Prepend"}, {"prepend", "▁"}});
    file["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  } else {
    // The form that files of today have; older ones say "left right".
    Json merges = Json::array();
    for (const auto merge : m.require<std::vector<std::string_view>>("tokenizer.ggml.merges")) {
      const std::size_t space = merge.find(' ');
      merges.push_back({merge.substr(0, space), merge.substr(space + 1)});
    }
    model["merges"] = merges;
    model["ignore_merges"] = m.require<std::string_view>("tokenizer.ggml.pre") == "llama-bpe";
    file["pre_tokenizer"] = hf_pre_tokenizer(std::string(m.require<std::string_view>("tokenizer.ggml.pre")));
  }
  file["model"] = model;
  write_text(folder / "tokenizer.json", file.dump());
  Json settings = {{"add_bos_token", m.get_or<bool>("tokenizer.ggml.add_bos_token", false)},
                   {"chat_template", m.get_or<std::string_view>("tokenizer.chat_template", "")}};
  for (const char* name : {"bos", "eos"})
    if (const auto id = m.get<std::int64_t>(std::string("tokenizer.ggml.") + name + "_token_id"))
      settings[std::string(name) + "_token"] = {{"content", texts[static_cast<std::size_t>(*id)]}};
  write_text(folder / "tokenizer_config.json", settings.dump());
}

}  // namespace mtmd::testing
