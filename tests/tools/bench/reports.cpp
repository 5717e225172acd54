// Tables, data, comparisons and charts of made-up results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/compare.h"
#include "bench/interleave.h"
#include "bench/plot.h"
#include "bench/report.h"
#include "engine/base/error.h"
#include "tools/process.h"

namespace mtmd::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Result result(int prompt, int generate, int depth, std::vector<double> seconds) {
  Result r;
  r.model_filename = "/models/a.gguf";
  r.model_type = "llama";
  r.weight_types = "Q8_0 100 %";
  r.model_size = 1 << 20;
  r.model_n_params = 1000000;
  r.isa = "avx2";
  r.type_k = r.type_v = "f16";
  r.n_threads = 2, r.n_batch = 2048, r.n_ubatch = 512;
  r.n_prompt = prompt, r.n_gen = generate, r.n_depth = depth;
  r.test = prompt > 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(generate);
  r.amount = prompt + generate;
  r.samples.seconds = std::move(seconds);
  return r;
}

Json record(const Result& r) { return to_json(Machine{.cpu = "A \"B\" C", .isa = "avx2", .kernel = "Linux", .commit = "abc"}, r); }

TEST(BenchReport, JsonHasTheKeysOfLlamaBench) {
  const Json j = record(result(100, 0, 0, {1, 2, 4}));
  for (const char* key : {"build_commit", "cpu_info", "backends", "model_filename", "model_type", "model_size", "model_n_params", "n_batch", "n_ubatch",
                          "n_threads", "type_k", "type_v", "n_gpu_layers", "flash_attn", "use_mmap", "n_prompt", "n_gen", "n_depth", "test_time",
                          "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts"})
    EXPECT_TRUE(j.contains(key)) << key;
  EXPECT_EQ(j["schema"], 1);
  EXPECT_EQ(j["median_ns"], 2000000000);
  EXPECT_DOUBLE_EQ(j["median_ts"], 50);
  EXPECT_EQ(j["samples_ns"], (Json{1000000000, 2000000000, 4000000000}));
  EXPECT_TRUE(j["energy_joules"].is_null());
}

TEST(BenchReport, TablesShowWhatDiffers) {
  std::vector<Result> list = {result(100, 0, 0, {1, 1, 1}), result(0, 10, 0, {1, 1, 1})};
  std::string text = markdown(list);
  EXPECT_THAT(text, HasSubstr("| model | size | params | backend | threads | test | t/s |"));
  EXPECT_THAT(text, HasSubstr("| pp100 | 100.00 ± 0.00 |"));
  EXPECT_THAT(text, Not(HasSubstr("n_ubatch")));
  list[1].n_ubatch = 64;
  EXPECT_THAT(markdown(list), HasSubstr("n_ubatch"));
}

TEST(BenchReport, CsvIsQuotedAndRectangular) {
  const std::vector<Json> records = {record(result(100, 0, 0, {1, 1, 1})), record(result(0, 10, 0, {1, 1, 1}))};
  const std::string text = csv(records);
  EXPECT_THAT(text, HasSubstr("\"A \"\"B\"\" C\""));
  const auto commas_outside = [](std::string_view line) {
    bool inside = false;
    int n = 0;
    for (const char c : line) {
      if (c == '"') inside = !inside;
      n += c == ',' && !inside;
    }
    return n;
  };
  std::vector<int> counts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    counts.push_back(commas_outside(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  ASSERT_EQ(counts.size(), 3u);
  EXPECT_EQ(counts[0], counts[1]);
  EXPECT_EQ(counts[0], counts[2]);
}

TEST(BenchReport, RecordsComeBackFromBothFormats) {
  const test::TemporaryFolder folder;
  const std::vector<Json> records = {record(result(100, 0, 0, {1, 2})), record(result(0, 10, 0, {1, 2}))};
  test::write_file(folder / "a.json", json_list(records));
  test::write_file(folder / "a.jsonl", jsonl(records));
  EXPECT_EQ(read_records(folder / "a.json"), records);
  EXPECT_EQ(read_records(folder / "a.jsonl"), records);
  for (const char* bad : {"", "[]", "{", "[1]", "{\"samples_ts\":[]}", "{\"samples_ts\":[0]}", "{\"samples_ts\":[\"x\"]}"}) {
    test::write_file(folder / "bad.json", bad);
    EXPECT_THROW(read_records(folder / "bad.json"), Error) << bad;
  }
  EXPECT_THROW(read_records(folder / "none.json"), Error);
  EXPECT_THROW(read_records(folder.path()), Error);
}

TEST(BenchCompare, PairsWhatMeasuredTheSame) {
  Result moved = result(100, 0, 0, {0.5, 0.51, 0.49, 0.5, 0.5});
  moved.model_filename = "/elsewhere/a.gguf";
  moved.isa = "avx512";
  const std::vector<Json> first = {record(result(100, 0, 0, {1, 1.01, 0.99, 1, 1})), record(result(0, 10, 0, {1, 1, 1}))};
  const std::vector<Json> second = {record(moved), record(result(0, 20, 0, {1, 1, 1}))};
  const auto list = compare(first, second);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_NEAR(list[0].ratio.value, 2, 1e-9);
  EXPECT_EQ(list[0].verdict, Verdict::faster);
  EXPECT_FALSE(any_slower(list));
  EXPECT_TRUE(any_slower(compare(second, std::span(first).first(1))));
  EXPECT_THAT(markdown(list, "then", "now"), HasSubstr("faster"));
  EXPECT_THROW(compare(first, std::span(second).subspan(1)), Error);
  EXPECT_THAT(markdown(std::vector{compare_pairs("x", std::vector<double>{1}, std::vector<double>{2})}, "a", "b"), HasSubstr("too few samples"));
}

TEST(BenchInterleave, SettingsReplaceSharedArguments) {
  const Side side = make_side("mtmd", {"bench", "--threads", "2", "--model", "a"}, "threads=1 MTMD_ISA=avx2 isa=base");
  EXPECT_EQ(side.program, "mtmd");
  EXPECT_THAT(side.arguments, ElementsAre("bench", "--threads", "1", "--model", "a", "--isa", "base"));
  EXPECT_THAT(side.environment, ElementsAre("MTMD_ISA=avx2"));
  EXPECT_EQ(make_side("mtmd", {}, "program=old/mtmd").program, "old/mtmd");
  EXPECT_TRUE(make_side("mtmd", {}, "").arguments.empty());
  EXPECT_THROW(make_side("mtmd", {}, "-t 1"), Error);
  EXPECT_THROW(make_side("mtmd", {}, "=1"), Error);
}

/// Elements are closed in the order in which they were opened, attributes are quoted, no stray markup in texts.
void expect_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < xml.size();) {
    const std::size_t begin = xml.find('<', at);
    const std::string_view between = std::string_view(xml).substr(at, begin - at);
    EXPECT_EQ(between.find('>'), between.npos) << between;
    for (std::size_t amp = between.find('&'); amp != between.npos; amp = between.find('&', amp + 1))
      EXPECT_NE(between.find(';', amp), between.npos) << between;
    if (begin == xml.npos) break;
    const std::size_t end = xml.find('>', begin);
    ASSERT_NE(end, xml.npos);
    const std::string tag = xml.substr(begin + 1, end - begin - 1);
    EXPECT_EQ(std::ranges::count(tag, '"') % 2, 0) << tag;
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = end + 1;
  }
  EXPECT_TRUE(open.empty());
}

TEST(BenchPlot, WellFormedWithAxesAndLegend) {
  std::vector<Result> list;
  for (const int depth : {0, 1024, 4096})
    for (const int threads : {1, 2}) {
      Result r = result(0, 32, depth, {1.0 / threads, 1.1 / threads, 0.9 / threads});
      r.n_threads = threads;
      r.model_filename = "a<b>&\"c\".gguf";
      list.push_back(r);
    }
  const std::string svg = plot(list, "T < U & V");
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("tokens in the cache beforehand"));
  EXPECT_THAT(svg, HasSubstr("tokens per second"));
  EXPECT_THAT(svg, HasSubstr("threads 2"));
  EXPECT_THAT(svg, HasSubstr("T &lt; U &amp; V"));
  const std::string bars = plot(std::vector{result(100, 0, 0, {1, 1, 1}), result(0, 10, 0, {1, 1, 1})}, "bars");
  expect_well_formed(bars);
  EXPECT_THAT(bars, HasSubstr("<rect"));
  EXPECT_THAT(bars, HasSubstr("pp100"));
}

TEST(BenchPlot, TicksAreRoundAndReachTheTop) {
  for (const double highest : {0.0, 0.003, 1.0, 7.3, 99.0, 100.0, 1234.0, 5e9}) {
    const auto t = ticks(highest);
    EXPECT_EQ(t.front(), 0);
    EXPECT_GE(t.back(), highest);
    EXPECT_LE(t.size(), 10u) << highest;
    EXPECT_GE(t.size(), 4u) << highest;
  }
}

}  // namespace
}  // namespace mtmd::bench
