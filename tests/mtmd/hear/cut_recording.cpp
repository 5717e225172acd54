// For scripts/long_recording.sh: `cut_recording make HOURS` writes a WAV file of synthetic speech, pauses and noise to
// stdout; `cut_recording FILE` (- is stdin) cuts one into windows and says what they cover and what memory that took.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "encoders/audio/made_sounds.h"
#include "engine/base/error.h"
#include "mtmd/hear/cutter.h"
#include "mtmd/media/sound_stream.h"

namespace {

using namespace mtmd;

int make(double hours) {
  using namespace audio::testing;
  std::vector<float> block;  // a minute
  for (std::uint32_t i = 0; i < 6; ++i)
    block = joined({block, speech(4 + i % 3, 0.3f, i), silence(0.7), speech(2, 0.2f, i + 9), silence(3.3 - i % 3)});
  block = mixed(block, white(60, 0.002f));
  std::vector<std::int16_t> samples(block.size());
  for (std::size_t i = 0; i < block.size(); ++i)
    samples[i] = static_cast<std::int16_t>(std::clamp(block[i], -1.0f, 1.0f) * 32767);
  const std::uint32_t unknown = 0xffffffff, rate = audio::kRate;
  std::string header = "RIFF";
  const auto put = [&](auto v) { header.append(reinterpret_cast<const char*>(&v), sizeof v); };
  put(unknown), header += "WAVEfmt ", put(std::uint32_t{16}), put(std::uint16_t{1}), put(std::uint16_t{1});
  put(rate), put(2 * rate), put(std::uint16_t{2}), put(std::uint16_t{16}), header += "data", put(unknown);
  std::fwrite(header.data(), 1, header.size(), stdout);
  auto left = static_cast<std::int64_t>(hours * 3600 * rate);
  while (left > 0) {
    const auto n = std::min<std::int64_t>(left, std::ssize(samples));
    if (std::fwrite(samples.data(), 2, static_cast<std::size_t>(n), stdout) < static_cast<std::size_t>(n)) return 1;
    left -= n;
  }
  return 0;
}

long peak_kib() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss;
}

int cut(const std::string& path) {
  const auto start = std::chrono::steady_clock::now();
  const long before = peak_kib();
  auto stream = path == "-" ? media::SoundStream::open_fd(STDIN_FILENO, "stdin") : media::SoundStream::open_file(path);
  SoundCutter cutter([&](std::span<float> to) { return stream.read(to); });
  std::int64_t windows = 0, speaking = 0, covered = 0;
  while (const auto w = cutter.next()) ++windows, speaking += w->speaks(), covered = w->end();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double seconds = static_cast<double>(covered) / audio::kRate;
  std::printf(
      "%s: %.3f s covered of %.3f s, %lld windows (%lld speak), %.1f s (%.0fx real time), peak memory %ld MiB, of "
      "which "
      "%ld MiB before\n",
      stream.facts().format.c_str(), seconds, static_cast<double>(stream.facts().frames) / stream.facts().rate,
      static_cast<long long>(windows), static_cast<long long>(speaking), took.count(), seconds / took.count(),
      peak_kib() / 1024, before / 1024);
  for (const std::string& w : stream.facts().warnings) std::printf("warning: %s\n", w.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::strcmp(argv[1], "make") == 0) return make(std::stod(argv[2]));
    if (argc == 2) return cut(argv[1]);
  } catch (const mtmd::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return exit_code(e.category());
  }
  std::fprintf(stderr, "usage: cut_recording FILE | make HOURS\n");
  return 2;
}
