// imatrix, perplexity and quantize --target-bpw, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "mtmd/quality/corpus.h"
#include "mtmd/quality/imatrix.h"
#include "tools/process.h"

namespace mtmd::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::string kLlama = MTMD_TEST_DATA "/text/llama.gguf", kMixtral = MTMD_TEST_DATA "/text/mixtral.gguf";
const std::string kReader = MTMD_MODELS "/line-reader.gguf", kLine = MTMD_TEST_DATA "/line.ppm";

class QualityVerbs : public ::testing::Test {
 protected:
  QualityVerbs() { write_file(folder_ / "t.txt", quality::corpus() + quality::corpus()); }
  std::string at(const char* name) const { return (folder_ / name).string(); }
  Outcome imatrix(std::vector<std::string> more) const {
    std::vector<std::string> all = {"imatrix", "-m", kLlama, "-c", "64"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }
  TemporaryFolder folder_;
};

void expect_alike(const quality::ImportanceMatrix& a, const quality::ImportanceMatrix& b) {
  ASSERT_EQ(a.entries.size(), b.entries.size());
  EXPECT_EQ(a.chunk_count, b.chunk_count);
  for (const auto& [name, e] : a.entries) {
    const quality::Importance& other = b.entries.at(name);
    EXPECT_EQ(e.counts, other.counts) << name;
    for (std::size_t i = 0; i < e.sums.size(); ++i) ASSERT_NEAR(e.sums[i], other.sums[i], 2e-6f * e.sums[i]) << name;
  }
}

TEST_F(QualityVerbs, ImatrixWritesBothFormsAndReportsOnStderr) {
  const Outcome r = imatrix({"-f", at("t.txt"), "--chunks", "3", "-o", at("m.gguf")});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "");
  EXPECT_THAT(r.err, HasSubstr("PPL = "));
  EXPECT_THAT(r.err, HasSubstr("14 of 14 weight matrices"));
  EXPECT_EQ(imatrix({"-f", at("t.txt"), "--chunks", "3", "--no-ppl", "-o", at("m.dat")}).status, 0);
  const auto gguf = quality::read_imatrix(at("m.gguf")), dat = quality::read_imatrix(at("m.dat"), 64);
  EXPECT_EQ(gguf.chunk_count, 3u);
  EXPECT_THAT(gguf.datasets, ::testing::ElementsAre(at("t.txt")));
  expect_alike(gguf, dat);
  EXPECT_EQ(read_file(at("m.dat"))[0], 14);

  const Outcome again = imatrix({"-f", at("t.txt"), "-o", at("m.gguf")});
  EXPECT_EQ(again.status, 8);
  EXPECT_THAT(again.err, HasSubstr("--force"));
}

TEST_F(QualityVerbs, ImatrixGoesOnWhereItStopped) {
  ASSERT_EQ(imatrix({"-f", at("t.txt"), "--chunks", "5", "-o", at("whole.gguf")}).status, 0);
  ASSERT_EQ(imatrix({"-f", at("t.txt"), "--chunks", "2", "-o", at("part.gguf")}).status, 0);
  const Outcome r = imatrix({"-f", at("t.txt"), "--chunks", "5", "-o", at("part.gguf"), "--resume"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("2 of 5 chunks are done"));
  expect_alike(quality::read_imatrix(at("whole.gguf")), quality::read_imatrix(at("part.gguf")));
  EXPECT_EQ(run({"imatrix", "-m", kLlama, "-c", "32", "-f", at("t.txt"), "-o", at("part.gguf"), "--resume"}).status, 2);
  write_file(folder_ / "u.txt", quality::corpus());
  EXPECT_EQ(imatrix({"-f", at("u.txt"), "-o", at("part.gguf"), "--resume"}).status, 2);
}

TEST_F(QualityVerbs, ImatrixPartsAreAddedUp) {
  ASSERT_EQ(imatrix({"-f", at("t.txt"), "--chunks", "4", "-o", at("whole.gguf")}).status, 0);
  ASSERT_EQ(imatrix({"-f", at("t.txt"), "--chunks", "1", "-o", at("a.gguf")}).status, 0);
  const Outcome r =
      imatrix({"-f", at("t.txt"), "--chunk", "1", "--chunks", "3", "--in-file", at("a.gguf"), "-o", at("b.gguf")});
  EXPECT_EQ(r.status, 0) << r.err;
  expect_alike(quality::read_imatrix(at("whole.gguf")), quality::read_imatrix(at("b.gguf")));
}

TEST_F(QualityVerbs, ImatrixSavesOnTheWayAndWhenInterrupted) {
  ASSERT_EQ(
      imatrix({"-f", at("t.txt"), "--chunks", "4", "-ofreq", "1", "--save-frequency", "2", "-o", at("m.gguf")}).status,
      0);
  EXPECT_EQ(quality::read_imatrix(at("m.gguf.at_2")).chunk_count, 2u);
  EXPECT_EQ(quality::read_imatrix(at("m.gguf.at_4")).chunk_count, 4u);

  std::string much;
  for (int i = 0; i < 400; ++i) much += quality::corpus();
  write_file(folder_ / "much.txt", much);
  const Outcome r = run({"imatrix", "-m", kLlama, "-c", "64", "-f", at("much.txt"), "-ofreq", "1", "-o", at("i.gguf")},
                        {.kill_after_ms = 1, .signal = SIGINT, .wait_for = at("i.gguf")});
  EXPECT_EQ(r.status, 130) << r.err;
  EXPECT_THAT(r.err, HasSubstr("--resume goes on"));
  EXPECT_GE(quality::read_imatrix(at("i.gguf")).chunk_count, 1u);
}

TEST_F(QualityVerbs, ImatrixSaysWhichExpertsSawNothing) {
  // One window of few tokens cannot reach all experts of both layers alike; a matrix whose counts say so is reported.
  quality::ImportanceMatrix m;
  ASSERT_EQ(run({"imatrix", "-m", kMixtral, "-c", "64", "--chunks", "1", "-f", at("t.txt"), "-o", at("m.gguf")}).status,
            0);
  m = quality::read_imatrix(at("m.gguf"));
  quality::Importance& e = m.entries.at("blk.1.ffn_up_exps.weight");
  e.counts[2] = 0;
  quality::write_imatrix(at("n.gguf"), m, quality::ImatrixForm::gguf);
  const Outcome r = run({"imatrix", "-m", kMixtral, "--in-file", at("n.gguf"), "--json"});
  EXPECT_EQ(r.status, 0) << r.err;
  const Json report = Json::parse(r.out);
  EXPECT_EQ(report["covered"], 16);
  ASSERT_EQ(report["experts_never_hit"].size(), 1u);
  EXPECT_EQ(report["experts_never_hit"][0]["experts"], Json::parse("[2]"));
  EXPECT_FALSE(fs::exists("imatrix.gguf"));
}

TEST_F(QualityVerbs, ImatrixReadsPictures) {
  const Outcome r = run({"imatrix", "-m", kReader, "--image", kLine, "-p", "OCR", "-o", at("m.gguf"), "--json"});
  EXPECT_EQ(r.status, 0) << r.err;
  const Json report = Json::parse(r.out);
  EXPECT_EQ(report["covered"], 7 * 6);  // matrices of six blocks
  EXPECT_EQ(report["missing"].size(), 0u);
  EXPECT_EQ(report["datasets"][0], kLine);
}

TEST_F(QualityVerbs, ImatrixSaysWhatIsWrong) {
  EXPECT_EQ(imatrix({}).status, 2);
  EXPECT_EQ(imatrix({"-f", at("none.txt")}).status, 4);
  EXPECT_EQ(run({"imatrix", "-m", kLlama, "-f", at("t.txt"), "-c", "1", "-o", at("x.gguf")}).status, 2);
  EXPECT_EQ(run({"imatrix", "-m", kLlama, "-f", at("t.txt"), "-c", "100000", "-o", at("x.gguf")}).status, 4);
  EXPECT_EQ(imatrix({"--image", kLine, "-o", at("x.gguf")}).status, 2);  // no encoder
  EXPECT_EQ(imatrix({"-f", at("t.txt"), "--chunks", "1", "-o", at("no/such/folder/x.gguf")}).status, 8);
  write_file(folder_ / "bad.dat", "no matrix at all");
  EXPECT_EQ(imatrix({"--in-file", at("bad.dat")}).status, 4);
  EXPECT_EQ(imatrix({"--in-file", kLlama}).status, 4);
  ASSERT_EQ(run({"imatrix", "-m", kMixtral, "-c", "64", "--chunks", "1", "-f", at("t.txt"), "-o", at("m.gguf")}).status,
            0);
  const Outcome other = imatrix({"--in-file", at("m.gguf")});  // of another model
  EXPECT_EQ(other.status, 4);
  EXPECT_THAT(other.err, HasSubstr("another model"));
  EXPECT_FALSE(fs::exists(at("x.gguf")));
}

TEST_F(QualityVerbs, PerplexityAsTextAndJson) {
  const Outcome text = run({"perplexity", kLlama, "-f", at("t.txt"), "-c", "64", "--chunks", "6", "-ctk", "f32"});
  EXPECT_EQ(text.status, 0) << text.err;
  // libllama's logits in float64: 24699.5720 +/- 5362.01252 (tests/mtmd/quality/perplexity.cpp).
  EXPECT_THAT(text.out, ::testing::StartsWith("Final estimate: PPL = 24699."));
  const Outcome json =
      run({"perplexity", "-m", kLlama, "-f", at("t.txt"), "-c", "64", "--chunks", "6", "-ctk", "f32", "--json"});
  const Json j = Json::parse(json.out);
  EXPECT_EQ(j["tokens"], 186);
  EXPECT_NEAR(j["ppl"].get<double>() / 24699.572026, 1, 1e-5);
  EXPECT_NEAR(j["ppl_error"].get<double>() / 5362.012522, 1, 1e-5);
}

TEST_F(QualityVerbs, DivergenceFromAModelAndFromARecording) {
  const std::vector<std::string> same = {"perplexity", kLlama, "-f", at("t.txt"), "-c", "32", "--chunks", "4"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), same.begin(), same.end());
    return run(more);
  };
  const Outcome direct = with({"--kl-divergence", kLlama, "--json"});
  EXPECT_EQ(direct.status, 0) << direct.err;
  EXPECT_EQ(Json::parse(direct.out)["kld"]["mean"], 0.0);
  EXPECT_EQ(Json::parse(direct.out)["same_top"]["value"], 1.0);
  ASSERT_EQ(with({"--kl-divergence-base", at("base.kld")}).status, 0);
  EXPECT_EQ(with({"--kl-divergence-base", at("base.kld")}).status, 8);  // is there
  const Outcome recorded =
      run({"perplexity", kLlama, "--kl-divergence", "--kl-divergence-base", at("base.kld"), "--json"});
  EXPECT_EQ(recorded.status, 0) << recorded.err;
  EXPECT_NEAR(Json::parse(recorded.out)["kld"]["mean"].get<double>(), 0, 1e-4);
  EXPECT_EQ(Json::parse(recorded.out)["tokens"], 4 * 15);
  const Outcome table = with({"--kl-divergence", kLlama});
  EXPECT_THAT(table.out, HasSubstr("same favourite"));

  EXPECT_EQ(with({"--kl-divergence"}).status, 2);
  EXPECT_EQ(with({"--kl-divergence", kMixtral}).status, 2);  // another vocabulary
  EXPECT_EQ(with({"--kl-divergence", at("t.txt")}).status, 5);
  EXPECT_EQ(run({"perplexity", kLlama, "--kl-divergence", "--kl-divergence-base", at("t.txt")}).status, 4);
  EXPECT_EQ(run({"perplexity", kLlama}).status, 2);
  EXPECT_EQ(run({"perplexity", kLlama, "-f", at("t.txt"), "-c", "4096"}).status, 4);
  EXPECT_EQ(with({"--ppl-stride", "256"}).status, 2);
}

TEST_F(QualityVerbs, ATargetIsMetAndComparedWithTheRecipes) {
  const std::string kModel = kReader;
  const Outcome r = run({"quantize", kModel, at("q.gguf"), "--target-bpw", "6", "--eval-image", kLine, "--eval-prompt",
                         "OCR", "--plot", at("p.svg")});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("as large as Q4_K_M"));
  EXPECT_THAT(r.out, HasSubstr("asked for"));
  EXPECT_THAT(read_file(at("p.svg")), HasSubstr("</svg>"));
  const Outcome plan = run({"quantize", kModel, at("d.gguf"), "--target-bpw", "6", "--dry-run", "--json"});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_LE(Json::parse(plan.out)[0]["bits_per_weight"].get<double>(), 6.0);
  EXPECT_GT(Json::parse(plan.out)[0]["bits_per_weight"].get<double>(), 5.7);
  EXPECT_FALSE(fs::exists(at("d.gguf")));

  const Outcome sized = run({"quantize", kModel, at("s.gguf"), "--target-size", "700K"});
  EXPECT_EQ(sized.status, 0) << sized.err;
  EXPECT_LE(fs::file_size(at("s.gguf")), 700u * 1024);
  EXPECT_GT(fs::file_size(at("s.gguf")), 640u * 1024);
  EXPECT_EQ(run({"run", "-m", at("q.gguf"), "--mmproj", MTMD_MODELS "/mmproj-line-reader.gguf", "--image", kLine, "-p",
                 "OCR"})
                .out,
            "Total 42.50 EUR\n");
}

TEST_F(QualityVerbs, TargetsThatCannotBeAreRefused) {
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"quantize", kReader, at("q.gguf")};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  };
  const Outcome small = with({"--target-bpw", "1.5"});
  EXPECT_EQ(small.status, 2);
  EXPECT_THAT(small.err, HasSubstr("smallest"));
  EXPECT_EQ(with({"--target-bpw", "5", "--target-size", "1M"}).status, 2);
  EXPECT_EQ(with({"--target-size", "many"}).status, 2);
  EXPECT_EQ(with({"--target-bpw", "5", "Q4_0"}).status, 2);
  EXPECT_EQ(with({"--target-bpw", "5", "--plot", at("p.svg")}).status, 2);  // nothing to measure on
  EXPECT_EQ(with({"Q8_0", "--eval-text", at("t.txt")}).status, 2);
  EXPECT_EQ(with({"--target-bpw", "5", "--candidates", "Q4_X"}).status, 2);
  EXPECT_EQ(with({"--target-bpw", "5", "--eval-text", at("none.txt")}).status, 4);
  EXPECT_FALSE(fs::exists(at("q.gguf")));
}

}  // namespace
}  // namespace mtmd::test
