// The encoder of an mmproj file, fed with made-up pictures and recordings.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/ranges.h"
#include "encoders/projector/audio_projector.h"
#include "encoders/projector/projector.h"
#include "engine/device/device.h"
#include "engine/gguf/gguf.h"

namespace mtmd::bench {

constexpr int kRecordedRate = 44100;  ///< of made-up recordings, Hz

/// Embeddings of all inputs, [tokens, width]; neighbours of equal shape are encoded together, as a prompt would have them.
std::vector<float> encode(const encoders::Projector& projector, const std::vector<encoders::Input>& inputs, Workspace& ws);
std::vector<float> encode(const encoders::AudioProjector& projector, const std::vector<encoders::AudioInput>& inputs, Workspace& ws);

std::string picture_name(Size size);               ///< "512x384"
std::string sound_name(std::int32_t seconds);      ///< "30 s"

/// The lowest cosine between the rows of two lists of embeddings with `n` rows; 1 when there are none.
double worst_cosine(std::span<const float> a, std::span<const float> b, std::int64_t n);

/// Encodes on request: whatever comes before the encoder is done once.
class EncoderRunner {
 public:
  /// `file` must outlive the runner. Throws Error(usage) when it lacks an encoder for what is asked.
  EncoderRunner(const gguf::File& file, const DeviceOptions& options, std::span<const Size> pictures, std::span<const std::int32_t> seconds);

  struct Test {
    std::string name;          ///< "encode 512x384", "encode 30 s"
    std::int64_t tokens = 0;   ///< of all its inputs
    std::vector<encoders::Input> pictures;
    std::vector<encoders::AudioInput> sounds;
  };
  const std::vector<Test>& tests() const noexcept { return tests_; }
  std::vector<float> run(const Test& test);
  Device& device() noexcept { return *device_; }

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<encoders::Projector> projector_;
  std::unique_ptr<encoders::AudioProjector> audio_projector_;
  Workspace ws_;
  std::vector<Test> tests_;
};

}  // namespace mtmd::bench
