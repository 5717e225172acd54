// Recordings as streams: every format, from files and pipes, whole and in part, damaged in every way.
#include "mtmd/media/sound_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "engine/base/error.h"
#include "mtmd/media/sound_writers.h"

namespace mtmd::media {
namespace {

using namespace testing;  // NOLINT: mtmd::media::testing
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Something like speech: a gliding tone with harmonics, louder and softer; every moment is different.
std::vector<float> glide(double seconds, int rate) {
  std::vector<float> v(static_cast<std::size_t>(seconds * rate));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double t = static_cast<double>(i) / rate;
    const double phase = 2 * M_PI * (200 * t - 150 / (2 * M_PI * 0.7) * std::cos(2 * M_PI * 0.7 * t) + 20 * t * t);
    const double loud = 0.25 * (1.2 + std::sin(2 * M_PI * 3 * t));
    v[i] = static_cast<float>(loud * (std::sin(phase) + 0.5 * std::sin(2 * phase) + 0.25 * std::sin(5 * phase)) / 1.75);
  }
  return v;
}

std::vector<float> all_of(SoundStream& stream, std::size_t block = 1000) {
  std::vector<float> all, part(block);
  while (const std::size_t n = stream.read(part))
    all.insert(all.end(), part.begin(), part.begin() + static_cast<long>(n));
  return all;
}
std::vector<float> read_memory(const Bytes& bytes, const SoundStreamOptions& options = {}) {
  SoundStream stream = SoundStream::open_memory(bytes, "clip", options);
  return all_of(stream);
}

/// Bytes that another thread writes into a pipe.
class Piped {
 public:
  explicit Piped(Bytes bytes) {
    if (::pipe(ends_) != 0) std::abort();
    writer_ = std::thread([this, own = std::move(bytes)] {
      std::size_t at = 0;
      while (at < own.size()) {
        const ssize_t n = ::write(ends_[1], own.data() + at, std::min<std::size_t>(own.size() - at, 777));
        if (n <= 0) break;
        at += static_cast<std::size_t>(n);
      }
      ::close(ends_[1]);
    });
  }
  ~Piped() {
    std::array<char, 4096> rest;
    while (::read(ends_[0], rest.data(), rest.size()) > 0) continue;
    writer_.join();
    ::close(ends_[0]);
  }
  int fd() const noexcept { return ends_[0]; }

 private:
  int ends_[2] = {};
  std::thread writer_;
};

/// 1 for equal signals; b may be up to 2 samples early and `late` samples late.
double likeness(std::span<const float> a, std::span<const float> b, std::size_t late = 2) {
  double best = -1;
  for (std::size_t shift = 0; shift <= late + 2; ++shift) {
    double ab = 0, aa = 1e-12, bb = 1e-12;
    for (std::size_t i = 2; i < a.size() && i + shift - 2 < b.size(); ++i) {
      const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i + shift - 2]);
      ab += x * y, aa += x * x, bb += y * y;
    }
    best = std::max(best, ab / std::sqrt(aa * bb));
  }
  return best;
}

struct Format {
  std::string name;
  int rate;
  Bytes (*write)(std::span<const float>, int rate);
  double like;           ///< at least
  bool exact;            ///< parts are exactly parts of the whole
  std::size_t late = 2;  ///< samples at 16 kHz that the encoder may put in front
};
void PrintTo(const Format& f, std::ostream* out) { *out << f.name; }

template <int format>
Bytes snd(std::span<const float> samples, int rate) {
  return by_libsndfile(samples, rate, format);
}
const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {"wav_u8", 16000, snd<SF_FORMAT_WAV | SF_FORMAT_PCM_U8>, 0.999, true},
      {"wav_16", 48000, snd<SF_FORMAT_WAV | SF_FORMAT_PCM_16>, 0.9999, true},
      {"wav_24", 44100, snd<SF_FORMAT_WAVEX | SF_FORMAT_PCM_24>, 0.9999, true},
      {"wav_32", 96000, snd<SF_FORMAT_WAV | SF_FORMAT_PCM_32>, 0.9999, true},
      {"wav_float", 16000, snd<SF_FORMAT_WAV | SF_FORMAT_FLOAT>, 0.99999, true},
      {"wav_double", 22050, snd<SF_FORMAT_WAVEX | SF_FORMAT_DOUBLE>, 0.9999, true},
      {"wav_ulaw", 8000, snd<SF_FORMAT_WAV | SF_FORMAT_ULAW>, 0.99, true},
      {"wav_adpcm", 16000, snd<SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM>, 0.99, false},
      {"rf64", 16000, snd<SF_FORMAT_RF64 | SF_FORMAT_PCM_16>, 0.9999, true},
      {"w64", 16000, snd<SF_FORMAT_W64 | SF_FORMAT_PCM_16>, 0.9999, true},
      {"aiff", 44100, snd<SF_FORMAT_AIFF | SF_FORMAT_PCM_16>, 0.9999, true},
      {"au", 8000, snd<SF_FORMAT_AU | SF_FORMAT_PCM_16>, 0.999, true},
      {"caf", 16000, snd<SF_FORMAT_CAF | SF_FORMAT_PCM_16>, 0.9999, true},
      {"flac_16", 48000, snd<SF_FORMAT_FLAC | SF_FORMAT_PCM_16>, 0.9999, true},
      {"flac_24", 16000, snd<SF_FORMAT_FLAC | SF_FORMAT_PCM_24>, 0.9999, true},
      {"vorbis", 44100, snd<SF_FORMAT_OGG | SF_FORMAT_VORBIS>, 0.98, false},
      {"opus", 48000, snd<SF_FORMAT_OGG | SF_FORMAT_OPUS>, 0.95, false},
      {"mp3", 44100, snd<SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III>, 0.98, false},
      {"m4a", 48000, [](auto s, int r) { return by_libav(s, r, "ipod", "aac"); }, 0.95, false},
      {"mp4_alac", 44100, [](auto s, int r) { return by_libav(s, r, "mp4", "alac"); }, 0.999, false},
      {"adts", 44100, [](auto s, int r) { return by_libav(s, r, "adts", "aac"); }, 0.95, false, 1200},
      {"mkv_flac", 48000, [](auto s, int r) { return by_libav(s, r, "matroska", "flac"); }, 0.999, false},
      {"webm_opus", 48000, [](auto s, int r) { return by_libav(s, r, "webm", "libopus"); }, 0.9, false},
      {"mpegts_ac3", 48000, [](auto s, int r) { return by_libav(s, r, "mpegts", "ac3"); }, 0.95, false, 1200},
  };
  return all;
}

class EveryFormat : public ::testing::TestWithParam<Format> {
 protected:
  void SetUp() override {
    sound_ = glide(3.2, GetParam().rate);
    bytes_ = GetParam().write(sound_, GetParam().rate);
    if (bytes_.empty()) GTEST_SKIP() << "libav cannot write it here";
  }
  std::vector<float> sound_;
  Bytes bytes_;
};
INSTANTIATE_TEST_SUITE_P(SoundStream, EveryFormat, ::testing::ValuesIn(formats()),
                         [](const auto& format) { return format.param.name; });

TEST_P(EveryFormat, IsTheSameSound) {
  EXPECT_TRUE(is_sound(bytes_));
  SoundStream stream = SoundStream::open_memory(bytes_, "clip");
  const auto got = all_of(stream);
  EXPECT_NEAR(static_cast<double>(got.size()) / 16000, 3.2, 0.1);
  EXPECT_GT(likeness(glide(3.2, 16000), got, GetParam().late), GetParam().like);
  EXPECT_EQ(stream.facts().rate, GetParam().rate);
  EXPECT_EQ(stream.facts().channels, 1);
  EXPECT_THAT(stream.facts().warnings, IsEmpty());
}

TEST_P(EveryFormat, FromAPipe) {
  const auto whole = read_memory(bytes_);
  const Piped pipe(bytes_);
  SoundStream stream = SoundStream::open_fd(pipe.fd(), "pipe");
  EXPECT_EQ(all_of(stream), whole);
  EXPECT_THAT(stream.facts().warnings, IsEmpty());
}

TEST_P(EveryFormat, FromAFile) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("mtmd-{}-{}", GetParam().name, ::getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
  SoundStream stream = SoundStream::open_file(path);
  EXPECT_EQ(all_of(stream), read_memory(bytes_));
  if (const auto told = stream.duration_seconds()) {
    EXPECT_NEAR(*told, 3.2, 0.2);
  }
  std::filesystem::remove(path);
}

TEST_P(EveryFormat, APartIsAPartOfTheWhole) {
  const int rate = GetParam().rate;
  const SoundStreamOptions all{.rate = rate}, part{.rate = rate, .start_seconds = 1.3, .duration_seconds = 0.7};
  const auto whole = read_memory(bytes_, all), got = read_memory(bytes_, part);
  const auto begin = static_cast<std::size_t>(std::lround(1.3 * rate));
  ASSERT_EQ(got.size(), static_cast<std::size_t>(std::lround(0.7 * rate)));
  const auto wanted = std::span(whole).subspan(begin, got.size());
  if (GetParam().exact) {
    EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.begin()));
  } else {
    EXPECT_GT(likeness(wanted, got), 0.99);
  }
  const Piped pipe(bytes_);
  SoundStream piped = SoundStream::open_fd(pipe.fd(), "pipe", part);
  EXPECT_GT(likeness(wanted, all_of(piped)), 0.99);
}

/// Cut anywhere: an error about the input, or what is there.
TEST_P(EveryFormat, EveryTruncationEndsInAnErrorOrAPart) {
  const std::size_t whole = read_memory(bytes_).size();
  for (std::size_t k = 0; k <= 24; ++k) {
    Bytes part = bytes_;
    part.resize(k < 12 ? k * k * 4 : bytes_.size() * (k - 11) / 14);
    try {
      SoundStream stream = SoundStream::open_memory(part, "clip");
      EXPECT_LE(all_of(stream).size(), whole + 5000) << part.size();
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::input) << part.size() << " " << e.what();
    }
  }
}

std::string error_of(const Bytes& bytes, ErrorCategory category, const SoundStreamOptions& options = {}) {
  try {
    (void)SoundStream::open_memory(bytes, "clip", options);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category) << e.what();
    return e.what();
  }
  return "";
}

TEST(SoundStream, ResamplesLikeTheWholeAtOnce) {
  for (const int rate : {8000, 11025, 44100, 48000, 192000, 384000}) {
    const auto sound = glide(1.5, rate);
    const auto wanted = resample(sound, rate, 16000);
    const Bytes bytes = wav(sound, 1, rate, true);
    for (const std::size_t block : {std::size_t{1}, std::size_t{777}, std::size_t{1} << 20}) {
      if (block == 1 && rate != 8000) continue;
      SoundStream stream = SoundStream::open_memory(bytes, "clip");
      const auto got = all_of(stream, block);
      ASSERT_EQ(got.size(), wanted.size()) << rate << " " << block;
      for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], wanted[i], 1e-6) << rate << " " << block;
    }
  }
}

TEST(SoundStream, OddRatesAndManyChannels) {
  const std::vector<std::int16_t> data(6400, 1000);
  EXPECT_THAT(error_of(wav(data, 1, 1), ErrorCategory::input), HasSubstr("1 channels at 1 Hz"));
  EXPECT_THAT(error_of(wav(data, 1, 999), ErrorCategory::input), HasSubstr("1000"));
  EXPECT_NE(error_of(wav(data, 1, 0), ErrorCategory::input), "");
  EXPECT_NE(error_of(wav(data, 1, 1 << 30), ErrorCategory::input), "");
  EXPECT_EQ(error_of(wav(data, 1, 384000), ErrorCategory::input), "");
  const auto many = read_memory(wav(data, 64, 16000));
  ASSERT_EQ(many.size(), 100u);
  for (const float v : many) EXPECT_EQ(v, 1000.0f / 32768);
}

TEST(SoundStream, SamplesThatAreNoNumbersBecomeSilence) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  const Bytes bytes = wav<float>({0.5f, kNan, -kInf, 1e30f, 0.25f}, 1, 16000, true);
  SoundStream stream = SoundStream::open_memory(bytes, "clip");
  EXPECT_EQ(all_of(stream), (std::vector<float>{0.5f, 0, 0, 0, 0.25f}));
  EXPECT_THAT(stream.facts().warnings, Contains(HasSubstr("3 samples are no finite numbers")));
}

TEST(SoundStream, NothingToHear) {
  EXPECT_THAT(error_of({}, ErrorCategory::input), HasSubstr("empty"));
  EXPECT_THAT(error_of(wav<std::int16_t>({}, 1, 16000), ErrorCategory::input), HasSubstr("no samples"));
  EXPECT_THAT(error_of(wav<std::int16_t>({1, 2, 3}, 1, 16000), ErrorCategory::input, {.start_seconds = 5}),
              HasSubstr("before the start"));
  EXPECT_NE(error_of(wav<std::int16_t>({1, 2, 3}, 1, 16000), ErrorCategory::usage, {.start_seconds = -1}), "");
  Bytes text;
  say(text, "#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n");
  EXPECT_THAT(error_of(text, ErrorCategory::input), HasSubstr("not a recording"));
  text.clear(), say(text, "ffconcat version 1.0\nfile /etc/passwd\n");
  EXPECT_THAT(error_of(text, ErrorCategory::input), HasSubstr("not a recording"));
  EXPECT_THROW((void)SoundStream::open_file("/nowhere/clip.wav"), Error);
  EXPECT_THROW((void)SoundStream::open_file("/tmp"), Error);
}

/// Sizes that recorders and pipes leave in WAV headers; the sound is what is there.
TEST(SoundStream, WavHeadersThatLie) {
  std::vector<std::int16_t> data(40000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::int16_t>(i % 3001);
  const auto whole = read_memory(wav(data, 1, 16000));
  ASSERT_EQ(whole.size(), data.size());
  struct Lie {
    std::int64_t size;
    const char* warning;
  };
  for (const auto& [size, warning] :
       {Lie{0, "promises 0 samples"}, Lie{1000, "promises 500 samples"}, Lie{160000, "40000 of 80000"},
        Lie{0x7fffffff, ""}, Lie{0xffffffff, ""}, Lie{0x7ffff000, ""}, Lie{1152000000, "40000 of 576000000"}}) {
    const Bytes bytes = wav(data, 1, 16000, false, size);
    SoundStream stream = SoundStream::open_memory(bytes, "clip");
    EXPECT_EQ(all_of(stream), whole) << size;
    const Piped pipe(bytes);
    SoundStream piped = SoundStream::open_fd(pipe.fd(), "pipe");
    EXPECT_EQ(all_of(piped), whole) << size;
    if (*warning == '\0') {
      EXPECT_THAT(stream.facts().warnings, IsEmpty()) << size;
    } else {
      EXPECT_THAT(stream.facts().warnings, Contains(HasSubstr(warning))) << size;
      EXPECT_THAT(piped.facts().warnings, Contains(HasSubstr(warning))) << size;
    }
    if (const auto told = stream.duration_seconds()) {
      EXPECT_LE(*told, 2.5) << size;
    }
  }
}

TEST(SoundStream, ChunksBehindTheSamplesAreNoSound) {
  Bytes bytes = wav<std::int16_t>({1, 2, 3, 4}, 1, 16000);
  say(bytes, "LIST"), put(bytes, std::uint32_t{4}), say(bytes, "INFO");
  SoundStream stream = SoundStream::open_memory(bytes, "clip");
  EXPECT_EQ(all_of(stream).size(), 4u);
  EXPECT_THAT(stream.facts().warnings, IsEmpty());
}

TEST(SoundStream, ATruncatedRecordingGivesItsBeginningAndAWarning) {
  for (const Format& f : formats()) {
    if (f.name != "mp3" && f.name != "flac_16" && f.name != "aiff") continue;
    Bytes bytes = f.write(glide(6, f.rate), f.rate);
    bytes.resize(bytes.size() / 2);
    SoundStream stream = SoundStream::open_memory(bytes, f.name);
    const auto got = all_of(stream);
    EXPECT_GT(got.size(), 32000u) << f.name;
    EXPECT_LT(got.size(), 64000u) << f.name;
    if (f.name != "aiff") {
      EXPECT_FALSE(stream.facts().warnings.empty()) << f.name;
    }
  }
}

/// A FLAC header that promises 10 hours: the little that is there, no belief in the rest.
TEST(SoundStream, TenHoursInAHeader) {
  Bytes bytes = by_libsndfile(glide(1, 16000), 16000, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  const std::uint64_t frames = 36000ull * 16000;  // 36 bits at byte 21 of the file, behind 4 bits of another field
  bytes[21] = (bytes[21] & std::byte{0xf0}) | static_cast<std::byte>(frames >> 32);
  for (int i = 0; i < 4; ++i) bytes[static_cast<std::size_t>(22 + i)] = static_cast<std::byte>(frames >> (24 - 8 * i));
  SoundStream stream = SoundStream::open_memory(bytes, "clip");
  EXPECT_EQ(stream.duration_seconds(), std::nullopt);
  EXPECT_EQ(all_of(stream).size(), 16000u);
  EXPECT_THAT(stream.facts().warnings, Contains(HasSubstr("of 576000000 samples")));
}

/// Where a box or an element of this name begins to say something.
std::size_t behind(const Bytes& bytes, std::string_view name) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto at = all.find(name);
  return at == all.npos ? at : at + name.size();
}
void put_be(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

/// Tables of an MP4 file that claim billions of entries, offsets behind the end, no ticks to the second: an error or a
/// part, soon and without the memory that they ask for.
TEST(SoundStream, HostileTablesOfMp4) {
  const Bytes good = by_libav(glide(2, 16000), 16000, "mp4", "aac");
  if (good.empty()) GTEST_SKIP() << "built without libav";
  struct Damage {
    const char* box;
    std::size_t offset;
  };
  for (const auto& [box, offset] : {Damage{"stsz", 8}, Damage{"stsz", 4}, Damage{"stts", 4}, Damage{"stts", 8},
                                    Damage{"stsc", 4}, Damage{"stco", 4}, Damage{"stco", 8}, Damage{"mdhd", 12},
                                    Damage{"mdhd", 16}, Damage{"mvhd", 12}, Damage{"mp4a", 16}, Damage{"dref", 4}}) {
    for (const std::uint32_t value : {0u, 1u, 0x7fffffffu, 0xffffffffu, 0x00ffffffu}) {
      Bytes bytes = good;
      const std::size_t at = behind(bytes, box);
      ASSERT_LT(at + offset + 4, bytes.size()) << box;
      put_be(bytes, at + offset, value);
      try {
        SoundStream stream = SoundStream::open_memory(bytes, "clip");
        EXPECT_LE(all_of(stream).size(), 60000u) << box << " " << value;
      } catch (const Error& e) {
        EXPECT_EQ(e.category(), ErrorCategory::input) << box << " " << value << " " << e.what();
      }
    }
  }
}

TEST(SoundStream, TenHoursInTheHeaderOfAnMp4) {
  Bytes bytes = by_libav(glide(2, 16000), 16000, "mp4", "aac");
  if (bytes.empty()) GTEST_SKIP() << "built without libav";
  put_be(bytes, behind(bytes, "mdhd") + 16, 36000 * 16000);
  SoundStream stream = SoundStream::open_memory(bytes, "clip");
  EXPECT_LT(stream.duration_seconds().value_or(0), 2.2);  // its other tables know better
  EXPECT_NEAR(static_cast<double>(all_of(stream).size()), 32000, 2100);
}

TEST(SoundStream, ABuildWithoutLibavSaysWhatToInstall) {
#ifdef MTMD_HAVE_LIBAV
  GTEST_SKIP() << "built with libav";
#endif
  Bytes bytes;
  say(bytes, "....ftypM4A ....M4A mp42");
  EXPECT_THAT(error_of(bytes, ErrorCategory::input), HasSubstr("libavformat-dev"));
}

TEST(SoundStream, PicturesInSuchFilesAreNoSound) {
  for (const char* text : {"....ftypavif....mif1", "....ftypheic....mif1"}) {
    Bytes bytes;
    say(bytes, text);
    EXPECT_FALSE(is_sound(bytes));
  }
}

TEST(SoundStream, DamageInTheMiddleIsPassed) {
  Bytes bytes = by_libsndfile(glide(6, 44100), 44100, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III);
  std::fill_n(bytes.begin() + static_cast<long>(bytes.size() / 2), 5000, std::byte{0});
  SoundStream stream = SoundStream::open_memory(bytes, "clip");
  EXPECT_GT(all_of(stream).size(), 70000u);
}

/// What a recorder leaves out is silence: what follows keeps its time.
TEST(SoundStream, APauseInTheTimestampsIsSilence) {
  const std::vector<float> sound = glide(4, 48000);
  for (const auto& [container, encoder] : {std::pair("matroska", "flac"), {"matroska", "aac"}, {"mp4", "alac"}}) {
    const Bytes bytes = by_libav(sound, 48000, container, encoder, 5 * 48000);
    if (bytes.empty()) GTEST_SKIP() << "libav cannot write it here";
    const auto got = read_memory(bytes), whole = read_memory(by_libav(sound, 48000, container, encoder));
    EXPECT_NEAR(static_cast<double>(std::ssize(got) - std::ssize(whole)), 5 * 16000, 100) << container << encoder;
    const std::span<const float> all = got;
    EXPECT_GT(likeness(std::span(whole).last(16000), all.last(16000), 100), 0.98) << container << encoder;
    const auto pause = all.subspan(3 * 16000, 3 * 16000);
    EXPECT_EQ(std::ranges::max(pause, {}, [](float v) { return std::fabs(v); }), 0) << container << encoder;
  }
}

/// A single frame whose time is a year later is no year of silence.
TEST(SoundStream, APauseWithoutMeasureIsNone) {
  const Bytes bytes = by_libav(glide(4, 48000), 48000, "matroska", "flac", std::int64_t{365} * 86400 * 48000);
  if (bytes.empty()) GTEST_SKIP() << "libav cannot write it here";
  EXPECT_NEAR(static_cast<double>(read_memory(bytes).size()), 4 * 16000, 100);
}

TEST(SoundStream, RawSamplesOfEveryType) {
  const auto read = [](const Bytes& bytes, SampleType type, int channels = 1) {
    return read_memory(bytes, {.pcm = PcmFormat{type, 16000, channels}});
  };
  const auto bytes = [](std::initializer_list<int> values) {
    Bytes b;
    for (const int v : values) b.push_back(static_cast<std::byte>(v));
    return b;
  };
  const std::vector<float> half = {0.5f, -0.5f};
  EXPECT_EQ(read(bytes({0xc0, 0x40}), SampleType::u8), half);
  EXPECT_EQ(read(bytes({0x40, 0xc0}), SampleType::s8), half);
  EXPECT_EQ(read(bytes({0, 0x40, 0, 0xc0}), SampleType::s16le), half);
  EXPECT_EQ(read(bytes({0x40, 0, 0xc0, 0}), SampleType::s16be), half);
  EXPECT_EQ(read(bytes({0, 0, 0x40, 0, 0, 0xc0}), SampleType::s24le), half);
  EXPECT_EQ(read(bytes({0x40, 0, 0, 0xc0, 0, 0}), SampleType::s24be), half);
  EXPECT_EQ(read(bytes({0, 0, 0, 0x40, 0, 0, 0, 0xc0}), SampleType::s32le), half);
  EXPECT_EQ(read(bytes({0x40, 0, 0, 0, 0xc0, 0, 0, 0}), SampleType::s32be), half);
  EXPECT_EQ(read(bytes({0, 0, 0, 0x3f, 0, 0, 0, 0xbf}), SampleType::f32le), half);
  EXPECT_EQ(read(bytes({0x3f, 0, 0, 0, 0xbf, 0, 0, 0}), SampleType::f32be), half);
  EXPECT_EQ(read(bytes({0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0, 0, 0, 0, 0, 0, 0xe0, 0xbf}), SampleType::f64le), half);
  EXPECT_EQ(read(bytes({0x3f, 0xe0, 0, 0, 0, 0, 0, 0, 0xbf, 0xe0, 0, 0, 0, 0, 0, 0}), SampleType::f64be), half);
  EXPECT_EQ(read(bytes({0, 0x40, 0, 0xc0}), SampleType::s16le, 2), std::vector<float>{0.0f});
  const Bytes three = bytes({0, 0x40, 0});
  SoundStream odd = SoundStream::open_memory(three, "clip", {.pcm = PcmFormat{}});
  EXPECT_THAT(odd.facts().warnings, IsEmpty());
  EXPECT_EQ(all_of(odd).size(), 1u);
  EXPECT_THAT(odd.facts().warnings, Contains(HasSubstr("no whole sample")));
  EXPECT_EQ(sample_type("s24be"), SampleType::s24be);
  EXPECT_EQ(sample_type("mp3"), std::nullopt);
  EXPECT_THAT(sample_type_names(), HasSubstr("u8 s8 s16le"));
}

}  // namespace
}  // namespace mtmd::media
