// Recorded media results: preprocessing, embeddings, chunks, logits and greedy tokens (conformance/media).
#include "mtmd/conformance/conformance.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

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

TEST(MediaConformance, WholeKit) {
  const fs::path kit = fs::path(MTMD_CONFORMANCE) / "media";
  if (!fs::exists(kit)) GTEST_SKIP() << kit << " is not there (a clone without the conformance kit)";
  const Count count = run(kit, "cpu");
  EXPECT_GE(count.passed, 200);
}

}  // namespace
}  // namespace mtmd::conformance
