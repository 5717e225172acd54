// Private to this folder: what is special about one class of checkpoints. Adding one is a table row in text.cpp or
// vision.cpp's neighbours and one line in families.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mtmd/convert/builder.h"

namespace mtmd::convert {

/// The JSON files of a checkpoint.
struct Source {
  Config config;        ///< config.json
  Config text, vision;  ///< its parts; `text` is the whole where there are none
  Config preprocessor;  ///< preprocessor_config.json, empty when it is not there
};

struct Family {
  std::string_view hf_class;                          ///< config.json's "architectures"
  std::string_view architecture;                      ///< general.architecture
  std::int64_t (*text)(Builder& b, const Source& s);  ///< returns the rows of the embeddings
  std::string_view projector = {};                    ///< clip.projector_type
  void (*vision)(Builder& b, const Source& s) = nullptr;
  // JSON: what files of this class leave out because the transformers library knows it.
  std::string_view text_defaults = "{}", vision_defaults = "{}";
};

std::span<const Family> families() noexcept;

// text.cpp
std::int64_t llama_text(Builder& b, const Source& s);
std::int64_t qwen2_text(Builder& b, const Source& s);
std::int64_t qwen2vl_text(Builder& b, const Source& s);
std::int64_t qwen3_text(Builder& b, const Source& s);
std::int64_t qwen3vl_text(Builder& b, const Source& s);
std::int64_t smollm3_text(Builder& b, const Source& s);
std::int64_t gemma3_text(Builder& b, const Source& s);
std::int64_t phi3_text(Builder& b, const Source& s);
// siglip.cpp
void llava_vision(Builder& b, const Source& s);
void idefics3_vision(Builder& b, const Source& s);
void gemma3_vision(Builder& b, const Source& s);
// qwen_vision.cpp
void qwen2vl_vision(Builder& b, const Source& s);
void qwen25vl_vision(Builder& b, const Source& s);
void qwen3vl_vision(Builder& b, const Source& s);

/// Width of the language model, which the projectors end in.
std::int64_t text_width(const Source& s);

}  // namespace mtmd::convert
