#include "engine/gguf/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/gguf/writer.h"

namespace mtmd::gguf {
namespace {

using ::testing::ElementsAre;

TEST(GgufSummary, ATextModel) {
  Writer w;
  w.set("general.architecture", "qwen9");
  w.set("general.name", "Tiny");
  w.set("qwen9.context_length", std::uint32_t{4096});
  w.set("qwen9.embedding_length", std::uint32_t{64});
  w.set("qwen9.block_count", std::uint32_t{2});
  const std::vector<std::int32_t> kv_heads = {2, 0, 4};
  w.set("qwen9.attention.head_count_kv", kv_heads);
  w.set("qwen9.attention.head_count", "eight");  // not a number: as if it were not there
  const std::vector<std::string> tokens = {"a", "b", "c"};
  w.set("tokenizer.ggml.model", "gpt2");
  w.set("tokenizer.ggml.tokens", tokens);
  w.set("tokenizer.chat_template", "{{ x }}");
  w.set("tokenizer.chat_template.tool_use", "{{ y }}");
  const std::vector<std::byte> zeros(1000);
  w.add_tensor("q", DType::Q4_0, {10, 32}, std::span(zeros).first(180));
  w.add_tensor("n1", DType::F32, {10}, std::span(zeros).first(40));
  w.add_tensor("n2", DType::F32, {20}, std::span(zeros).first(80));
  const std::vector<std::byte> bytes = w.to_memory();
  const Summary s = summarize(File::from_memory(bytes, "mem"));
  EXPECT_EQ(s.architecture, "qwen9");
  EXPECT_EQ(s.name, "Tiny");
  EXPECT_EQ(s.n_parameters, 350u);
  EXPECT_EQ(s.tensor_bytes, 300u);
  EXPECT_DOUBLE_EQ(s.bits_per_weight, 2400.0 / 350);
  EXPECT_EQ(s.file_bytes, bytes.size());
  ASSERT_EQ(s.types.size(), 2u);
  EXPECT_EQ(s.types[0].type, DType::Q4_0);
  EXPECT_EQ(s.types[1].n_tensors, 2u);
  EXPECT_EQ(s.types[1].n_bytes, 120u);
  EXPECT_EQ(s.context_length, 4096u);
  EXPECT_EQ(s.width, 64u);
  EXPECT_EQ(s.layers, 2u);
  EXPECT_EQ(s.heads, std::nullopt);
  EXPECT_EQ(s.kv_heads, 4u);
  EXPECT_EQ(s.vocabulary, 3u);
  EXPECT_EQ(s.tokenizer, "gpt2");
  EXPECT_TRUE(s.has_chat_template);
  EXPECT_THAT(s.chat_template_names, ElementsAre("tool_use"));
  EXPECT_THAT(s.modalities, ElementsAre("text"));
  EXPECT_TRUE(s.encoders.empty());
}

TEST(GgufSummary, AnEncoderFile) {
  Writer w;
  w.set("general.architecture", "clip");
  w.set("clip.has_vision_encoder", true);
  w.set("clip.has_audio_encoder", true);
  w.set("clip.vision.projector_type", "qwen2.5vl_merger");
  w.set("clip.projector_type", "qwen2.5o");
  w.set("clip.vision.projection_dim", std::uint32_t{2048});
  w.set("clip.vision.image_size", std::uint32_t{560});
  w.set("clip.audio.num_mel_bins", std::uint32_t{128});
  const std::vector<std::byte> bytes = w.to_memory();
  const Summary s = summarize(File::from_memory(bytes, "mem"));
  EXPECT_THAT(s.modalities, ElementsAre("vision", "audio"));
  ASSERT_EQ(s.encoders.size(), 2u);
  EXPECT_EQ(s.encoders[0].projector, "qwen2.5vl_merger");
  EXPECT_EQ(s.encoders[0].output_width, 2048u);
  EXPECT_EQ(s.encoders[0].image_size, 560u);
  EXPECT_EQ(s.encoders[1].projector, "qwen2.5o");
  EXPECT_EQ(s.encoders[1].mel_bins, 128u);
}

TEST(GgufSummary, AnEmptyFile) {
  const std::vector<std::byte> bytes = Writer().to_memory();
  const Summary s = summarize(File::from_memory(bytes, "mem"));
  EXPECT_EQ(s.n_parameters, 0u);
  EXPECT_EQ(s.bits_per_weight, 0);
  EXPECT_TRUE(s.modalities.empty());
}

}  // namespace
}  // namespace mtmd::gguf
