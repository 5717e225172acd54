// Models whose hyper-parameters or tensors are not what they should be: a clear error or a correct run, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "engine/base/error.h"
#include "engine/decoder/goldens.h"
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
  const auto device = make_device("reference");
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

class Hostile : public testing::TestWithParam<const char*> {
 protected:
  const gguf::File file_ = gguf::File::open(test::data(std::string(GetParam()) + ".gguf"));
};

TEST_P(Hostile, EveryHyperParameterIsChecked) {
  const std::string prefix = std::string(file_.metadata().require<std::string_view>("general.architecture")) + ".";
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
    if (t.name == "rope_freqs.weight" || t.name == "output.weight")
      continue;  // optional: without them it is another model
    SCOPED_TRACE(t.name);
    EXPECT_THAT(outcome(rewritten(
                    file_, [](gguf::Writer&) {}, t.name)),
                HasSubstr(std::string(t.name)));
  }
}

TEST_P(Hostile, EveryTensorsShapeIsChecked) {
  for (const gguf::TensorInfo& t : file_.tensors()) {
    SCOPED_TRACE(t.name);
    auto shape = t.shape;
    if (shape[0] < 2) continue;
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
  EXPECT_THAT(with("blk.0.attn_sinks.weight"), AllOf(HasSubstr("blk.0.attn_sinks.weight"), HasSubstr("not part of")));
  EXPECT_EQ(with("v.patch_embd.weight"), "");  // an encoder in the same file
}

INSTANTIATE_TEST_SUITE_P(Models, Hostile, testing::Values("llama", "mixtral", "qwen3", "gemma3", "qwen2vl"),
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
