// Recorded media results: preprocessing, embeddings, chunks, logits and greedy tokens (conformance/media).
#include "mtmd/conformance/conformance.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "engine/gguf/gguf.h"

namespace mtmd::conformance {
namespace {

namespace fs = std::filesystem;

/// Cases that passed and cases that are not supported; failures are reported.
struct Count {
  int passed = 0, unsupported = 0;
};

Count run(const fs::path& path, std::string_view device_name) {
  const auto device = make_device(device_name);
  Count count;
  run_media(path, *device, [&](const Result& r) {
    std::printf("%-44s %-32s %-11s %.3g (%.3g) %s\n", r.name.c_str(), r.compared.c_str(),
                r.outcome == Outcome::passed   ? "pass"
                : r.outcome == Outcome::failed ? "FAIL"
                                               : "unsupported",
                r.difference, r.tolerance, r.detail.c_str());
    count.passed += r.outcome == Outcome::passed, count.unsupported += r.outcome == Outcome::unsupported;
    if (r.outcome == Outcome::failed) ADD_FAILURE() << r.name << ", " << r.compared << ": " << r.detail;
  });
  return count;
}

/// Required types: nothing of theirs may be unsupported.
TEST(MediaConformance, CopiedCases) {
  for (const auto& folder : fs::directory_iterator(fs::path(MTMD_TEST_DATA) / "media")) {
    if (!fs::exists(folder.path() / "mmproj.gguf")) continue;
    const Count count = run(folder.path(), "cpu");
    EXPECT_GE(count.passed, 4) << folder.path();  // chunks, embeddings, logits, greedy tokens
    EXPECT_EQ(count.unsupported, 0) << folder.path();
  }
}

/// A copy of one recorded case whose golden file can be spoilt.
class DamagedCase : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("damaged-" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "qwen2vl_merger");
    const fs::path data = fs::path(MTMD_TEST_DATA) / "media";
    fs::create_directory_symlink(data / "inputs", folder_ / "inputs");
    for (const char* file : {"mmproj.gguf", "model.gguf"}) {
      fs::create_symlink(data / "qwen2vl_merger" / file, folder_ / "qwen2vl_merger" / file);
    }
    fs::copy_file(data / "qwen2vl_merger" / "odd.golden.gguf",
                  golden_ = folder_ / "qwen2vl_merger" / "odd.golden.gguf");
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Overwrites bytes of the golden file and returns what fails then.
  std::string failing(std::uint64_t offset, std::string_view bytes) {
    std::fstream(golden_, std::ios::in | std::ios::out | std::ios::binary).seekp(static_cast<std::streamoff>(offset))
        << bytes;
    const auto device = make_device("cpu");
    std::string failed;
    run_media(golden_, *device, [&](const Result& r) {
      if (r.outcome == Outcome::failed) failed += r.compared + ";";
    });
    return failed;
  }
  /// Element `i` of the array golden.greedy: behind its key, the value type, the element type and the count.
  std::uint64_t greedy_at(std::uint64_t i) const { return text_at("golden.greedy") + 13 + 4 + 4 + 8 + 4 * i; }
  std::uint64_t tensor_at(std::string_view name) const { return gguf::File::open(golden_).find(name)->offset; }
  /// Where a text stands in the file.
  std::uint64_t text_at(std::string_view text) const {
    std::ifstream in(golden_, std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return all.find(text);
  }

  fs::path folder_, golden_;
};

TEST_F(DamagedCase, UntouchedPasses) { EXPECT_EQ(failing(0, "G"), ""); }
TEST_F(DamagedCase, Embedding) {
  EXPECT_EQ(failing(tensor_at("embd.0") + 400, std::string_view("\0\0\x80\x3f", 4)), "embeddings;");  // 1.0f
}
TEST_F(DamagedCase, Logit) {
  EXPECT_EQ(failing(tensor_at("logits") + 40, std::string_view("\0\0\xa0\xc0", 4)), "logits;");  // -5.0f
}
TEST_F(DamagedCase, NotANumber) {
  EXPECT_EQ(failing(tensor_at("logits") + 40, std::string_view("\0\0\xc0\x7f", 4)), "logits;");
}
TEST_F(DamagedCase, FirstGreedyToken) {
  EXPECT_EQ(failing(greedy_at(0), std::string_view("\5\0\0\0", 4)), "greedy tokens;");
}
TEST_F(DamagedCase, LaterGreedyToken) {
  EXPECT_EQ(failing(greedy_at(3), std::string_view("\5\0\0\0", 4)), "greedy tokens;");
}
TEST_F(DamagedCase, Position) { EXPECT_EQ(failing(text_at("\"pos_start\":13") + 13, "4"), "chunks;"); }
TEST_F(DamagedCase, Hash) { EXPECT_EQ(failing(text_at("e4ce920fb562"), "f"), "chunks;"); }
TEST_F(DamagedCase, Json) { EXPECT_EQ(failing(text_at("[{\"type\"") + 1, "?"), "recording;"); }
TEST_F(DamagedCase, MissingTensor) { EXPECT_EQ(failing(text_at("embd.0"), "emba.0"), "embeddings;"); }
TEST_F(DamagedCase, MissingKey) {
  EXPECT_EQ(failing(text_at("golden.greedy_margin"), "golden.greedy_morgin"), "recording;");
}
TEST_F(DamagedCase, Header) { EXPECT_EQ(failing(0, "H"), "recording;"); }

TEST(MediaConformance, WholeKit) {
  const fs::path kit = fs::path(MTMD_CONFORMANCE) / "media";
  if (!fs::exists(kit)) GTEST_SKIP() << kit << " is not there (a clone without the conformance kit)";
  const Count count = run(kit, "cpu");
  EXPECT_GE(count.passed, 200);
}

}  // namespace
}  // namespace mtmd::conformance
