// Writes models of ours the way the transformers library stores them: the inverse of what is tested, from its
// documentation.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::testing {

/// A tensor in f32.
struct Values {
  std::vector<std::int64_t> shape;
  std::vector<float> data;
};

/// Tensors to be stored in model.safetensors.
using Tensors = std::map<std::string, Values>;

Values read_values(const gguf::File& file, const std::string& name);
Values minus_one(Values v);
Values unpaired(Values v, std::int64_t heads);        ///< the halves of each head one after the other again
Values stack(const std::vector<Values>& parts);       ///< along the first dimension
Values two_frames(const Values& a, const Values& b);  ///< [out, in, y, x] twice: [out, in, 2, y, x]

std::string safetensors_bytes(const Tensors& tensors);
void write_text(const std::filesystem::path& path, const std::string& text);
/// tokenizer.json, tokenizer_config.json of the vocabulary in a GGUF file.
void write_tokenizer(const std::filesystem::path& folder, const gguf::Metadata& metadata);

}  // namespace mtmd::testing
