// Strangers' files: every one gives a message and a documented exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/gguf/writer.h"
#include "tools/process.h"

namespace mtmd::test {
namespace {

using ::testing::HasSubstr;
const std::string kLine = MTMD_TEST_DATA "/line.ppm";
const std::string kModel = MTMD_MODELS "/line-reader.gguf";

void expect_documented(const Outcome& r, const std::string& what) {
  EXPECT_TRUE(r.status == 0 || (r.status >= 1 && r.status <= 9)) << what << ": status " << r.status << "\n" << r.err;
  EXPECT_TRUE(r.status == 0 || r.err.find("error") != std::string::npos) << what;
}

TEST(Hostile, TruncatedModelsAreRefused) {
  TemporaryFolder folder;
  const std::string whole = read_file(kModel);
  for (const double part : {0.0, 0.0001, 0.001, 0.01, 0.5, 0.999}) {
    write_file(folder / "cut.gguf",
               whole.substr(0, static_cast<std::size_t>(static_cast<double>(whole.size()) * part)));
    const Outcome r =
        run({"ocr", "--mmproj", MTMD_MODELS "/mmproj-line-reader.gguf", "-m", (folder / "cut.gguf").string(), kLine});
    EXPECT_EQ(r.status, 5) << part << r.err;
    EXPECT_THAT(r.err, HasSubstr("cut.gguf"));
  }
}

TEST(Hostile, BitFlippedHeadersNeverCrash) {
  TemporaryFolder folder;
  const std::string whole = read_file(kModel);
  std::mt19937 random(11);
  for (int i = 0; i < 12; ++i) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k) bytes[random() % 12000] ^= static_cast<char>(1u << (random() % 8));
    write_file(folder / "flip.gguf", bytes);
    expect_documented(run({"ocr", "--timeout", "2", "-n", "20", "--mmproj", MTMD_MODELS "/mmproj-line-reader.gguf",
                           "-m", (folder / "flip.gguf").string(), kLine}),
                      "flip " + std::to_string(i));
  }
}

TEST(Hostile, AnUnknownArchitectureListsTheKnownOnes) {
  TemporaryFolder folder;
  gguf::Writer writer;
  writer.set("general.architecture", "frobnicator");
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.write(folder / "x.gguf");
  const Outcome r = run({"run", "-m", (folder / "x.gguf").string(), "-p", "hello"});
  EXPECT_EQ(r.status, 5);
  EXPECT_THAT(r.err, HasSubstr("frobnicator"));
  EXPECT_THAT(r.err, HasSubstr("qwen2vl"));
}

TEST(Hostile, PicturesOfExtremeSizes) {
  TemporaryFolder folder;
  const auto ppm = [&](int w, int h) {
    const auto path = folder / (std::to_string(w) + "x" + std::to_string(h) + ".ppm");
    write_file(path, "P6 " + std::to_string(w) + " " + std::to_string(h) + " 255\n" +
                         std::string(static_cast<std::size_t>(3 * w * h), '\xc8'));
    return path.string();
  };
  for (const auto& [w, h] : {std::pair{1, 1}, {30000, 2}, {2, 30000}, {1, 700}, {4000, 3000}}) {
    const Outcome page = run({"ocr", ppm(w, h)});
    EXPECT_EQ(page.status, 0) << w << "x" << h << page.err;
    expect_documented(run({"run", "-m", kModel, "--image", ppm(w, h), "-p", "OCR", "-n", "4"}),
                      std::to_string(w) + "x" + std::to_string(h));
  }
}

TEST(Hostile, APictureLargerThanMemoryIsRefusedFromItsHeader) {
  TemporaryFolder folder;
  write_file(folder / "huge.ppm", "P6 65000 65000 255\nabc");
  const Outcome r = run({"ocr", (folder / "huge.ppm").string()});
  EXPECT_TRUE(r.status == 4 || r.status == 6) << r.status;
  EXPECT_THAT(r.err, HasSubstr("65000"));
}

TEST(Hostile, TruncatedAndRandomPicturesAreInputErrors) {
  TemporaryFolder folder;
  const std::string png = read_file(MTMD_TEST_DATA "/receipt.png");
  for (const std::size_t n : {0u, 1u, 8u, 33u, 200u}) {
    write_file(folder / "cut.png", png.substr(0, n));
    EXPECT_EQ(run({"ocr", (folder / "cut.png").string()}).status, 4) << n;
  }
  std::mt19937 random(5);
  std::string noise(5000, ' ');
  for (char& c : noise) c = static_cast<char>(random());
  write_file(folder / "noise", noise);
  EXPECT_EQ(run({"ocr", (folder / "noise").string()}).status, 4);
  EXPECT_EQ(run({"ocr", "-"}, {.input = noise}).status, 4);
}

TEST(Hostile, BadTemplatesAndPrompts) {
  const Outcome broken = run({"ocr", "--chat-template", "{% for x in %}", kLine});
  EXPECT_EQ(broken.status, 5);
  EXPECT_THAT(broken.err, HasSubstr("line 1"));
  EXPECT_EQ(run({"ocr", "--chat-template", "no-such-template", kLine}).status, 2);
  expect_documented(
      run({"run", "-m", kModel, "--chat-template", "{% for i in range(100000000) %}xxxxxxxxxx{% endfor %}", "-p", "x"}),
      "endless template");
  expect_documented(
      run({"run", "-m", kModel, "-n", "3", "--file", "-"}, {.input = std::string("\xff\xfe\x00\x80<__media__", 14)}),
      "bytes as prompt");
  EXPECT_EQ(run({"run", "-m", kModel, "-p", "<__media__>"}).status, 2);
}

TEST(Hostile, NoiseAsAPictureGivesNoEndlessAnswer) {
  TemporaryFolder folder;
  std::mt19937 random(9);
  std::string pixels(3 * 300 * 200, ' ');
  for (char& c : pixels) c = static_cast<char>(random());
  write_file(folder / "noise.ppm", "P6 300 200 255\n" + pixels);
  const Outcome r = run({"ocr", (folder / "noise.ppm").string()});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_LT(r.out.size(), 20000u);
}

}  // namespace
}  // namespace mtmd::test
