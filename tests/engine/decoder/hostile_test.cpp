// Models whose hyper-parameters or tensors are not what they should be: a clear error or a correct run, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "engine/base/error.h"
#include "engine/decoder/goldens.h"
#include "engine/decoder/tiny_model.h"
#include "engine/gguf/writer.h"

namespace mtmd::decoder {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Edit {
  std::string name;
  std::function<void(gguf::Writer&, const std::string& key)> apply;
};

/// `original` with one key changed by `edit`, and with tensor `dropped` left out.
std::vector<std::byte> rewritten(const gguf::File& original, const std::function<void(gguf::Writer&)>& edit,
                                 std::string_view dropped = {}) {
  gguf::Writer w;
  for (const auto& [key, value] : original.metadata().entries()) w.set(std::string(key), value);
  for (const gguf::TensorInfo& t : original.tensors())
    if (t.name != dropped) w.add_tensor(std::string(t.name), t.type, t.shape, t.data);
  edit(w);
  return w.to_memory();
}

/// Loads and runs; the error's text, empty when there was none. Errors of any other category than those named fail.
std::string outcome(const std::vector<std::byte>& bytes) {
  static const auto device = make_device("cpu", {.threads = 1});
  try {
    const gguf::File file = gguf::File::from_memory(bytes, "test.gguf");
    Decoder model(file, *device, {});
    kv::Cache cache(*device, model.kv_layers(), {DType::F32, 64, 8});
    Batch b;
    b.add_text(0, std::vector<std::int32_t>{1, 2, 3, 4, 5}, 0, true);
    model.forward(b, cache);
    return "";
  } catch (const Error& e) {
    EXPECT_TRUE(e.category() == ErrorCategory::model || e.category() == ErrorCategory::resource) << e.what();
    EXPECT_THAT(e.what(), HasSubstr("test.gguf"));
    return e.what();
  }
}

std::vector<Edit> edits() {
  return {
      {"removed", [](gguf::Writer& w, const std::string& k) { w.remove(k); }},
      {"0", [](gguf::Writer& w, const std::string& k) { w.set(k, std::uint32_t{0}); }},
      {"1", [](gguf::Writer& w, const std::string& k) { w.set(k, std::uint32_t{1}); }},
      {"3", [](gguf::Writer& w, const std::string& k) { w.set(k, std::uint32_t{3}); }},
      {"-1", [](gguf::Writer& w, const std::string& k) { w.set(k, std::int32_t{-1}); }},
      {"2^31-1", [](gguf::Writer& w, const std::string& k) { w.set(k, std::int32_t{INT32_MAX}); }},
      {"2^64-1", [](gguf::Writer& w, const std::string& k) { w.set(k, std::uint64_t{UINT64_MAX}); }},
      {"nan", [](gguf::Writer& w, const std::string& k) { w.set(k, std::nanf("")); }},
      {"inf", [](gguf::Writer& w, const std::string& k) { w.set(k, std::numeric_limits<double>::infinity()); }},
      {"-0.5", [](gguf::Writer& w, const std::string& k) { w.set(k, -0.5f); }},
      {"text", [](gguf::Writer& w, const std::string& k) { w.set(k, "seven"); }},
      {"empty", [](gguf::Writer& w, const std::string& k) { w.set(k, std::span<const std::int32_t>()); }},
      {"list",
       [](gguf::Writer& w, const std::string& k) {
         w.set(k, std::span<const std::int32_t>(std::vector{2, 0}));
       }},
  };
}

/// Values of a key that no model may have. The architecture's name comes before each key.
struct BadValues {
  std::string_view key;
  std::vector<double> values;  ///< whole ones are stored as integers where the key is one
  std::string_view expected;   ///< what the message says after "expected"; empty: depends on the model
};

const std::vector<BadValues>& bad_values() {
  static const std::vector<BadValues> all = {
      {"vocab_size", {0, -1, 1e9}, "1 to 16777216"},
      {"context_length", {0, -1, 2e9}, "1 to 1073741824"},
      {"embedding_length", {0, -64, 1e9}, "1 to 1048576"},
      {"block_count", {0, -1, 4097, 1e9}, "1 to 4096"},
      {"feed_forward_length", {0, -1, 1e9}, "1 to 1048576"},
      {"attention.head_count", {0, -4, 1e9}, "1 to 4096"},
      {"attention.head_count_kv", {-1, 1e9}, ""},
      {"attention.key_length", {0, -1, 1e9}, "1 to 8192"},
      {"attention.value_length", {0, -1, 1e9}, "1 to 8192"},
      {"attention.key_length_swa", {0, 1e9}, "1 to 8192"},
      {"attention.value_length_swa", {0, 1e9}, "1 to 8192"},
      {"attention.layer_norm_rms_epsilon", {-0.5, 1.5, INFINITY, NAN}, "0 to 1"},
      {"attention.layer_norm_epsilon", {-0.5, 1.5, INFINITY, NAN}, "0 to 1"},
      {"attention.sliding_window", {0}, "1 to 2147483647"},
      {"attention.sliding_window", {-1, 1e10}, "to 2147483647"},
      {"attention.shared_kv_layers", {-1, 1e9}, ""},
      {"attention.kv_lora_rank", {0, -1, 1e9}, "1 to 1048576"},
      {"attention.q_lora_rank", {-1, 1e9}, "0 to 1048576"},
      {"attention.key_length_mla", {0, 1e9}, ""},
      {"attention.value_length_mla", {0, 1e9}, "1 to 8192"},
      {"attention.scale", {0, -1, NAN, 1e9}, ""},
      {"attention.temperature_scale", {-1, INFINITY, 1e9}, "0 to 1000"},
      {"rope.dimension_count", {0, -2, 1e9}, ""},
      {"rope.dimension_count_swa", {0, 1e9}, ""},
      {"rope.freq_base", {0, -1, NAN, INFINITY}, ""},
      {"rope.freq_base_swa", {0, -1, NAN, INFINITY}, ""},
      {"rope.scaling.factor", {-1, NAN, INFINITY}, "0 to 1000000"},
      {"rope.scaling.original_context_length", {0, -1, 2e9}, "1 to 1073741824"},
      {"rope.scaling.yarn_log_multiplier", {-1, NAN, 1e9}, "0 to 1000"},
      {"expert_count", {-1, 4097, 1e9}, "0 to 4096"},
      {"expert_used_count", {0, -1, 1e9}, ""},
      {"expert_feed_forward_length", {0, -1, 1e9}, "1 to 1048576"},
      {"expert_shared_count", {-1, 1e9}, "0 to 4096"},
      {"expert_group_count", {-1, 1e9}, ""},
      {"expert_group_used_count", {0, 1e9}, ""},
      {"expert_gating_func", {-1, 4, 1e9}, ""},
      {"expert_weights_scale", {-1, NAN, INFINITY}, "0 to 1000000"},
      {"leading_dense_block_count", {-1, 1e9}, ""},
      {"nextn_predict_layers", {-1, 1e9}, ""},
      {"ssm.conv_kernel", {0, 1, 65, 1e9}, "2 to 64"},
      {"ssm.inner_size", {0, -1, 33, 1e9}, ""},
      {"ssm.state_size", {0, -1, 1e9}, "1 to 8192"},
      {"ssm.time_step_rank", {0, -1, 5, 1e9}, ""},
      {"ssm.group_count", {0, -1, 1e9}, "1 to 4096"},
      {"full_attention_interval", {0, -1, 1e9}, "1 to 4096"},
      {"shortconv.l_cache", {0, -1, 65, 1e9}, "1 to 64"},
      {"embedding_length_per_layer_input", {-1, 1e9}, "0 to 1048576"},
      {"embedding_scale", {0, -1, NAN, INFINITY}, ""},
      {"residual_scale", {0, -1, NAN, INFINITY}, ""},
      {"logit_scale", {0, NAN, INFINITY}, ""},
      {"final_logit_softcapping", {-1, NAN, INFINITY}, ""},
      {"n_deepstack_layers", {-1, 1e9}, ""},
  };
  return all;
}

/// Keys that a model may do without any of its own facts changing hands: nothing reads them.
bool is_unread(std::string_view key, const gguf::File& file) {
  const auto arch = file.metadata().require<std::string_view>("general.architecture");
  // Phi-3's window is left out on purpose, Llama 4 says with 0 that it has none; the vocabulary's list comes before its
  // size.
  return ((arch == "phi3" || arch == "llama4") && key == "attention.sliding_window") ||
         (key == "vocab_size" && file.metadata().has("tokenizer.ggml.tokens"));
}

class Hostile : public testing::TestWithParam<std::string> {
 protected:
  const gguf::File& file_ = test::small_model(GetParam());
  const std::string arch_ = std::string(file_.metadata().require<std::string_view>("general.architecture"));
  const DecoderSpec spec_ = read_spec(file_);
  /// Blocks behind the layers, which predict later tokens.
  bool is_unused(std::string_view tensor) const {
    return spec_.n_predict_layers > 0 && tensor.starts_with(fmt::format("blk.{}.", spec_.n_layers));
  }
};

/// Tensors without which a model is another one, but one that is known.
bool is_optional(std::string_view name, std::string_view arch) {
  for (const char* tensor :
       {"rope_freqs.weight", "output.weight", "rope_factors_long.weight", "rope_factors_short.weight",
        "exp_probs_b.bias", "ffn_down_exps.scale", "layer_output_scale.weight"})
    if (name.ends_with(tensor)) return true;
  // Gemma 4 takes keys for values where these are missing.
  if (arch == "gemma4" && name.ends_with("attn_v.weight")) return true;
  // Some families come with and without norms of their heads, many with and without biases.
  if ((arch == "stablelm" || arch == "command-r") && name.ends_with("attn_q_norm.weight")) return true;
  const bool needs_biases = arch == "qwen2" || arch == "qwen2vl" || arch == "gpt-oss" || arch == "qwen3next";
  return name.ends_with(".bias") && !needs_biases;
}

TEST_P(Hostile, KeysOutOfRangeAreNamed) {
  for (const BadValues& bad : bad_values()) {
    const std::string key = arch_ + "." + std::string(bad.key);
    if (!file_.metadata().has(key) || is_unread(bad.key, file_)) continue;
    for (const double value : bad.values) {
      SCOPED_TRACE(key + fmt::format(" {}", value));
      const gguf::ValueType type = file_.metadata().find(key)->element_type();
      const bool whole = type != gguf::ValueType::f32;
      const std::string message = outcome(rewritten(file_, [&](gguf::Writer& w) {
        if (whole)
          w.set(key, static_cast<std::int64_t>(value));
        else
          w.set(key, static_cast<float>(value));
      }));
      const std::string found = whole ? fmt::format(" is {},", static_cast<std::int64_t>(value))
                                      : fmt::format(" is {},", static_cast<float>(value));
      EXPECT_THAT(message, AllOf(HasSubstr("test.gguf: " + key + found), HasSubstr("expected "),
                                 HasSubstr(std::string(bad.expected))));
    }
  }
}

TEST_P(Hostile, EveryHyperParameterIsChecked) {
  const std::string prefix = arch_ + ".";
  ASSERT_EQ(outcome(rewritten(file_, [](gguf::Writer&) {})), "");
  int n_refused = 0;
  for (const auto& entry : file_.metadata().entries()) {
    const std::string key(entry.key);
    if (!key.starts_with(prefix)) continue;
    for (const Edit& edit : edits()) {
      SCOPED_TRACE(key + " " + edit.name);
      n_refused += !outcome(rewritten(file_, [&](gguf::Writer& w) { edit.apply(w, key); })).empty();
    }
  }
  EXPECT_GT(n_refused, 50);
}

TEST_P(Hostile, EveryTensorIsNeeded) {
  for (const gguf::TensorInfo& t : file_.tensors()) {
    if (is_optional(t.name, arch_) || is_unused(t.name)) continue;
    SCOPED_TRACE(t.name);
    EXPECT_THAT(outcome(rewritten(
                    file_, [](gguf::Writer&) {}, t.name)),
                HasSubstr(t.name.ends_with("ffn_gate_up_exps.weight") ? "ffn_gate_exps" : std::string(t.name)));
  }
}

TEST_P(Hostile, EveryTensorsShapeIsChecked) {
  for (const gguf::TensorInfo& t : file_.tensors()) {
    SCOPED_TRACE(t.name);
    auto shape = t.shape;
    if (shape[0] < 2 || is_unused(t.name)) continue;
    const std::size_t bytes =
        t.data.size() / static_cast<std::size_t>(shape[0]) * static_cast<std::size_t>(shape[0] - 1);
    --shape[0];
    EXPECT_THAT(
        outcome(rewritten(
            file_, [&](gguf::Writer& w) { w.add_tensor(std::string(t.name), t.type, shape, t.data.first(bytes)); },
            t.name)),
        HasSubstr(std::string(t.name)));
  }
}

TEST_P(Hostile, UnknownTensorsAreRefused) {
  const std::vector<float> values(64, 1.0f);
  const auto with = [&](const char* name) {
    return outcome(rewritten(
        file_, [&](gguf::Writer& w) { w.add_tensor(name, DType::F32, {64}, std::as_bytes(std::span(values))); }));
  };
  EXPECT_THAT(with("blk.0.attn_queer.weight"), AllOf(HasSubstr("blk.0.attn_queer.weight"), HasSubstr("not part of")));
  EXPECT_EQ(with("v.patch_embd.weight"), "");  // an encoder in the same file
}

/// All small models in f32; those of the kit where it is there.
std::vector<std::string> small_models() {
  std::set<std::string> names;
  for (const auto& folder : {test::data(""), test::kit()}) {
    for (const auto& golden : test::goldens_in(folder)) {
      const auto model = conformance::model_of(golden);
      if (model && conformance::weight_class(gguf::File::open(*model)) <= conformance::WeightClass::gelu_table)
        names.insert(model->stem().string());
    }
  }
  for (const test::TinyCase* c : test::tiny_cases()) names.emplace(c->name);
  return {names.begin(), names.end()};
}

TEST(Hostility, MeetsEveryArchitecture) {
  if (!std::filesystem::exists(test::kit())) GTEST_SKIP() << test::kit() << " is missing: so are some architectures";
  std::set<std::string> met;
  for (const std::string& name : small_models())
    met.emplace(test::small_model(name).metadata().require<std::string_view>("general.architecture"));
  for (std::string_view name : architectures()) EXPECT_TRUE(met.contains(std::string(name))) << name;
}

INSTANTIATE_TEST_SUITE_P(Models, Hostile, testing::ValuesIn(small_models()),
                         [](const auto& c) { return std::string(c.param); });

TEST(Facts, ErrorsNameFileKeyFoundAndExpected) {
  const gguf::File file = gguf::File::open(test::data("llama.gguf"));
  const auto with = [&](const char* key, std::uint32_t value) {
    return outcome(rewritten(file, [&](gguf::Writer& w) { w.set(key, value); }));
  };
  EXPECT_EQ(with("llama.block_count", 1'000'000), "test.gguf: llama.block_count is 1000000, expected 1 to 4096");
  EXPECT_EQ(with("llama.attention.head_count_kv", 3),
            "test.gguf: llama.attention.head_count_kv is 3, expected a divisor of head_count 4");
  EXPECT_EQ(with("llama.attention.head_count", 6),
            "test.gguf: llama.attention.head_count is 6, expected a divisor of embedding_length 64");
  EXPECT_EQ(with("llama.rope.dimension_count", 7),
            "test.gguf: llama.rope.dimension_count is 7, expected an even number");
}

TEST(Architectures, AnUnknownOneListsTheSupported) {
  const gguf::File file = gguf::File::open(test::data("llama.gguf"));
  const std::string message = outcome(rewritten(file, [](gguf::Writer& w) { w.set("general.architecture", "gpt-7"); }));
  EXPECT_THAT(message, HasSubstr("'gpt-7'"));
  for (std::string_view name : architectures()) EXPECT_THAT(message, HasSubstr(std::string(name)));
}

TEST(Architectures, FactsAreReadWithoutWeights) {
  const gguf::File original = gguf::File::open(test::data("gemma3.gguf"));
  gguf::Writer w;
  for (const auto& [key, value] : original.metadata().entries()) w.set(std::string(key), value);
  const auto bytes = w.to_memory();
  const gguf::File file = gguf::File::from_memory(bytes, "test.gguf");
  const DecoderSpec spec = read_spec(file);
  EXPECT_EQ(spec.n_layers, 6);
  std::vector<std::int32_t> windows;
  for (const LayerSpec& l : spec.layers) windows.push_back(l.window);
  EXPECT_THAT(windows, testing::ElementsAre(20, 20, 20, 20, 20, 0));
  EXPECT_FLOAT_EQ(spec.ropes[spec.layers[5].rope].frequency_scale, 1.0f / 8);
  EXPECT_FLOAT_EQ(spec.ropes[spec.layers[0].rope].frequency_scale, 1.0f);
}

}  // namespace
}  // namespace mtmd::decoder
