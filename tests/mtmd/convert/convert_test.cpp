// Models of ours, written as the transformers library writes them, converted, compared with themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "engine/base/error.h"
#include "engine/tokenizer/tokenizer.h"
#include "mtmd/convert/convert.h"
#include "mtmd/convert/hf_directory.h"

namespace mtmd::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::HasSubstr;

/// A stem of GGUF names and what the transformers library calls it.
struct Name {
  const char* gguf;
  const char* hf;
};

constexpr Name kLayer[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_qkv", "self_attn.qkv_proj"},  {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"}, {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},           {"ffn_down", "mlp.down_proj"},       {"ffn_norm", "post_attention_layernorm"}};
constexpr Name kGemmaNorms[] = {{"ffn_norm", "pre_feedforward_layernorm"},
                                {"post_attention_norm", "post_attention_layernorm"},
                                {"post_ffw_norm", "post_feedforward_layernorm"}};

struct Case {
  const char* name;
  const char* hf_class;
};

class Directory : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / fmt::format("mtmd_convert_{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "model");
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path hf() const { return folder_ / "model"; }

  /// config.json out of a GGUF's metadata.
  static Json config_of(const gguf::File& file, const char* hf_class) {
    const gguf::Metadata& m = file.metadata();
    const std::string arch(m.require<std::string_view>("general.architecture"));
    const auto integer = [&](const char* key) { return m.require<std::int64_t>(arch + "." + key); };
    const auto number = [&](const char* key) { return m.require<double>(arch + "." + key); };
    Json c = {{"architectures", {hf_class}},
              {"hidden_size", integer("embedding_length")},
              {"num_hidden_layers", integer("block_count")},
              {"num_attention_heads", integer("attention.head_count")},
              {"num_key_value_heads", integer("attention.head_count_kv")},
              {"intermediate_size", integer("feed_forward_length")},
              {"max_position_embeddings", integer("context_length")},
              {"rms_norm_eps", number("attention.layer_norm_rms_epsilon")},
              {"rope_theta", number("rope.freq_base")},
              {"tie_word_embeddings", file.find("output.weight") == nullptr}};
    if (m.has(arch + ".attention.key_length")) c["head_dim"] = integer("attention.key_length");
    return c;
  }

  static std::string hf_layer_name(const std::string& stem, bool gemma) {
    if (gemma)
      for (const Name& n : kGemmaNorms)
        if (stem == n.gguf) return n.hf;
    for (const Name& n : kLayer)
      if (stem == n.gguf) return n.hf;
    throw std::runtime_error("no name for " + stem);
  }

  /// The tensors of a language model; `prefix` as the class has it.
  static Tensors tensors_of(const gguf::File& file, const std::string& prefix, Json& config) {
    const gguf::Metadata& m = file.metadata();
    const std::string arch(m.require<std::string_view>("general.architecture"));
    const bool pairs = arch == "llama" || arch == "smollm3", gemma = arch == "gemma3";
    Tensors out;
    for (const gguf::TensorInfo& t : file.tensors()) {
      const std::string name(t.name);
      Values v = read_values(file, name);
      if (name == "token_embd.weight") {
        out[prefix + "embed_tokens.weight"] = v;
      } else if (name == "output.weight") {
        out["lm_head.weight"] = v;
      } else if (name == "output_norm.weight") {
        out[prefix + "norm.weight"] = gemma ? minus_one(v) : v;
      } else if (name.starts_with("rope_")) {
        if (name.starts_with("rope_factors_"))
          config["rope_scaling"][name.find("long") != name.npos ? "long_factor" : "short_factor"] = v.data;
      } else {
        const std::size_t dot = name.find('.', 4), end = name.rfind('.');
        std::string stem = name.substr(dot + 1, end - dot - 1), hf = hf_layer_name(stem, gemma);
        if (arch == "phi3" && stem == "ffn_up") hf = "mlp.gate_up_proj";
        if (pairs && (stem == "attn_q" || stem == "attn_k"))
          v = unpaired(v, m.require<std::int64_t>(
                              arch + (stem == "attn_q" ? ".attention.head_count" : ".attention.head_count_kv")));
        if (gemma && stem.ends_with("norm")) v = minus_one(v);
        out[fmt::format("{}layers.{}.{}{}", prefix, name.substr(4, dot - 4), hf, name.substr(end))] = v;
      }
    }
    return out;
  }

  void write(const Json& config, const Tensors& tensors, const gguf::Metadata& vocabulary) const {
    write_text(hf() / "config.json", config.dump());
    write_text(hf() / "model.safetensors", safetensors_bytes(tensors));
    write_tokenizer(hf(), vocabulary);
  }

  /// Every tensor of `wanted` is in `got`, with the same values (norms stored as a distance lose a bit).
  static void expect_same_tensors(const gguf::File& got, const gguf::File& wanted) {
    EXPECT_EQ(got.tensors().size(), wanted.tensors().size());
    for (const gguf::TensorInfo& t : wanted.tensors()) {
      const std::string name(t.name);
      ASSERT_NE(got.find(name), nullptr) << name;
      const Values a = read_values(got, name), b = read_values(wanted, name);
      ASSERT_EQ(a.shape, b.shape) << name;
      for (std::size_t i = 0; i < a.data.size(); ++i)
        ASSERT_NEAR(a.data[i], b.data[i], 2e-7f * std::max(1.0f, std::abs(b.data[i]))) << name << " " << i;
    }
  }

  /// Facts that change results.
  static void expect_same_facts(const gguf::Metadata& got, const gguf::Metadata& wanted) {
    const std::string arch(wanted.require<std::string_view>("general.architecture"));
    for (const auto& entry : wanted.entries()) {
      const std::string key(entry.key);
      const bool known =
          key.starts_with(arch + ".") || key == "general.architecture" || key == "tokenizer.chat_template";
      if (!known) continue;
      const gguf::Value* v = got.find(key);
      if (key == "phi3.attention.sliding_window") continue;  // 0: the same as none
      ASSERT_NE(v, nullptr) << key;
      if (entry.value.as_string())
        EXPECT_EQ(*v->as_string(), *entry.value.as_string()) << key;
      else
        for (std::size_t i = 0; i < entry.value.size(); ++i)
          EXPECT_NEAR(*v->as_number(i), *entry.value.as_number(i), 1e-6 * std::abs(*entry.value.as_number(i))) << key;
    }
  }

  static void expect_same_tokens(const gguf::Metadata& got, const gguf::Metadata& wanted) {
    const auto a = Tokenizer::load(got), b = Tokenizer::load(wanted);
    for (const char* text :
         {"Hello, the old harbour wall: it's 1984 and 12345 people", "naïve café — 35 €!\n\n  two  spaces",
          "<|im_start|>user\nwhat?<|im_end|>", "<start_of_turn>user\nYou ARE don't<end_of_turn>", "a", ""})
      for (const bool special : {false, true})
        EXPECT_EQ(a->encode(text, {special, special}), b->encode(text, {special, special})) << text;
    EXPECT_EQ(a->bos(), b->bos());
    EXPECT_EQ(a->eos(), b->eos());
    for (Token t = 0; t < b->size(); ++t) {
      EXPECT_EQ(a->text(t), b->text(t));
      EXPECT_EQ(a->type(t), b->type(t)) << b->text(t);
    }
  }

  fs::path folder_;
};

class Text : public Directory, public ::testing::WithParamInterface<Case> {};

TEST_P(Text, ComesBackAsItWas) {
  const auto [name, hf_class] = GetParam();
  fs::path source = fs::path(MTMD_TEST_DATA "/text") / (std::string(name) + ".gguf");
  if (!fs::exists(source)) source = fs::path(MTMD_CONFORMANCE "/text") / (std::string(name) + ".gguf");
  if (!fs::exists(source)) GTEST_SKIP() << source << " of the conformance kit is not there";
  const auto wanted = gguf::File::open(source);
  const gguf::Metadata& m = wanted.metadata();
  Json config = config_of(wanted, hf_class);
  const std::string arch(m.require<std::string_view>("general.architecture"));
  if (wanted.find("rope_freqs.weight"))
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 32.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 64}};
  if (arch == "gemma3") {
    config["sliding_window"] = 20;
    config["rope_local_base_freq"] = 10000.0;
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8.0}};
  }
  if (arch == "phi3") {
    config["rope_scaling"] = {{"type", "longrope"}};
    config["original_max_position_embeddings"] = 256;
  }
  if (arch == "smollm3") config["no_rope_layers"] = {1, 1, 1, 0, 1};
  const Tensors tensors = tensors_of(wanted, "model.", config);
  write(config, tensors, m);

  convert::Converter converter(hf(),
                               {.type = convert::OutputType::f32, .pre_tokenizer = {}, .name = {}, .progress = {}});
  EXPECT_EQ(converter.architecture(), arch);
  converter.write_model(folder_ / "out.gguf");
  const auto got = gguf::File::open(folder_ / "out.gguf");
  expect_same_tensors(got, wanted);
  expect_same_facts(got.metadata(), m);
  expect_same_tokens(got.metadata(), m);
  EXPECT_THROW(converter.write_mmproj(folder_ / "mmproj.gguf"), Error);
}

INSTANTIATE_TEST_SUITE_P(Families, Text,
                         ::testing::Values(Case{"llama", "LlamaForCausalLM"}, Case{"llama_tied", "LlamaForCausalLM"},
                                           Case{"qwen3", "Qwen3ForCausalLM"}, Case{"gemma3", "Gemma3ForCausalLM"},
                                           Case{"qwen2", "Qwen2ForCausalLM"}, Case{"smollm3", "SmolLM3ForCausalLM"},
                                           Case{"phi3", "Phi3ForCausalLM"}),
                         [](const auto& at) { return std::string(at.param.name); });

// Vision parts.

/// SigLIP's and CLIP's names.
Tensors siglip_tensors(const gguf::File& file, const std::string& prefix, const std::string& mm,
                       std::string_view type) {
  static constexpr Name kBlock[] = {{"ln1", "layer_norm1"},         {"ln2", "layer_norm2"},
                                    {"attn_q", "self_attn.q_proj"}, {"attn_k", "self_attn.k_proj"},
                                    {"attn_v", "self_attn.v_proj"}, {"attn_out", "self_attn.out_proj"},
                                    {"ffn_up", "mlp.fc1"},          {"ffn_down", "mlp.fc2"}};
  static const std::map<std::string, std::string> kRest = {
      {"v.patch_embd.weight", "embeddings.patch_embedding.weight"},
      {"v.patch_embd.bias", "embeddings.patch_embedding.bias"},
      {"v.position_embd.weight", "embeddings.position_embedding.weight"},
      {"v.class_embd", "embeddings.class_embedding"},
      {"v.pre_ln.weight", "pre_layrnorm.weight"},
      {"v.pre_ln.bias", "pre_layrnorm.bias"},
      {"v.post_ln.weight", "post_layernorm.weight"},
      {"v.post_ln.bias", "post_layernorm.bias"}};
  static const std::map<std::string, std::string> kProjector = {
      {"mm.0.weight", "linear_1.weight"},
      {"mm.0.bias", "linear_1.bias"},
      {"mm.2.weight", "linear_2.weight"},
      {"mm.2.bias", "linear_2.bias"},
      {"mm.soft_emb_norm.weight", "mm_soft_emb_norm.weight"},
      {"mm.input_projection.weight", "mm_input_projection_weight"},
      {"mm.model.fc.weight", "modality_projection.proj.weight"}};
  Tensors out;
  for (const gguf::TensorInfo& t : file.tensors()) {
    const std::string name(t.name);
    Values v = read_values(file, name);
    if (name == "mm.soft_emb_norm.weight") v = minus_one(v);
    if (const auto rest = kRest.find(name); rest != kRest.end()) {
      out[prefix + rest->second] = v;
    } else if (name.starts_with("mm.")) {
      out[mm + kProjector.at(name)] = v;
    } else {
      const std::size_t dot = name.find('.', 6), end = name.rfind('.');
      for (const Name& n : kBlock)
        if (name.substr(dot + 1, end - dot - 1) == n.gguf)
          out[fmt::format("{}encoder.layers.{}.{}{}", prefix, name.substr(6, dot - 6), n.hf, name.substr(end))] = v;
    }
  }
  if (type == "mlp") out[prefix + "post_layernorm.weight"] = out[prefix + "pre_layrnorm.weight"];  // stored, never used
  return out;
}

/// The names of Qwen2-VL and its successors.
Tensors qwen_tensors(const gguf::File& file, const std::string& prefix, std::string_view type) {
  const bool third = type == "qwen3vl_merger", gated = type == "qwen2.5vl_merger";
  const std::string up = third ? "mlp.linear_fc1" : gated ? "mlp.up_proj" : "mlp.fc1";
  const std::string down = third ? "mlp.linear_fc2" : gated ? "mlp.down_proj" : "mlp.fc2";
  const std::map<std::string, std::string> block = {
      {"ln1", "norm1"}, {"ln2", "norm2"},   {"attn_qkv", "attn.qkv"},     {"attn_out", "attn.proj"},
      {"ffn_up", up},   {"ffn_down", down}, {"ffn_gate", "mlp.gate_proj"}};
  const std::map<std::string, std::string> stems = {{"v.post_ln", third ? "merger.norm" : "merger.ln_q"},
                                                    {"mm.0", third ? "merger.linear_fc1" : "merger.mlp.0"},
                                                    {"mm.2", third ? "merger.linear_fc2" : "merger.mlp.2"},
                                                    {"v.position_embd", "pos_embed"}};
  Tensors out;
  int n_deep = 0;
  std::map<std::string, int> deep;
  for (const gguf::TensorInfo& t : file.tensors()) {
    const std::string name(t.name), end = name.substr(name.rfind('.')), stem = name.substr(0, name.rfind('.'));
    const Values v = read_values(file, name);
    if (name == "v.patch_embd.weight") {
      out[prefix + "patch_embed.proj.weight"] = two_frames(v, read_values(file, "v.patch_embd.weight.1"));
    } else if (name == "v.patch_embd.bias") {
      out[prefix + "patch_embed.proj.bias"] = v;
    } else if (stems.count(stem)) {
      out[prefix + stems.at(stem) + end] = v;
    } else if (name.starts_with("v.deepstack.")) {
      const std::string layer = name.substr(12, name.find('.', 12) - 12), part = stem.substr(stem.rfind('.') + 1);
      if (!deep.count(layer)) deep[layer] = n_deep++;
      out[fmt::format("{}deepstack_merger_list.{}.{}{}{}", prefix, deep[layer], part == "norm" ? "" : "linear_", part,
                      end)] = v;
    } else if (name.starts_with("v.blk.")) {
      const std::size_t dot = name.find('.', 6);
      const std::string layer = fmt::format("{}blocks.{}.", prefix, name.substr(6, dot - 6)),
                        part = stem.substr(dot + 1);
      if (part == "attn_q") {
        const std::string base = name.substr(0, dot + 1);
        out[layer + "attn.qkv" + end] =
            stack({v, read_values(file, base + "attn_k" + end), read_values(file, base + "attn_v" + end)});
      } else if (part != "attn_k" && part != "attn_v") {
        out[layer + block.at(part) + end] = v;
      }
    }
  }
  return out;
}

struct VisionCase {
  const char* type;
  const char* hf_class;
  const char* text;    ///< prefix of the language model
  const char* vision;  ///< prefix of the encoder
  const char* mm;      ///< prefix of the projector
};

class Vision : public Directory, public ::testing::WithParamInterface<VisionCase> {
 protected:
  static Json vision_config(const gguf::Metadata& m, std::string_view type) {
    const auto integer = [&](const char* key) { return m.require<std::int64_t>(std::string("clip.vision.") + key); };
    const bool qwen = type.starts_with("qwen");
    Json c = {{qwen ? "depth" : "num_hidden_layers", integer("block_count")},
              {qwen ? "num_heads" : "num_attention_heads", integer("attention.head_count")},
              {type == "qwen2vl_merger" ? "embed_dim" : "hidden_size", integer("embedding_length")},
              {"patch_size", integer("patch_size")},
              {"image_size", integer("image_size")},
              {"layer_norm_eps", m.require<double>("clip.vision.attention.layer_norm_epsilon")},
              {"intermediate_size", integer("feed_forward_length")}};
    const bool gelu = m.get_or<bool>("clip.use_gelu", false), silu = m.get_or<bool>("clip.use_silu", false);
    c["hidden_act"] = gelu ? "gelu_pytorch_tanh" : silu ? "silu" : "quick_gelu";
    if (qwen) c["spatial_merge_size"] = c["temporal_patch_size"] = 2;
    if (type == "qwen2.5vl_merger") c["fullatt_block_indexes"] = {1};
    if (type == "qwen3vl_merger") {
      const std::int64_t side = integer("image_size") / integer("patch_size");
      c["num_position_embeddings"] = side * side;
      c["deepstack_visual_indexes"] = {1, 2};
    }
    return c;
  }
};

TEST_P(Vision, ComesBackAsItWas) {
  const VisionCase p = GetParam();
  const fs::path kit = fs::path(MTMD_CONFORMANCE "/media") / p.type;
  if (!fs::exists(kit)) GTEST_SKIP() << kit << " of the conformance kit is not there";
  const auto text = gguf::File::open(kit / "model.gguf"), wanted = gguf::File::open(kit / "mmproj.gguf");
  const gguf::Metadata& m = wanted.metadata();
  const std::string_view type = p.type;
  Json config = config_of(text, p.hf_class);
  if (type.starts_with("qwen")) {
    const std::string arch(text.metadata().require<std::string_view>("general.architecture"));
    auto sections = text.metadata().require<std::vector<std::int32_t>>(arch + ".rope.dimension_sections");
    sections.resize(3);
    config["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", sections}};
  }
  Tensors tensors = tensors_of(text, p.text, config);
  Json whole = {{"architectures", {p.hf_class}},
                {"text_config", config},
                {"vision_config", vision_config(m, type)},
                {"tie_word_embeddings", config["tie_word_embeddings"]}};
  if (type == "idefics3") whole["scale_factor"] = m.require<std::int64_t>("clip.vision.projector.scale_factor");
  if (type == "gemma3") whole["mm_tokens_per_image"] = 9;  // 12 patches a side, 4 x 4 in a token
  tensors.merge(type.starts_with("qwen") ? qwen_tensors(wanted, p.vision, type)
                                         : siglip_tensors(wanted, p.vision, p.mm, type));
  write(whole, tensors, text.metadata());
  Json preprocessor = {{"image_mean", m.require<std::vector<float>>("clip.vision.image_mean")},
                       {"image_std", m.require<std::vector<float>>("clip.vision.image_std")}};
  if (type == "idefics3")
    preprocessor["size"] = {{"longest_edge", m.require<std::int64_t>("clip.vision.preproc_image_size")}};
  write_text(hf() / "preprocessor_config.json", preprocessor.dump());

  convert::Converter converter(hf(),
                               {.type = convert::OutputType::f32, .pre_tokenizer = {}, .name = {}, .progress = {}});
  EXPECT_EQ(converter.projector(), type);
  converter.write_model(folder_ / "model.gguf");
  converter.write_mmproj(folder_ / "mmproj.gguf");
  expect_same_tensors(gguf::File::open(folder_ / "model.gguf"), text);
  const auto got = gguf::File::open(folder_ / "mmproj.gguf");
  expect_same_tensors(got, wanted);
  for (const auto& entry : m.entries()) {
    const std::string key(entry.key);
    if (!key.starts_with("clip.") || key == "clip.vision.projection_dim") continue;
    const gguf::Value* v = got.metadata().find(key);
    const bool off = entry.value.as_bool() && !*entry.value.as_bool();
    if (!v && off) continue;  // false is the same as missing
    ASSERT_NE(v, nullptr) << key;
    if (entry.value.as_string()) {
      EXPECT_EQ(*v->as_string(), *entry.value.as_string()) << key;
    }
    for (std::size_t i = 0; i < entry.value.size() && entry.value.as_number(i); ++i)
      EXPECT_NEAR(*v->as_number(i), *entry.value.as_number(i), 1e-6 * std::abs(*entry.value.as_number(i))) << key;
    for (std::size_t i = 0; i < entry.value.size() && entry.value.as_bool(i); ++i)
      EXPECT_EQ(*v->as_bool(i), *entry.value.as_bool(i)) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Types, Vision,
    ::testing::Values(VisionCase{"mlp", "LlavaForConditionalGeneration", "language_model.model.",
                                 "vision_tower.vision_model.", "multi_modal_projector."},
                      VisionCase{"idefics3", "SmolVLMForConditionalGeneration", "model.text_model.",
                                 "model.vision_model.", "model.connector."},
                      VisionCase{"gemma3", "Gemma3ForConditionalGeneration", "language_model.model.",
                                 "vision_tower.vision_model.", "multi_modal_projector."},
                      VisionCase{"qwen2vl_merger", "Qwen2VLForConditionalGeneration", "model.", "visual.", ""},
                      VisionCase{"qwen2.5vl_merger", "Qwen2_5_VLForConditionalGeneration", "model.language_model.",
                                 "model.visual.", ""},
                      VisionCase{"qwen3vl_merger", "Qwen3VLForConditionalGeneration", "model.language_model.",
                                 "model.visual.", ""}),
    [](const auto& at) {
      std::string name = at.param.type;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

// What is wrong is said.

class Refused : public Directory {
 protected:
  void SetUp() override {
    Directory::SetUp();
    const auto file = gguf::File::open(MTMD_TEST_DATA "/text/qwen3.gguf");
    config_ = config_of(file, "Qwen3ForCausalLM");
    tensors_ = tensors_of(file, "model.", config_);
    write(config_, tensors_, file.metadata());
  }
  std::string refusal(ErrorCategory category = ErrorCategory::model) const {
    try {
      convert::Converter converter(hf(), {});
      converter.write_model(folder_ / "out.gguf");
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), category) << e.what();
      EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
      return e.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }
  void config(const char* key, const Json& value) {
    Json changed = config_;
    changed[key] = value;
    write_text(hf() / "config.json", changed.dump());
  }
  Json config_;
  Tensors tensors_;
};

TEST_F(Refused, Configurations) {
  write_text(hf() / "config.json", "{\"architectures\": [");
  EXPECT_THAT(refusal(), HasSubstr("expected a JSON object"));
  config("architectures", {"BertModel"});
  EXPECT_THAT(refusal(), HasSubstr("'BertModel' is not converted; supported: LlamaForCausalLM"));
  for (const Json& bad : {Json(0), Json(-1), Json(1e9), Json("64"), Json(nullptr)}) {
    config("hidden_size", bad);
    EXPECT_THAT(refusal(), HasSubstr("hidden_size is"));
  }
  config("num_attention_heads", 3);
  EXPECT_THAT(refusal(), HasSubstr("q_proj.weight' has the shape"));
  config("intermediate_size", 127);
  EXPECT_THAT(refusal(), HasSubstr("gate_proj.weight' has the shape [128, 64], config.json asks for [127, 64]"));
  config("num_hidden_layers", 1);
  EXPECT_THAT(refusal(), HasSubstr("11 tensors have no place in a qwen3 model, among them 'model.layers.1."));
  config("num_hidden_layers", 3);
  EXPECT_THAT(refusal(), HasSubstr("no tensor 'model.layers.2.input_layernorm.weight'"));
  config("rope_scaling", {{"rope_type", "magic"}});
  EXPECT_THAT(refusal(), HasSubstr("rope_type is \"magic\", expected default, linear"));
  config("tie_word_embeddings", true);
  convert::Converter(hf(), {}).write_model(folder_ / "tied.gguf");  // a copy of the embeddings is no surprise
  fs::remove(hf() / "config.json");
  EXPECT_THAT(refusal(ErrorCategory::input), HasSubstr("config.json"));
}

TEST_F(Refused, Tokenizers) {
  const auto edited = [&](const std::function<void(Json&)>& edit) {
    const auto file = gguf::File::open(MTMD_TEST_DATA "/text/qwen3.gguf");
    write_tokenizer(hf(), file.metadata());
    std::ifstream in(hf() / "tokenizer.json");
    Json json = Json::parse(in);
    edit(json);
    write_text(hf() / "tokenizer.json", json.dump());
    return refusal();
  };
  EXPECT_THAT(edited([](Json& j) { j["model"]["type"] = "Unigram"; }), HasSubstr("type is \"Unigram\", expected BPE"));
  EXPECT_THAT(edited([](Json& j) { j["model"]["vocab"]["zzz"] = 400; }), HasSubstr("expected an id below 400"));
  EXPECT_THAT(edited([](Json& j) { j["model"]["merges"] = {1, 2}; }), HasSubstr("expected a list of pairs"));
  EXPECT_THAT(edited([](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "x+"; }),
              HasSubstr("cuts with 'x+', which is none of the known expressions; name the closest with --pre"));
  EXPECT_THAT(edited([](Json& j) { j["pre_tokenizer"]["type"] = "Magic"; }), HasSubstr("expected Sequence, Split"));
}

TEST_F(Refused, DamagedSafetensors) {
  const std::string sound = safetensors_bytes(tensors_);
  const auto with = [&](const std::string& bytes) {
    write_text(hf() / "model.safetensors", bytes);
    return refusal();
  };
  EXPECT_THAT(with(sound.substr(0, 5)), HasSubstr("too few for a header"));
  EXPECT_THAT(with(std::string(8, '\xFF') + "{}"), HasSubstr("announces 18446744073709551615 bytes"));
  EXPECT_THAT(with(sound.substr(0, 100)), HasSubstr("announces"));
  EXPECT_THAT(with(sound.substr(0, sound.size() - 1)), HasSubstr("bytes of data"));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string bytes = sound;
    bytes.replace(bytes.find(from), from.size(), to);
    return with(bytes);
  };
  EXPECT_THAT(replaced("\"F32\"", "\"F8!\""), HasSubstr("expected F32, F16, BF16 or F64"));
  EXPECT_THAT(replaced("\"F32\"", "\"F16\""), HasSubstr("its shape asks for others"));
  EXPECT_THAT(replaced("[400,64]", "[-40,64]"), HasSubstr("has a dimension -40"));
  write_text(hf() / "model.safetensors.index.json", R"({"weight_map": {"a": "../../etc/passwd"}})");
  EXPECT_THAT(refusal(), HasSubstr("the name of a file in the same folder"));
}

TEST_F(Refused, ShardsAreReadTogether) {
  Tensors first, second;
  for (const auto& [name, v] : tensors_) (first.size() <= second.size() ? first : second)[name] = v;
  fs::remove(hf() / "model.safetensors");
  write_text(hf() / "a.safetensors", safetensors_bytes(first));
  write_text(hf() / "b.safetensors", safetensors_bytes(second));
  Json map;
  for (const auto& [name, v] : first) map["weight_map"][name] = "a.safetensors";
  for (const auto& [name, v] : second) map["weight_map"][name] = "b.safetensors";
  write_text(hf() / "model.safetensors.index.json", map.dump());
  convert::Converter converter(hf(),
                               {.type = convert::OutputType::f32, .pre_tokenizer = {}, .name = {}, .progress = {}});
  converter.write_model(folder_ / "out.gguf");
  expect_same_tensors(gguf::File::open(folder_ / "out.gguf"), gguf::File::open(MTMD_TEST_DATA "/text/qwen3.gguf"));
  fs::remove(folder_ / "out.gguf");
  write_text(hf() / "b.safetensors", safetensors_bytes(tensors_));
  EXPECT_THAT(refusal(), HasSubstr("is stored twice"));
}

}  // namespace
}  // namespace mtmd::testing
