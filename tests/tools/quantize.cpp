// mtmd quantize as a user types it: arguments, results, and everything that can go wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/gguf/gguf.h"
#include "engine/gguf/writer.h"
#include "engine/quant/quant.h"
#include "tools/process.h"

namespace mtmd::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

/// A little llama of f16 matrices; `damage` puts a NaN into a tensor.
void write_model(const fs::path& path, int n_layer = 2, std::int64_t width = 256, bool damage = false,
                 DType type = DType::F16) {
  gguf::Writer w;
  w.set("general.architecture", "llama");
  w.set("llama.block_count", static_cast<std::uint32_t>(n_layer));
  w.set("llama.attention.head_count", std::uint32_t{4});
  w.set("llama.attention.head_count_kv", std::uint32_t{4});
  std::mt19937 random(1);
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    std::vector<float> values(static_cast<std::size_t>(rows * columns));
    for (float& v : values) v = static_cast<float>(random() % 2001) / 1000 - 1;
    if (damage && name == "blk.0.ffn_up.weight") values[static_cast<std::size_t>(2 * columns + 7)] = NAN;
    std::vector<std::byte> bytes(row_bytes(type, rows * columns));
    quant::find(type)->encode(values.data(), bytes.data(), rows * columns, nullptr, quant::Effort::standard);
    w.add_tensor(name, type, {rows, columns}, [bytes](const gguf::Writer::Sink& sink) { sink(bytes); });
  };
  add("token_embd.weight", 64, width);
  add("output.weight", 64, width);
  for (int i = 0; i < n_layer; ++i)
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      add("blk." + std::to_string(i) + "." + name + ".weight", width, width);
  w.write(path);
}

std::vector<std::string> names_in(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(folder.path())) names.push_back(e.path().filename().string());
  return names;
}

class Quantize : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Outcome quantize(std::vector<std::string> arguments, const RunOptions& options = {}) const {
    arguments.insert(arguments.begin(), "quantize");
    return run(arguments, options);
  }
  /// It fails with this status and says this; nothing is left behind but `in.gguf` and `others`.
  void expect_failure(const std::vector<std::string>& arguments, int status, const std::string& says) const {
    const auto before = names_in(folder_);
    const Outcome r = quantize(arguments);
    EXPECT_EQ(r.status, status) << r.err;
    EXPECT_THAT(r.err, HasSubstr(says));
    EXPECT_THAT(names_in(folder_), testing::UnorderedElementsAreArray(before));
  }
  TemporaryFolder folder_;
};

TEST_F(Quantize, TheFormsOfTheCommand) {
  write_model(path("in.gguf"));
  EXPECT_EQ(quantize({path("in.gguf"), path("out.gguf"), "Q4_K_M", "2"}).status, 0);
  EXPECT_EQ(gguf::File::open(path("out.gguf")).metadata().require<std::uint32_t>("general.file_type"), 15u);
  EXPECT_EQ(quantize({path("in.gguf"), "q8_0"}).status, 0);
  EXPECT_TRUE(fs::exists(path("ggml-model-Q8_0.gguf")));
  EXPECT_EQ(quantize({path("in.gguf"), "2", "1"}).status, 0);  // type 2 on one thread
  EXPECT_TRUE(fs::exists(path("ggml-model-Q4_0.gguf")));
  const Outcome three = quantize({path("in.gguf"), path("x-{type}.gguf"), "Q8_0,q5_0,Q6_K", "--json"});
  EXPECT_EQ(three.status, 0) << three.err;
  EXPECT_EQ(json::parse(three.out).size(), 3u);
  for (const char* name : {"x-Q8_0.gguf", "x-Q5_0.gguf", "x-Q6_K.gguf"}) EXPECT_TRUE(fs::exists(path(name))) << name;
  EXPECT_EQ(quantize({path("in.gguf"), path("y.gguf"), "Q8_0,Q4_0"}).status, 0);
  EXPECT_TRUE(fs::exists(path("y-Q8_0.gguf")));
  EXPECT_EQ(read_file(path("x-Q8_0.gguf")), read_file(path("y-Q8_0.gguf")));
}

TEST_F(Quantize, ManyModelsOneOfThemBad) {
  fs::create_directory(path("in"));
  write_model(path("in/a-f16.gguf"));
  write_model(path("in/b.F16.gguf"), 1);
  write_file(path("in/c.gguf"), "no model");
  const Outcome r = quantize({path("in/*.gguf"), "Q4_0", "--out-dir", path("out"), "--json"});
  EXPECT_EQ(r.status, 3) << r.err;
  EXPECT_THAT(r.err, HasSubstr("c.gguf"));
  EXPECT_TRUE(fs::exists(path("out/a-Q4_0.gguf")));
  EXPECT_TRUE(fs::exists(path("out/b-Q4_0.gguf")));
  EXPECT_EQ(json::parse(r.out).size(), 3u);
  write_file(path("list"), path("in/a-f16.gguf") + "\n");
  EXPECT_EQ(quantize({"--files-from", path("list"), "Q8_0", "--out-dir", path("out")}).status, 0);
  const Outcome again = quantize({"--files-from", path("list"), "Q8_0", "--out-dir", path("out"), "--skip-existing"});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("skipped"));
  EXPECT_EQ(quantize({"--files-from", path("list"), "Q8_0", "--out-dir", path("out")}).status, 8);
  EXPECT_EQ(quantize({"--files-from", path("list"), "Q8_0", "--out-dir", path("out"), "--force"}).status, 0);
}

TEST_F(Quantize, ThePlanShowsWhatWillBe) {
  write_model(path("in.gguf"), 2, 96);
  const Outcome r = quantize({path("in.gguf"), path("out.gguf"), "Q4_K_M,Q8_0", "--dry-run", "--json"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(names_in(folder_), UnorderedElementsAre("in.gguf"));
  const json plans = json::parse(r.out);
  ASSERT_EQ(plans.size(), 2u);
  const json& p = plans[0];
  EXPECT_EQ(p["type"], "Q4_K_M");
  EXPECT_EQ(p["tensors"].size(), 16u);
  EXPECT_EQ(p["tensors"][0]["name"], "output.weight");
  std::uint64_t sum = 0;
  for (const json& t : p["tensors"]) sum += t["bytes"].get<std::uint64_t>();
  EXPECT_EQ(sum, p["bytes"].get<std::uint64_t>());
  EXPECT_EQ(p["tensors"][2]["why"], "fallback");
  EXPECT_EQ(p["tensors"][2]["instead_of"], "Q4_K");
  EXPECT_GT(p["memory_bytes"].get<std::uint64_t>(), 0u);
  EXPECT_GT(p["estimated_seconds"].get<double>(), 0);
  EXPECT_EQ(quantize({path("in.gguf"), path("out.gguf"), "Q4_K_M"}).status, 0);
  EXPECT_EQ(fs::file_size(path("out.gguf")), p["file_bytes"].get<std::uint64_t>());
  EXPECT_THAT(quantize({path("in.gguf"), "Q4_K_M", "--dry-run"}).out, HasSubstr("bits per weight"));
}

TEST_F(Quantize, ProvenanceCanBeLeftOut) {
  write_model(path("in.gguf"));
  EXPECT_EQ(quantize({path("in.gguf"), path("a.gguf"), "Q8_0"}).status, 0);
  EXPECT_EQ(quantize({path("in.gguf"), path("b.gguf"), "Q8_0", "--no-provenance"}).status, 0);
  const gguf::File a = gguf::File::open(path("a.gguf")), b = gguf::File::open(path("b.gguf"));
  EXPECT_EQ(a.metadata().require<std::vector<std::string_view>>("mtmd.quantize.source_sha256").at(0).size(), 64u);
  for (const auto& e : b.metadata().entries()) EXPECT_THAT(std::string(e.key), Not(HasSubstr("mtmd")));
}

TEST_F(Quantize, ProgressAsLinesAndJson) {
  write_model(path("in.gguf"));
  EXPECT_THAT(quantize({path("in.gguf"), path("a.gguf"), "Q8_0", "--progress", "plain"}).err, HasSubstr("100 %"));
  const Outcome r = quantize({path("in.gguf"), path("b.gguf"), "Q8_0", "--progress", "json"});
  EXPECT_THAT(r.err, HasSubstr("\"seconds_left\""));
  EXPECT_EQ(r.out, "");
}

TEST_F(Quantize, WrongUseIsExplained) {
  write_model(path("in.gguf"));
  expect_failure({}, 2, "IN [OUT] TYPE");
  expect_failure({path("in.gguf")}, 2, "IN [OUT] TYPE");
  expect_failure({path("in.gguf"), "Q4_KM"}, 2, "did you mean Q4_K_M");
  expect_failure({path("in.gguf"), path("o.gguf"), "Q4_K_M,Q9"}, 2, "unknown type 'Q9'");
  expect_failure({path("in.gguf"), "a", "b", "Q8_0"}, 2, "--out-dir");
  expect_failure({path("in.gguf"), "Q8_0", "--tensor-type", "ffn=q4_km"}, 2, "did you mean");
  expect_failure({path("in.gguf"), "Q8_0", "--tensor-type", "ffn("}, 2, "REGEX=TYPE");
  expect_failure({path("in.gguf"), "Q8_0", "--tensor-type", "ffn(=q4_k"}, 2, "regular expression");
  expect_failure({path("in.gguf"), "Q8_0", "--override-kv", "x"}, 2, "KEY=TYPE:VALUE");
  expect_failure({path("in.gguf"), "Q8_0", "--prune-layers", "1,x"}, 2, "expected numbers");
  expect_failure({path("in.gguf"), "Q8_0", "--prune-layers", "7"}, 2, "no layer 7");
  expect_failure({path("in.gguf"), "Q8_0", "--max-memory", "2X"}, 2, "expected a size");
  expect_failure({path("in.gguf"), "Q8_0", "--max-memory", "4K"}, 6, "at least");
  expect_failure({path("in.gguf"), "Q8_0", "--include-weights", "x"}, 2, "--imatrix");
  expect_failure({path("in.gguf"), "IQ2_XS"}, 2, "importance matrix");
  expect_failure({path("in.gguf"), "-", "Q8_0", "--out-dir", path("x")}, 2, "stdin");
}

TEST_F(Quantize, BadSourcesAreRefused) {
  write_model(path("f16.gguf"));
  ASSERT_EQ(quantize({path("f16.gguf"), path("q8.gguf"), "Q8_0"}).status, 0);
  expect_failure({path("q8.gguf"), path("q4.gguf"), "Q4_0"}, 2, "--allow-requantize");
  expect_failure({path("missing.gguf"), path("o.gguf"), "Q4_0"}, 4, "missing.gguf");
  expect_failure({folder_.path().string(), path("o.gguf"), "Q4_0"}, 4, "");
  write_model(path("nan.gguf"), 1, 256, true);
  expect_failure({path("nan.gguf"), path("o.gguf"), "Q4_0"}, 5, "blk.0.ffn_up.weight: value 7 of row 2 is NaN");
  write_file(path("empty.gguf"), "");
  expect_failure({path("empty.gguf"), path("o.gguf"), "Q4_0"}, 5, "empty.gguf");
  EXPECT_EQ(quantize({path("q8.gguf"), path("again.gguf"), "Q4_0", "--allow-requantize"}).status, 0);
}

TEST_F(Quantize, TheSourceIsNeverOverwritten) {
  write_model(path("in.gguf"));
  const std::string before = read_file(path("in.gguf"));
  fs::create_symlink(path("in.gguf"), path("soft.gguf"));
  fs::create_hard_link(path("in.gguf"), path("hard.gguf"));
  for (const char* name : {"in.gguf", "soft.gguf", "hard.gguf"})
    for (const bool force : {false, true}) {
      std::vector<std::string> arguments = {path("in.gguf"), path(name), "Q4_0"};
      if (force) arguments.push_back("--force");
      expect_failure(arguments, 2, "is the source itself");
    }
  EXPECT_EQ(read_file(path("in.gguf")), before);
}

TEST_F(Quantize, ImportanceOfAnotherModel) {
  write_model(path("in.gguf"));
  const auto matrix = [&](const std::string& name, const std::string& tensor, std::int64_t n) {
    gguf::Writer w;
    w.set("general.type", "imatrix");
    const std::vector<std::string> sets = {"text"};
    w.set("imatrix.datasets", std::span<const std::string>(sets));
    w.set("imatrix.chunk_count", std::uint32_t{1});
    w.set("imatrix.chunk_size", std::uint32_t{512});
    const std::vector<float> sums(static_cast<std::size_t>(n), 1.0f), counts = {1.0f};
    w.add_tensor(tensor + ".in_sum2", DType::F32, {1, n}, std::as_bytes(std::span(sums)));
    w.add_tensor(tensor + ".counts", DType::F32, {1, 1}, std::as_bytes(std::span(counts)));
    w.write(path(name));
  };
  matrix("good", "blk.0.ffn_up.weight", 256);
  matrix("long", "blk.0.ffn_up.weight", 512);
  matrix("other", "decoder.7.up", 256);
  const Outcome r = quantize({path("in.gguf"), path("o.gguf"), "Q4_0", "--imatrix", path("good")});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("nothing for"));  // coverage
  expect_failure({path("in.gguf"), path("p.gguf"), "Q4_0", "--imatrix", path("long")}, 4, "another model");
  expect_failure({path("in.gguf"), path("p.gguf"), "Q4_0", "--imatrix", path("other")}, 4, "none of its 1 entries");
  expect_failure({path("in.gguf"), path("p.gguf"), "Q4_0", "--imatrix", path("in.gguf")}, 4, "in.gguf");
}

TEST_F(Quantize, ReadOnlyPlacesAndDevices) {
  write_model(path("in.gguf"));
  expect_failure({path("in.gguf"), "/proc/o.gguf", "Q4_0"}, 8, "/proc/o.gguf");
  expect_failure({path("in.gguf"), path("no/such/folder/o.gguf"), "Q4_0"}, 8, "cannot create");
  expect_failure({path("in.gguf"), "/dev/null", "Q4_0"}, 8, "not a regular file");
}

/// Files can grow to `bytes` only, as on a disk that is nearly full.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileLimit() { ::setrlimit(RLIMIT_FSIZE, &old_); }

 private:
  rlimit old_{};
};

TEST_F(Quantize, ADiskThatFillsUp) {
  write_model(path("in.gguf"), 4);
  const std::string before = read_file(path("in.gguf"));
  {
    const FileLimit limit(600'000);
    const Outcome r = quantize({path("in.gguf"), path("out.gguf"), "Q8_0"});
    EXPECT_EQ(r.status, 8) << r.err;
    EXPECT_THAT(r.err, HasSubstr("--resume"));
    EXPECT_FALSE(fs::exists(path("out.gguf")));
  }
  EXPECT_EQ(read_file(path("in.gguf")), before);
  const Outcome resumed = quantize({path("in.gguf"), path("out.gguf"), "Q8_0", "--resume"});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("were there already"));
  EXPECT_EQ(quantize({path("in.gguf"), path("whole.gguf"), "Q8_0"}).status, 0);
  EXPECT_EQ(read_file(path("out.gguf")), read_file(path("whole.gguf")));
}

TEST_F(Quantize, KilledAndResumed) {
  write_model(path("in.gguf"), 6, 1024);
  const std::vector<std::string> command = {path("in.gguf"), path("out.gguf"), "Q3_K_M", "2"};
  int killed = 0;
  for (int delay = 30; delay < 2000 && !fs::exists(path("out.gguf")); delay *= 2) {
    std::vector<std::string> arguments = command;
    if (killed > 0) arguments.push_back("--resume");
    const Outcome r =
        quantize(arguments, {.kill_after_ms = delay, .signal = SIGKILL, .wait_for = path("out.gguf.part.journal")});
    if (r.status == 128 + SIGKILL) ++killed;
  }
  EXPECT_GT(killed, 0);
  if (!fs::exists(path("out.gguf"))) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--resume");
    const Outcome r = quantize(arguments);
    EXPECT_EQ(r.status, 0) << r.err;
  }
  EXPECT_EQ(quantize({path("in.gguf"), path("whole.gguf"), "Q3_K_M"}).status, 0);
  EXPECT_EQ(read_file(path("out.gguf")), read_file(path("whole.gguf")));
  EXPECT_THAT(names_in(folder_), UnorderedElementsAre("in.gguf", "out.gguf", "whole.gguf"));
}

TEST_F(Quantize, InterruptedInOrder) {
  write_model(path("in.gguf"), 8, 1024);
  const Outcome r = quantize({path("in.gguf"), path("out.gguf"), "Q3_K_M", "1"},
                             {.kill_after_ms = 20, .signal = SIGTERM, .wait_for = path("out.gguf.part.journal")});
  EXPECT_EQ(r.status, 143) << r.err;
  EXPECT_FALSE(fs::exists(path("out.gguf")));
  EXPECT_THAT(r.err, HasSubstr("--resume"));
}

TEST_F(Quantize, EncodersAreTriedAfterwards) {
  const std::string mmproj = std::string(MTMD_MODELS) + "/mmproj-line-reader.gguf";
  const gguf::File source = gguf::File::open(mmproj);
  const Outcome r = quantize({mmproj, path("q8.gguf"), "Q8_0", "--allow-requantize"});
  ASSERT_EQ(r.status, 0) << r.err;
  const Outcome read = run({"ocr", "--mmproj", path("q8.gguf"), "-m", std::string(MTMD_MODELS) + "/line-reader.gguf",
                            std::string(MTMD_TEST_DATA) + "/line.ppm"});
  EXPECT_EQ(read.status, 0) << read.err;
  EXPECT_THAT(read.out, Not(testing::IsEmpty()));
  // One that cannot be loaded: a tensor that its encoder needs is missing.
  gguf::Writer w;
  for (const auto& e : source.metadata().entries()) w.set(std::string(e.key), e.value);
  for (const gguf::TensorInfo& t : source.tensors())
    if (t.name != "v.patch_embd.weight") w.add_tensor(std::string(t.name), t.type, t.shape, t.data);
  w.write(path("cut.gguf"));
  expect_failure({path("cut.gguf"), path("x.gguf"), "Q8_0", "--allow-requantize"}, 5, "");
}

TEST_F(Quantize, HostileHeadersNeverCrash) {
  write_model(path("in.gguf"), 1);
  const std::string whole = read_file(path("in.gguf"));
  std::mt19937 random(3);
  for (int i = 0; i < 40; ++i) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k) bytes[random() % 1500] ^= static_cast<char>(1u << (random() % 8));
    write_file(path("flip.gguf"), bytes);
    const Outcome r = quantize({path("flip.gguf"), path("o.gguf"), "Q4_K_M", "--force"});
    EXPECT_TRUE(r.status == 0 || r.status == 2 || r.status == 4 || r.status == 5) << i << ": " << r.status << r.err;
    EXPECT_FALSE(fs::exists(path("o.gguf.part"))) << i;
  }
}

}  // namespace
}  // namespace mtmd::test
