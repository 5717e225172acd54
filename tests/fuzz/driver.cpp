// Runs a fuzz target over its corpus and over fixed mutations of it: fuzz_NAME CORPUS_FOLDER MUTATIONS
// The mutations depend on nothing but the corpus, so a failure repeats. A crash names its input and leaves it in
// ./crash-NAME-….
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
Bytes g_current;

void save_current(int signal) {
  std::ofstream("crash-input", std::ios::binary)
      .write(reinterpret_cast<const char*>(g_current.data()), static_cast<std::streamsize>(g_current.size()));
  std::fprintf(stderr, "fuzz driver: signal %d; the input (%zu bytes) is in ./crash-input\n", signal, g_current.size());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(Bytes input) {
  g_current = std::move(input);
  // A copy of exactly this size, so that ASan sees a read past the end.
  const Bytes exact(g_current.begin(), g_current.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

Bytes mutated(const std::vector<Bytes>& corpus, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n ? random() % n : 0; };
  Bytes b = corpus[below(corpus.size())];
  constexpr std::uint64_t kInteresting[] = {
      0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, ~0ull};
  for (std::size_t rounds = 1 + below(4); rounds > 0 && !b.empty(); --rounds) {
    const std::size_t at = below(b.size());
    switch (below(7)) {
      case 0:
        b[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        b[at] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        b.resize(at);
        break;
      case 3: {  // a telling number of 1, 2, 4 or 8 bytes
        const std::uint64_t v = kInteresting[below(std::size(kInteresting))];
        for (std::size_t i = 0, n = std::size_t{1} << below(4); i < n && at + i < b.size(); ++i)
          b[at + i] = static_cast<std::uint8_t>(v >> (8 * i));
        break;
      }
      case 4:
        b.erase(b.begin() + static_cast<std::ptrdiff_t>(at),
                b.begin() + static_cast<std::ptrdiff_t>(std::min(b.size(), at + 1 + below(8))));
        break;
      case 5:
        b.insert(b.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(8), static_cast<std::uint8_t>(random()));
        break;
      case 6: {  // a piece of another seed
        const Bytes& other = corpus[below(corpus.size())];
        if (other.empty()) break;
        const std::size_t from = below(other.size()), n = std::min(other.size() - from, 1 + below(64));
        b.insert(b.begin() + static_cast<std::ptrdiff_t>(at), other.begin() + static_cast<std::ptrdiff_t>(from),
                 other.begin() + static_cast<std::ptrdiff_t>(from + n));
        break;
      }
    }
  }
  return b;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: %s CORPUS_FOLDER MUTATIONS\n", argv[0]), 2;
  std::vector<Bytes> corpus;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) return std::fprintf(stderr, "%s: no seeds\n", argv[1]), 1;
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, save_current);
  run({});
  for (const Bytes& seed : corpus) run(seed);
  std::mt19937_64 random(20261121);
  const long mutations = std::strtol(argv[2], nullptr, 10);
  for (long i = 0; i < mutations; ++i) run(mutated(corpus, random));
  std::printf("%zu seeds and %ld mutations ran\n", corpus.size(), mutations);
  return 0;
}
