#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "engine/gguf/gguf.h"
#include "engine/quant/quant.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {
namespace {

namespace fs = std::filesystem;

std::vector<Result> run(const fs::path& folder) {
  std::vector<Result> results;
  run_quant(folder, [&](const Result& r) { results.push_back(r); });
  return results;
}

std::string describe(const Result& r) { return r.name + " " + r.compared + ": " + r.detail; }

std::vector<std::string> failures(const std::vector<Result>& results) {
  std::vector<std::string> out;
  for (const Result& r : results)
    if (r.outcome == Outcome::failed) out.push_back(r.name + " " + r.compared);
  return out;
}

std::vector<std::byte> contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  const auto* p = reinterpret_cast<const std::byte*>(bytes.data());
  return {p, p + bytes.size()};
}

/// A copy of one recorded file in a folder of its own, for damaging.
class Copy {
 public:
  explicit Copy(const std::string& file)
      : folder_(fs::path(testing::TempDir()) /
                ("quant_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))),
        file_(folder_ / file),
        bytes_(contents(fs::path(MTMD_TEST_DATA) / "quant" / file)) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Copy() { fs::remove_all(folder_); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  const fs::path& folder() const { return folder_; }
  std::vector<std::byte>& bytes() { return bytes_; }
  std::uint64_t offset_of(std::string_view tensor) const {
    return gguf::File::from_memory(bytes_, "copy").find(tensor)->offset;
  }
  std::vector<std::string> failures_now() const {
    std::ofstream(file_, std::ios::binary).write(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
    return failures(run(folder_));
  }

 private:
  fs::path folder_, file_;
  std::vector<std::byte> bytes_;
};

TEST(ConformanceQuant, NothingFailsAndEveryTypeIsDecoded) {
  const auto results = run(fs::path(MTMD_TEST_DATA) / "quant");
  std::map<std::string, Outcome> outcome;
  for (const Result& r : results) {
    EXPECT_NE(r.outcome, Outcome::failed) << describe(r);
    outcome[r.compared] = r.outcome;
    // Byte for byte, though an error as small as recorded would pass (docs/quant.md; IQ: lib/engine/quant/iq*).
    if (r.compared.starts_with("encode ") && !r.compared.starts_with("encode IQ")) {
      EXPECT_EQ(r.outcome, Outcome::passed) << describe(r);
      EXPECT_EQ(r.difference, 0) << describe(r);
    }
  }
  for (const quant::Format& f : quant::all()) {
    const std::string type(name(f.type));
    if (type == "F32" || type == "F64" || type == "Q8_1" || type == "Q8_K") continue;  // not weights of the kit
    const bool recorded = outcome.contains("decode " + type) || outcome.contains("decode " + type + ".imat");
    EXPECT_TRUE(recorded) << type;
    ASSERT_TRUE(outcome.contains("dot " + type)) << type;
    EXPECT_EQ(outcome["dot " + type], Outcome::passed);
    for (const std::string& encoding : {"encode " + type, "encode " + type + ".imat"}) {
      if (!outcome.contains(encoding)) continue;
      EXPECT_EQ(outcome[encoding], f.encode ? Outcome::passed : Outcome::unsupported) << encoding;
    }
    EXPECT_EQ(outcome.contains("encode " + type + ".imat"), f.uses_importance) << type;
    EXPECT_EQ(outcome.contains("encode " + type), !f.needs_importance) << type;
  }
  for (const char* type : {"F16", "BF16", "Q8_0", "Q8_1", "Q8_K"})
    EXPECT_EQ(outcome.at(std::string("round activations to ") + type), Outcome::passed);
}

TEST(ConformanceQuant, ADamagedValueFailsItsCaseAndNoOther) {
  Copy copy("quant.golden.gguf");
  copy.bytes()[copy.offset_of("dq.Q5_K") + 400] ^= std::byte{1};  // lowest bit of value 100
  EXPECT_THAT(copy.failures_now(), testing::ElementsAre("quant decode Q5_K"));
}

TEST(ConformanceQuant, ADamagedDotFails) {
  Copy copy("quant.golden.gguf");
  copy.bytes()[copy.offset_of("dot.IQ3_S") + 2] ^= std::byte{0x40};  // a middle mantissa bit of row 0
  EXPECT_THAT(copy.failures_now(), testing::ElementsAre("quant dot IQ3_S"));
}

TEST(ConformanceQuant, DamagedBlocksFailWhatReadsThem) {
  Copy copy("quant.golden.gguf");
  copy.bytes()[copy.offset_of("q.Q4_0") + 2] ^= std::byte{0x88};
  EXPECT_THAT(copy.failures_now(), testing::IsSupersetOf({"quant decode Q4_0", "quant encode Q4_0"}));
}

TEST(ConformanceQuant, DamagedActivationsFail) {
  Copy copy("quant.golden.gguf");
  copy.bytes()[copy.offset_of("actq.Q8_K") + 290] ^= std::byte{1};  // a block sum
  EXPECT_THAT(copy.failures_now(), testing::ElementsAre("quant round activations to Q8_K"));
}

TEST(ConformanceQuant, ADamagedProbeFails) {
  Copy copy("probe.golden.gguf");
  copy.bytes()[copy.offset_of("val.MXFP4") + 8] ^= std::byte{0x10};
  EXPECT_THAT(copy.failures_now(), testing::ElementsAre("probe decode MXFP4"));
}

TEST(ConformanceQuant, AMissingCounterpartFails) {
  Copy copy("probe.golden.gguf");
  const std::string_view wanted = "val.IQ1_M";
  const std::string text(reinterpret_cast<const char*>(copy.bytes().data()), copy.bytes().size());
  copy.bytes()[text.find(wanted)] = std::byte{'x'};  // the tensor is now called xal.IQ1_M
  EXPECT_THAT(copy.failures_now(), testing::ElementsAre("probe decode IQ1_M"));
}

TEST(ConformanceQuant, ATruncatedFileFails) {
  Copy copy("probe.golden.gguf");
  copy.bytes().resize(copy.bytes().size() / 2);
  EXPECT_THAT(copy.failures_now(), testing::ElementsAre("probe recorded blocks"));
}

TEST(ConformanceQuant, AnEmptyOrMissingFolderFails) {
  EXPECT_EQ(failures(run(fs::path(testing::TempDir()) / "no such folder")).size(), 1u);
}

}  // namespace
}  // namespace mtmd::conformance
