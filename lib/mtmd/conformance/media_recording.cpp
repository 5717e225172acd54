#include "mtmd/conformance/media_recording.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace mtmd::conformance {
namespace {

using Json = nlohmann::json;

template <class T>
T key(const gguf::File& golden, const char* name) {
  try {
    return golden.metadata().require<T>(name);
  } catch (const Error& e) {
    throw BadRecording{e.what()};
  }
}

RecordedChunk read_chunk(const Json& json) {
  RecordedChunk chunk;
  chunk.type = json.at("type");
  chunk.media = chunk.type != "text";
  chunk.pos_start = json.at("pos_start");
  if (!chunk.media) {
    chunk.tokens = json.at("tokens").get<std::vector<std::int32_t>>();
    chunk.n_tokens = chunk.n_pos = static_cast<int>(chunk.tokens.size());
    return chunk;
  }
  chunk.embd = json.at("embd"), chunk.n_tokens = json.at("n_tokens"), chunk.n_pos = json.at("n_pos");
  chunk.pre_nx = json.at("pre_nx"), chunk.pre_ny = json.at("pre_ny"), chunk.pre_n = json.at("pre_n");
  chunk.pre_kept = json.value("pre_kept", chunk.pre_nx), chunk.pre_tail = json.value("pre_tail", 0.0f);
  const bool grid = chunk.type != "audio";  // audio is one row
  chunk.nx = grid ? json.at("nx").get<int>() : chunk.n_tokens, chunk.ny = grid ? json.at("ny").get<int>() : 1;
  chunk.non_causal = json.at("non_causal");
  chunk.id = json.at("id");
  if (json.contains("pos")) {
    constexpr std::array kAxes = {"t", "y", "x", "z"};
    for (std::size_t i = 0; i < kAxes.size(); ++i) {
      chunk.pos[i] = json["pos"].at(kAxes[i]).get<std::vector<std::int32_t>>();
      if (static_cast<int>(chunk.pos[i].size()) != chunk.n_tokens)
        throw BadRecording{"golden.chunks: positions are missing"};
    }
  }
  return chunk;
}

}  // namespace

Recording read_recording(const gguf::File& golden) {
  Recording r;
  r.prompt = key<std::string_view>(golden, "golden.prompt");
  for (const std::string_view name : key<std::vector<std::string_view>>(golden, "golden.media_list")) {
    r.media.emplace_back(name);
  }
  r.greedy = key<std::vector<std::int32_t>>(golden, "golden.greedy");
  r.greedy_margin = key<std::vector<float>>(golden, "golden.greedy_margin");
  if (r.greedy.empty() || r.greedy.size() != r.greedy_margin.size()) {
    throw BadRecording{fmt::format("golden.greedy has {} ids and golden.greedy_margin {} values", r.greedy.size(),
                                   r.greedy_margin.size())};
  }
  r.n_embd = key<std::int32_t>(golden, "golden.n_embd");
  r.n_past = key<std::int32_t>(golden, "golden.n_past"), r.n_tokens = key<std::int32_t>(golden, "golden.n_tokens");
  r.mrope = key<bool>(golden, "golden.mrope");
  const gguf::Metadata& m = golden.metadata();
  try {
    r.image_min_tokens = m.get<std::int32_t>("golden.image_min_tokens");
    r.image_max_tokens = m.get<std::int32_t>("golden.image_max_tokens");
    r.mergeable = m.get_or<bool>("golden.mergeable", false);
    for (const Json& chunk : Json::parse(key<std::string_view>(golden, "golden.chunks")))
      r.chunks.push_back(read_chunk(chunk));
  } catch (const Json::exception& e) {
    throw BadRecording{fmt::format("golden.chunks: {}", e.what())};
  } catch (const Error& e) {
    throw BadRecording{e.what()};
  }
  return r;
}

std::vector<float> recorded_floats(const gguf::File& golden, const std::string& name, std::size_t n) {
  const gguf::TensorInfo* tensor = golden.find(name);
  if (tensor == nullptr) throw BadRecording{"the recorded tensor " + name + " is missing"};
  if (tensor->type != DType::F32) throw BadRecording{"the recorded tensor " + name + " is not F32"};
  if (static_cast<std::size_t>(tensor->n_values()) != n) {
    throw BadRecording{fmt::format("the recorded tensor {} has {} values, expected {}", name, tensor->n_values(), n)};
  }
  std::vector<float> values(n);
  std::memcpy(values.data(), tensor->data.data(), n * sizeof(float));
  return values;
}

std::optional<image::Image> recorded_picture(const gguf::File& golden, const std::string& name) {
  const gguf::TensorInfo* tensor = golden.find(name);
  if (tensor == nullptr) return std::nullopt;
  const auto& shape = tensor->shape;  // [height, width, 3]; a height of 1 is dropped
  if (tensor->type != DType::I8 || shape.size() < 2 || shape.size() > 3 || shape.back() != 3) {
    throw BadRecording{"the recorded tensor " + name + " is no picture"};
  }
  image::Image image;
  image.width = static_cast<int>(shape[shape.size() - 2]);
  image.height = shape.size() == 3 ? static_cast<int>(shape[0]) : 1;
  image.rgb.resize(tensor->data.size());
  std::memcpy(image.rgb.data(), tensor->data.data(), tensor->data.size());
  return image;
}

std::uint64_t fnv1a64(std::span<const std::uint8_t> bytes) {
  std::uint64_t h = 14695981039346656037ull;
  for (const std::uint8_t b : bytes) h = (h ^ b) * 1099511628211ull;
  return h;
}

void judge(Result& result, double difference, double tolerance, std::string detail) {
  result.difference = difference, result.tolerance = tolerance;
  if (difference <= tolerance) return;
  result.outcome = Outcome::failed;
  result.detail = std::move(detail);
}

}  // namespace mtmd::conformance
