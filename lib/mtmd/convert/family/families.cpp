#include "mtmd/convert/family/family.h"

namespace mtmd::convert {

namespace {

constexpr std::string_view kLlama = R"({"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6})";
constexpr std::string_view kGemma3 = R"({"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 10000,
    "sliding_window": 4096, "sliding_window_pattern": 6, "tie_word_embeddings": true})";
constexpr std::string_view kIdefics3Vision = R"({"num_hidden_layers": 12, "intermediate_size": 3072,
    "num_attention_heads": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})";

}  // namespace

std::span<const Family> families() noexcept {
  static constexpr Family kAll[] = {
      {"LlamaForCausalLM", "llama", llama_text},
      {"MistralForCausalLM", "llama", llama_text},
      {"Qwen2ForCausalLM", "qwen2", qwen2_text},
      {"Qwen3ForCausalLM", "qwen3", qwen3_text},
      {"Gemma3ForCausalLM", "gemma3", gemma3_text, {}, nullptr, kGemma3},
      {"SmolLM3ForCausalLM", "smollm3", smollm3_text},
      {"Phi3ForCausalLM", "phi3", phi3_text},
      {"LlavaForConditionalGeneration", "llama", llama_text, "mlp", llava_vision, kLlama},
      {"Idefics3ForConditionalGeneration", "llama", llama_text, "idefics3", idefics3_vision, "{}", kIdefics3Vision},
      {"SmolVLMForConditionalGeneration", "llama", llama_text, "idefics3", idefics3_vision, "{}", kIdefics3Vision},
      {"Qwen2VLForConditionalGeneration", "qwen2vl", qwen2vl_text, "qwen2vl_merger", qwen2vl_vision},
      {"Qwen2_5_VLForConditionalGeneration", "qwen2vl", qwen2vl_text, "qwen2.5vl_merger", qwen25vl_vision},
      {"Qwen3VLForConditionalGeneration", "qwen3vl", qwen3vl_text, "qwen3vl_merger", qwen3vl_vision},
      {"Gemma3ForConditionalGeneration", "gemma3", gemma3_text, "gemma3", gemma3_vision, kGemma3},
  };
  return kAll;
}

}  // namespace mtmd::convert
