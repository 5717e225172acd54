#include "mtmd/conformance/media_sound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "mtmd/conformance/media_compare.h"
#include "mtmd/conformance/reference_resampler.h"
#include "mtmd/media/sound_file.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;
namespace {

using FrontEnd = std::function<std::vector<audio::Mel>(std::span<const float>)>;

/// The front end whose recordings a file name announces.
FrontEnd front_end_of(const std::string& name, int bands) {
  const auto is = [&](std::string_view begin) { return name.starts_with(begin); };
  if (is("mel_whisper")) return [=](auto pcm) { return audio::whisper_mel(pcm, bands); };
  if (is("mel_qwen3a")) return [=](auto pcm) { return audio::qwen3_mel(pcm, bands); };
  if (is("mel_gemma4a")) return [=](auto pcm) { return audio::gemma4_mel(pcm, bands); };
  if (is("mel_conformer")) return [=](auto pcm) { return std::vector{audio::conformer_mel(pcm, bands)}; };
  if (is("mel_granite")) return [](auto pcm) { return std::vector{audio::granite_mel(pcm)}; };
  if (is("frames_")) return [=](auto pcm) { return std::vector{audio::raw_frames(pcm, bands)}; };
  throw BadRecording{"'" + name + "' names no known front end"};
}

std::vector<float> all_floats(const gguf::File& golden, const std::string& name) {
  const gguf::TensorInfo* tensor = golden.find(name);
  if (tensor == nullptr) throw BadRecording{"the recorded tensor " + name + " is missing"};
  return recorded_floats(golden, name, static_cast<std::size_t>(tensor->n_values()));
}

/// One window of one clip, e.g. "voice.0".
void compare_window(const gguf::File& golden, const FrontEnd& front_end, const std::string& key,
                    const nlohmann::json& fact, double tolerance, Result& r) {
  const auto dot = key.rfind('.');
  if (dot == key.npos) throw BadRecording{"'" + key + "' in golden.mel has not the form clip.window"};
  const std::vector<audio::Mel> windows = front_end(all_floats(golden, "pcm." + key.substr(0, dot)));
  const std::size_t index = std::stoul(key.substr(dot + 1));
  if (index >= windows.size()) return judge(r, 1, 0, fmt::format("only {} windows", windows.size()));
  const audio::Mel& mel = windows[index];
  const int frames = fact.at("n_len");
  if (mel.frames != frames) return judge(r, 1, 0, fmt::format("{} frames, recorded {}", mel.frames, frames));
  const int kept = fact.value("pre_kept", frames);
  if (kept < 0 || kept > frames) throw BadRecording{"pre_kept in golden.mel is absurd"};
  const std::vector<float> want =
      recorded_floats(golden, "mel." + key, static_cast<std::size_t>(mel.bands) * static_cast<std::size_t>(kept));
  judge(r, mel_difference(mel, want, kept, fact.value("pre_tail", 0.0f)), tolerance, "a value differs too much");
}

template <class Body>
void check(const Sink& sink, const std::string& name, const std::string& compared, Body body) {
  Result r;
  r.kind = "media", r.name = name, r.compared = compared;
  try {
    body(r);
  } catch (const BadRecording& b) {
    r.outcome = Outcome::failed, r.detail = b.what;
  } catch (const std::exception& e) {
    r.outcome = Outcome::failed, r.detail = e.what();
  }
  sink(r);
}

std::string hash_of(std::span<const float> samples) {
  return fmt::format("{:016x}", fnv1a64({reinterpret_cast<const std::uint8_t*>(samples.data()), samples.size_bytes()}));
}

}  // namespace

double mel_difference(const audio::Mel& got, std::span<const float> want, int kept, float tail) {
  double most = 0;
  for (int b = 0; b < got.bands; ++b) {
    const float* row = want.data() + static_cast<std::size_t>(b) * static_cast<std::size_t>(kept);
    for (int i = 0; i < got.frames; ++i) {
      const double d = std::fabs(static_cast<double>(got.band(b)[i]) - (i < kept ? row[i] : tail));
      if (std::isnan(d) || d > most) most = d;  // a NaN stays
    }
  }
  return most;
}

KitSound read_sound(std::span<const std::byte> bytes, const std::string& name) {
  const media::DecodedSound sound = media::decode_sound(bytes, name, {.convention = media::Convention::reference});
  const bool lossy = sound.facts.format.find("MPEG") != std::string::npos;
  return {reference_resample(sound.samples, sound.facts.rate, audio::kRate), sound.facts.rate != audio::kRate, lossy};
}

std::optional<std::vector<float>> recorded_sound(const fs::path& root, const std::string& name) {
  const fs::path path = root / "decode.golden.gguf";
  if (!fs::exists(path)) return std::nullopt;
  const gguf::File golden = gguf::File::open(path);
  if (golden.find("pcm." + name) == nullptr) return std::nullopt;
  return all_floats(golden, "pcm." + name);
}

void run_decoded_sound(const fs::path& root, const nlohmann::json& entry, const Sink& sink) {
  constexpr double kLossy = 1e-4;
  const std::string file = entry.at("file"), name = "decode/" + file;
  check(sink, name, "decoded", [&](Result& r) {
    const MappedFile mapped(root / "inputs" / file);
    KitSound got = read_sound(mapped.bytes(), file);
    const std::int64_t wanted = entry.at("nx"), n = std::ssize(got.samples);
    // The reference's length is an estimate: one sample may be missing or be a zero too many.
    if (std::abs(n - wanted) > (got.resampled ? 1 : 0))
      return judge(r, 1, 0, fmt::format("{} samples, recorded {}", n, wanted));
    got.samples.resize(static_cast<std::size_t>(wanted));
    if (got.lossy) {
      const auto recorded = recorded_sound(root, file);
      if (!recorded || recorded->size() != got.samples.size())
        throw BadRecording{"the samples of " + file + " are missing"};
      double most = 0;
      for (std::size_t i = 0; i < recorded->size(); ++i)
        most = std::max(most, std::fabs(static_cast<double>(got.samples[i]) - (*recorded)[i]));
      return judge(r, most, kLossy, "a sample differs too much");
    }
    const std::string hash = hash_of(got.samples), recorded = entry.at("fnv1a64");
    judge(r, hash == recorded ? 0 : 1, 0, fmt::format("FNV-1a of the samples is {}, recorded {}", hash, recorded));
  });
}

void run_spectrum(const fs::path& path, const Sink& sink) {
  const std::string file = path.filename().string(), name = file.substr(0, file.find(".golden.gguf"));
  try {
    const gguf::File golden = gguf::File::open(path);
    const auto bands = golden.metadata().require<std::int32_t>("golden.n_mel");
    if (bands < 1 || bands > 4096) throw BadRecording{fmt::format("golden.n_mel is {}", bands)};
    const FrontEnd front_end = front_end_of(name, bands);
    const double tolerance = name.starts_with("frames_") ? 0 : mel_tolerance(name.substr(name.find('_') + 1));
    const auto facts = nlohmann::json::parse(golden.metadata().require<std::string_view>("golden.mel"));
    for (const auto& [key, fact] : facts.items()) {
      check(sink, name, "spectrogram of " + key,
            [&](Result& r) { compare_window(golden, front_end, key, fact, tolerance, r); });
    }
  } catch (const BadRecording& b) {
    check(sink, name, "recording", [&](Result&) { throw BadRecording{b.what}; });
  } catch (const std::exception& e) {
    check(sink, name, "recording", [&](Result&) { throw BadRecording{e.what()}; });
  }
}

}  // namespace mtmd::conformance
