#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "mtmd/quality/imatrix.h"

namespace mtmd::quality {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImatrixFile : public ::testing::Test {
 protected:
  ImatrixFile() : folder_(fs::path(::testing::TempDir()) / ("imatrix" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~ImatrixFile() override { fs::remove_all(folder_); }
  fs::path path(const std::string& name) const { return folder_ / name; }
  fs::path with(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  fs::path folder_;
};

ImportanceMatrix small() {
  ImportanceMatrix m;
  m.entries["blk.0.attn_q.weight"] = {{8, 0, 2}, {4}};
  m.entries["blk.0.ffn_up_exps.weight"] = {{3, 6, 0, 0}, {3, 0}};
  m.datasets = {"a.txt", "b.txt"};
  m.chunk_count = 5;
  m.chunk_size = 2;
  return m;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string le(std::int32_t v) { return {reinterpret_cast<const char*>(&v), 4}; }
std::string le(float v) { return {reinterpret_cast<const char*>(&v), 4}; }

std::string message_of(const fs::path& path) {
  try {
    read_imatrix(path);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::input) << e.what();
    return e.what();
  }
  return "was read";
}

TEST_F(ImatrixFile, WeightsAreMeansAndOneWhereNothingWasSeen) {
  EXPECT_THAT(small().find("blk.0.attn_q.weight")->weights(), ElementsAre(2, 0, 0.5f));
  EXPECT_THAT(small().find("blk.0.ffn_up_exps.weight")->weights(), ElementsAre(1, 2, 1, 1));
  EXPECT_EQ(small().find("blk.1.attn_q.weight"), nullptr);
}

TEST_F(ImatrixFile, GgufComesBackAsItWas) {
  write_imatrix(path("m.gguf"), small(), ImatrixForm::gguf);
  const ImportanceMatrix m = read_imatrix(path("m.gguf"));
  EXPECT_EQ(m.datasets, small().datasets);
  EXPECT_EQ(m.chunk_count, 5u);
  EXPECT_EQ(m.chunk_size, 2u);
  ASSERT_EQ(m.entries.size(), 2u);
  for (const auto& [name, e] : small().entries) {
    EXPECT_EQ(m.find(name)->sums, e.sums);
    EXPECT_EQ(m.find(name)->counts, e.counts);
  }
  const auto file = gguf::File::open(path("m.gguf"));
  EXPECT_EQ(file.find("blk.0.ffn_up_exps.weight.in_sum2")->shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(file.find("blk.0.ffn_up_exps.weight.counts")->shape, (std::vector<std::int64_t>{2, 1}));
}

/// Against the layout written down by hand, byte by byte.
TEST_F(ImatrixFile, DatIsTheOldLayout) {
  write_imatrix(path("m.dat"), small(), ImatrixForm::dat);
  const std::string q = "blk.0.attn_q.weight", up = "blk.0.ffn_up_exps.weight";
  std::string want = le(2);
  want += le(static_cast<std::int32_t>(q.size())) + q + le(2) + le(3) + le(4.0f) + le(0.0f) + le(1.0f);
  want += le(static_cast<std::int32_t>(up.size())) + up + le(2) + le(4) + le(2.0f) + le(4.0f) + le(2.0f) + le(2.0f);
  want += le(5) + le(5) + "b.txt";
  EXPECT_EQ(bytes_of(path("m.dat")), want);

  const ImportanceMatrix m = read_imatrix(path("m.dat"), 2);
  EXPECT_THAT(m.find(q)->weights(), ElementsAre(2, 0, 0.5f));
  EXPECT_THAT(m.find(q)->counts, ElementsAre(4));
  EXPECT_THAT(m.find(up)->weights(), ElementsAre(1, 2, 1, 1));
  EXPECT_EQ(m.chunk_count, 5u);
  EXPECT_THAT(m.datasets, ElementsAre("b.txt"));
}

TEST_F(ImatrixFile, OldestDatEndsAfterTheEntries) {
  const auto m = read_imatrix(with("m.dat", le(1) + le(1) + "x" + le(3) + le(2) + le(6.0f) + le(9.0f)));
  EXPECT_THAT(m.find("x")->weights(), ElementsAre(2, 3));
  EXPECT_EQ(m.chunk_count, 0u);
}

TEST_F(ImatrixFile, ReadsTheKitsMatrices) {
  const fs::path kit = fs::path(MTMD_CONFORMANCE) / "text/llama-kq.imatrix.gguf";
  if (!fs::exists(kit)) GTEST_SKIP() << kit << " is not here";
  const ImportanceMatrix m = read_imatrix(kit);
  EXPECT_EQ(m.entries.size(), 14u);
  EXPECT_EQ(m.chunk_count, 16u);
  EXPECT_EQ(m.chunk_size, 128u);
  EXPECT_THAT(m.find("blk.0.attn_q.weight")->counts, ElementsAre(2048));
  const auto model = gguf::File::open(fs::path(MTMD_CONFORMANCE) / "text/llama-kq.gguf");
  const Coverage c = coverage(m, model);
  EXPECT_TRUE(c.fits());
  EXPECT_EQ(c.covered, 14);
  EXPECT_TRUE(c.missing.empty());
  EXPECT_TRUE(c.blanks.empty());
}

TEST_F(ImatrixFile, MergingAddsAndRefusesOtherSizes) {
  ImportanceMatrix m = small();
  ImportanceMatrix other = small();
  other.datasets = {"b.txt", "c.txt"};
  other.entries["blk.1.attn_q.weight"] = {{1}, {1}};
  m.merge(other);
  EXPECT_THAT(m.find("blk.0.attn_q.weight")->sums, ElementsAre(16, 0, 4));
  EXPECT_THAT(m.find("blk.0.attn_q.weight")->counts, ElementsAre(8));
  EXPECT_EQ(m.entries.size(), 3u);
  EXPECT_EQ(m.chunk_count, 10u);
  EXPECT_THAT(m.datasets, ElementsAre("a.txt", "b.txt", "c.txt"));

  ImportanceMatrix wrong;
  wrong.entries["blk.0.attn_q.weight"] = {{1, 2}, {1}};
  wrong.entries["a"] = {{1}, {1}};
  try {
    m.merge(wrong);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::input);
    EXPECT_THAT(e.what(), HasSubstr("blk.0.attn_q.weight"));
  }
  EXPECT_EQ(m.entries.size(), 3u);  // nothing of it arrived
}

TEST_F(ImatrixFile, OneCountForAllExpertsIsSpreadWhenMerged) {
  ImportanceMatrix m = small(), old;
  old.entries["blk.0.ffn_up_exps.weight"] = {{1, 1, 1, 1}, {2}};
  m.merge(old);
  EXPECT_THAT(m.find("blk.0.ffn_up_exps.weight")->sums, ElementsAre(4, 7, 1, 1));
  EXPECT_THAT(m.find("blk.0.ffn_up_exps.weight")->counts, ElementsAre(5, 2));
}

TEST_F(ImatrixFile, CoverageNamesWhatIsMissingStrangeOrBlank) {
  gguf::Writer w;
  const std::vector<float> zeros(64);
  const auto add = [&](const char* name, std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const auto d : shape) n *= d;
    w.add_tensor(name, DType::F32, std::move(shape),
                 std::as_bytes(std::span(zeros).first(static_cast<std::size_t>(n))));
  };
  add("blk.0.attn_q.weight", {5, 3});
  add("blk.0.attn_k.weight", {5, 3});
  add("blk.0.attn_norm.weight", {3});
  add("blk.0.ffn_up_exps.weight", {2, 4, 2});
  add("token_embd.weight", {4, 3});
  const auto bytes = w.to_memory();
  const auto model = gguf::File::from_memory(bytes, "m");

  ImportanceMatrix m = small();
  Coverage c = coverage(m, model);
  EXPECT_TRUE(c.fits());
  EXPECT_EQ(c.covered, 2);
  EXPECT_THAT(c.missing, ElementsAre("blk.0.attn_k.weight"));
  ASSERT_EQ(c.blanks.size(), 1u);
  EXPECT_THAT(c.blanks[0].experts, ElementsAre(1));
  EXPECT_NO_THROW(require_fit(c, "i", "m"));

  m.entries["blk.0.attn_k.weight"] = {{1, 2}, {1}};
  m.entries["blk.9.attn_k.weight"] = {{1, 2}, {1}};
  c = coverage(m, model);
  EXPECT_FALSE(c.fits());
  ASSERT_EQ(c.misfits.size(), 1u);
  EXPECT_EQ(c.misfits[0].expected, 3);
  EXPECT_THAT(c.unknown, ElementsAre("blk.9.attn_k.weight"));
  EXPECT_THROW(require_fit(c, "i", "m"), Error);
  EXPECT_THROW(require_fit(coverage({}, model), "i", "m"), Error);
}

TEST_F(ImatrixFile, DamagedDatIsRefused) {
  const std::string entry = le(1) + "x" + le(3) + le(2) + le(6.0f) + le(9.0f);
  EXPECT_THAT(message_of(with("a", "")), HasSubstr("ends at byte 0"));
  EXPECT_THAT(message_of(with("b", le(0))), HasSubstr("entries"));
  EXPECT_THAT(message_of(with("c", le(-1) + entry)), HasSubstr("entries"));
  EXPECT_THAT(message_of(with("d", le(2) + entry)), HasSubstr("ends at byte 25"));
  EXPECT_THAT(message_of(with("e", le(1) + le(1 << 30) + "x")), HasSubstr("entries"));
  EXPECT_THAT(message_of(with("f", le(1) + le(2000) + "x" + le(3) + le(1))), HasSubstr("length of a name"));
  EXPECT_THAT(message_of(with("g", le(1) + le(1) + "x" + le(3) + le(1 << 30) + "1234")), HasSubstr("number of values"));
  EXPECT_THAT(message_of(with("h", le(1) + le(1) + "x" + le(-3) + le(1) + le(1.0f))), HasSubstr("calls"));
  EXPECT_THAT(message_of(with("i", le(2) + entry + entry)), HasSubstr("twice"));
  EXPECT_THAT(message_of(with("j", le(1) + entry + le(1) + le(99) + "b")), HasSubstr("data set"));
  EXPECT_THAT(message_of(with("k", le(1) + entry + le(1) + le(1) + "b?")), HasSubstr("follow"));
  EXPECT_THAT(message_of(with("l", le(1) + le(1) + "x" + le(3) + le(1) + le(NAN))), HasSubstr("nan"));
  EXPECT_THAT(message_of(with("m", le(1) + le(1) + "x" + le(3) + le(1) + le(-1.0f))), HasSubstr("not negative"));
  EXPECT_THAT(message_of(with("n", le(1) + le(1) + "x" + le(3) + le(1) + le(3e38f))), HasSubstr("inf"));
}

TEST_F(ImatrixFile, EveryCutOfASoundFileIsRefusedOrSound) {
  for (const ImatrixForm form : {ImatrixForm::dat, ImatrixForm::gguf}) {
    write_imatrix(path("m"), small(), form);
    const std::string all = bytes_of(path("m"));
    for (std::size_t n = 0; n < all.size(); ++n) {
      const std::string why = message_of(with("cut", all.substr(0, n)));
      if (form == ImatrixForm::gguf && n + 32 <= all.size()) {  // the last bytes only fill up
        EXPECT_NE(why, "was read") << n;
      }
    }
  }
}

TEST_F(ImatrixFile, GgufThatIsNoMatrixIsRefused) {
  const std::vector<float> values = {1, 2, 3};
  const auto make = [&](const char* type, const char* a, const char* b, std::size_t n) {
    gguf::Writer w;
    w.set("general.type", type);
    w.add_tensor(a, DType::F32, {3}, std::as_bytes(std::span(values)));
    if (b) w.add_tensor(b, DType::F32, {static_cast<std::int64_t>(n)}, std::as_bytes(std::span(values).first(n)));
    w.write(path("m"));
    return message_of(path("m"));
  };
  EXPECT_THAT(make("model", "x.in_sum2", "x.counts", 1), HasSubstr("no importance matrix"));
  EXPECT_THAT(make("imatrix", "x.in_sum2", nullptr, 0), HasSubstr("has no x.counts"));
  EXPECT_THAT(make("imatrix", "x.in_sum2", "x.counts", 2), HasSubstr("3 values for 2 counts"));
  EXPECT_THAT(make("imatrix", "x.weight", nullptr, 0), HasSubstr("neither"));
  EXPECT_EQ(make("imatrix", "x.in_sum2", "x.counts", 3), "was read");
  EXPECT_THROW(read_imatrix(path("nothing")), Error);
}

TEST_F(ImatrixFile, NothingIsNotWritten) {
  EXPECT_THROW(write_imatrix(path("m"), {}, ImatrixForm::gguf), Error);
  EXPECT_FALSE(fs::exists(path("m")));
  EXPECT_THROW(write_imatrix(path("no/such/folder/m"), small(), ImatrixForm::gguf), Error);
}

}  // namespace
}  // namespace mtmd::quality
