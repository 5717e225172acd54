// Samples without a header.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

struct TypeFacts {
  SampleType type;
  std::string_view name;
  int bytes;
};
constexpr std::array<TypeFacts, 12> kTypes = {{{SampleType::u8, "u8", 1},
                                               {SampleType::s8, "s8", 1},
                                               {SampleType::s16le, "s16le", 2},
                                               {SampleType::s16be, "s16be", 2},
                                               {SampleType::s24le, "s24le", 3},
                                               {SampleType::s24be, "s24be", 3},
                                               {SampleType::s32le, "s32le", 4},
                                               {SampleType::s32be, "s32be", 4},
                                               {SampleType::f32le, "f32le", 4},
                                               {SampleType::f32be, "f32be", 4},
                                               {SampleType::f64le, "f64le", 8},
                                               {SampleType::f64be, "f64be", 8}}};

const TypeFacts& facts_of(SampleType type) noexcept { return kTypes[static_cast<std::size_t>(type)]; }
bool is_big(SampleType type) noexcept { return facts_of(type).name.ends_with("be"); }

float sample(const unsigned char* p, SampleType type) noexcept {
  const int n = facts_of(type).bytes;
  std::uint64_t bits = 0;
  for (int i = 0; i < n; ++i) bits |= std::uint64_t{p[i]} << 8 * (is_big(type) ? n - 1 - i : i);
  switch (type) {
    case SampleType::f32le:
    case SampleType::f32be:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case SampleType::f64le:
    case SampleType::f64be:
      return static_cast<float>(std::bit_cast<double>(bits));
    case SampleType::u8:
      return (static_cast<float>(bits) - 128.0f) / 128.0f;
    case SampleType::s8:
    case SampleType::s16le:
    case SampleType::s16be:
    case SampleType::s24le:
    case SampleType::s24be:
    case SampleType::s32le:
    case SampleType::s32be:
      break;
  }
  return static_cast<float>(static_cast<std::int32_t>(static_cast<std::uint32_t>(bits) << (32 - 8 * n))) /
         2147483648.0f;
}

class PcmSource final : public SoundSource {
 public:
  PcmSource(SoundBytes& bytes, const PcmFormat& pcm, const PcmExtent& extent)
      : bytes_(bytes), extent_(extent), type_(pcm.type), frame_(std::int64_t{facts_of(pcm.type).bytes} * pcm.channels) {
    format = fmt::format("{} {}", extent.container, facts_of(pcm.type).name), rate = pcm.rate, channels = pcm.channels;
    bytes.seek(extent.begin);
    if (extent.length) frames = *extent.length / frame_, extent_.length = *frames * frame_;
    if (!bytes.size()) return;
    const std::int64_t there = std::max<std::int64_t>(0, *bytes.size() - extent.begin) / frame_;
    if (frames && there < *frames)
      warnings.push_back(
          fmt::format("the recording ends after {} of {} samples that its header promises", there, *frames));
    frames = std::min(there, frames.value_or(there));
    if (!extent.length || *extent.length > there * frame_) extent_.length.reset();
  }

  std::size_t read(std::span<float> mono) override {
    std::int64_t wanted = std::ssize(mono) * frame_;
    if (extent_.length) wanted = std::min(wanted, extent_.begin + *extent_.length - bytes_.tell());
    if (wanted <= 0) return at_end() ? 0 : read(mono);
    raw_.resize(static_cast<std::size_t>(wanted));
    const auto got = static_cast<std::int64_t>(bytes_.read(raw_.data(), raw_.size())), n = got / frame_;
    if (got % frame_ != 0) warnings.push_back(fmt::format("{} bytes at the end are no whole sample", got % frame_));
    values_.resize(static_cast<std::size_t>(n) * static_cast<std::size_t>(channels));
    const auto width = static_cast<std::size_t>(facts_of(type_).bytes);
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = sample(raw_.data() + i * width, type_);
    mixer_.mix(values_, channels, mono.first(static_cast<std::size_t>(n)),
               extent_.reference_bytes && type_ == SampleType::u8);
    return static_cast<std::size_t>(n);
  }
  bool seek(std::int64_t frame) override {
    std::int64_t to = 0;
    return bytes_.size() && frames && frame <= *frames && !__builtin_mul_overflow(frame, frame_, &to) &&
           bytes_.seek(extent_.begin + to);
  }

 private:
  /// Where the header says that the samples end; false when they do not.
  bool at_end() {
    if (extent_.goes_on == nullptr) return true;
    const std::int64_t here = bytes_.tell();
    std::string next(8, '\0');
    next.resize(bytes_.read(next.data(), next.size()));
    bytes_.seek(here);
    if (!extent_.goes_on(next)) return true;
    warnings.push_back(
        fmt::format("its header promises {} samples; what lies behind them is read as well", *extent_.length / frame_));
    extent_.length.reset();
    return false;
  }

  SoundBytes& bytes_;
  PcmExtent extent_;
  SampleType type_;
  std::int64_t frame_;  ///< bytes of one
  std::vector<unsigned char> raw_;
  std::vector<float> values_;
};

}  // namespace

std::optional<SampleType> sample_type(std::string_view name) noexcept {
  for (const TypeFacts& t : kTypes)
    if (t.name == name) return t.type;
  return std::nullopt;
}

std::string sample_type_names() {
  std::string all;
  for (const TypeFacts& t : kTypes) all.append(all.empty() ? "" : " ").append(t.name);
  return all;
}

std::unique_ptr<SoundSource> open_pcm(SoundBytes& bytes, const PcmFormat& pcm, const PcmExtent& extent) {
  if (pcm.channels < 1 || pcm.channels > 1024)
    fail(ErrorCategory::usage, "raw sound of {} channels, expected 1 to 1024", pcm.channels);
  return std::make_unique<PcmSource>(bytes, pcm, extent);
}

}  // namespace mtmd::media
