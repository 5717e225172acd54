// Ranges, statistics against known values, what the machine tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "bench/ceilings.h"
#include "bench/encoder_runner.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/ranges.h"
#include "bench/statistics.h"
#include "engine/base/error.h"
#include "tools/process.h"

namespace mtmd::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ErrorCategory category_of(std::string_view text) {
  try {
    parse_counts(text, "-p", 1);
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("-p"));
    return e.category();
  }
  ADD_FAILURE() << text << " was taken";
  return ErrorCategory::internal;
}

TEST(BenchMedia, TheWorstRowCounts) {
  const std::vector<float> a = {1, 0, 0, 2}, turned = {3, 0, 1, 1}, opposite = {1, 0, 0, -1};
  EXPECT_DOUBLE_EQ(worst_cosine(a, a, 2), 1);
  EXPECT_DOUBLE_EQ(worst_cosine(a, turned, 2), 1 / std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(worst_cosine(a, opposite, 2), -1);
  EXPECT_DOUBLE_EQ(worst_cosine({}, {}, 0), 1);
}

TEST(BenchRanges, ListsAndRangesOfLlamaBench) {
  EXPECT_THAT(parse_counts("512", "-p"), ElementsAre(512));
  EXPECT_THAT(parse_counts("256,0,512", "-p"), ElementsAre(256, 0, 512));
  EXPECT_THAT(parse_counts("256-1024*2", "-p"), ElementsAre(256, 512, 1024));
  EXPECT_THAT(parse_counts("1-8+3", "-p"), ElementsAre(1, 4, 7));
  EXPECT_THAT(parse_counts("1-3", "-p"), ElementsAre(1, 2, 3));
  EXPECT_THAT(parse_counts("1-2,8", "-p"), ElementsAre(1, 2, 8));
  EXPECT_THAT(parse_counts("2147483647", "-p"), ElementsAre(2147483647));
  EXPECT_THAT(parse_counts("1000000000-2147483647*2", "-p"), ElementsAre(1000000000, 2000000000));
}

TEST(BenchRanges, NonsenseIsAUsageError) {
  for (const char* text : {"", "x", "1,", ",1", "1-", "8-1", "1-8*1", "0-8*2", "1-8+0", "1-8/2", "-4", "2147483648", "1-5000", "0", "1 2"})
    EXPECT_EQ(category_of(text), ErrorCategory::usage) << text;
}

TEST(BenchRanges, Sizes) {
  const auto sizes = parse_sizes("512,1024x768", "--image");
  ASSERT_EQ(sizes.size(), 2u);
  EXPECT_EQ(sizes[0].width, 512);
  EXPECT_EQ(sizes[0].height, 512);
  EXPECT_EQ(sizes[1].width, 1024);
  EXPECT_EQ(sizes[1].height, 768);
  for (const char* text : {"0", "1024x", "x768", "1024x0", "99999", "4x4x4"}) EXPECT_THROW(parse_sizes(text, "--image"), Error) << text;
}

TEST(BenchStatistics, QuantilesMeanAndDeviation) {
  const std::vector<double> v = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(v, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(v, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(median(v), 2.5);
  EXPECT_DOUBLE_EQ(quantile(v, 1), 4);
  const std::vector<double> w = {2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(mean(w), 5);
  EXPECT_NEAR(deviation(w), 2.1380899, 1e-7);
  EXPECT_EQ(deviation(std::vector<double>{3}), 0);
}

// Ranks and coverage as in tables of the sign test.
TEST(BenchStatistics, IntervalOfTheMedianByRanks) {
  struct Row {
    int n, low, high;
    double confidence;
  };
  for (const Row& row : {Row{2, 1, 2, 0.5}, Row{5, 1, 5, 0.9375}, Row{6, 1, 6, 0.96875}, Row{9, 2, 8, 0.9609375}, Row{10, 2, 9, 0.978515625},
                         Row{15, 4, 12, 0.96484375}, Row{20, 6, 15, 0.958610535}}) {
    std::vector<double> values(static_cast<std::size_t>(row.n));
    std::iota(values.begin(), values.end(), 1.0);
    std::ranges::reverse(values);
    const Interval i = median_interval(values);
    EXPECT_EQ(i.low, row.low) << row.n;
    EXPECT_EQ(i.high, row.high) << row.n;
    EXPECT_NEAR(i.confidence, row.confidence, 1e-8) << row.n;
  }
  EXPECT_EQ(median_interval(std::vector<double>{7}).confidence, 0);
}

TEST(BenchStatistics, IntervalsCoverWhatTheyPromise) {
  std::mt19937 random(5);
  std::exponential_distribution<double> skewed(1);
  const double truth = std::log(2.0);
  int inside = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<double> v(11);
    for (double& x : v) x = skewed(random);
    const Interval i = median_interval(v);
    inside += i.low <= truth && truth <= i.high;
  }
  EXPECT_GT(inside, 2000 * 0.94);
}

TEST(BenchStatistics, FarOutliersOnly) {
  EXPECT_THAT(outliers(std::vector<double>{10, 11, 12, 11, 10, 40, 11}), ElementsAre(5));
  EXPECT_THAT(outliers(std::vector<double>{10, 11, 12, 13, 14, 15}), IsEmpty());
  EXPECT_THAT(outliers(std::vector<double>{1, 100}), IsEmpty());
}

TEST(BenchStatistics, VerdictsOnMadeUpSamples) {
  const std::vector<double> a = {100, 101, 99, 100, 102, 98, 100}, faster = {120, 121, 119, 120, 122, 118, 120},
                            same = {100, 99, 101, 100, 98, 102, 101}, hair = {100.4, 100.3, 100.5, 100.4, 100.4, 100.3, 100.5};
  EXPECT_EQ(verdict(ratio_of_medians(a, faster)), Verdict::faster);
  EXPECT_EQ(verdict(ratio_of_medians(faster, a)), Verdict::slower);
  EXPECT_EQ(verdict(ratio_of_medians(a, same)), Verdict::no_difference);
  EXPECT_EQ(verdict(ratio_of_medians(std::vector<double>(7, 100.0), hair)), Verdict::no_difference);  // below 1 %
  EXPECT_NEAR(ratio_of_medians(a, faster).value, 1.2, 1e-12);
  EXPECT_EQ(verdict(ratio_of_medians(std::vector<double>{100}, std::vector<double>{200})), Verdict::no_difference);
  // A drift that hits both sides alike disappears in pairs.
  const std::vector<double> drift = {100, 150, 80, 120, 60, 110}, better = {110, 165, 88, 132, 66, 121};
  EXPECT_EQ(verdict(ratio_of_pairs(drift, better)), Verdict::faster);
  EXPECT_EQ(verdict(ratio_of_medians(drift, better)), Verdict::no_difference);
}

TEST(BenchMeasure, WarmsUpUntilSteadyAndKeepsEverySample) {
  int calls = 0, prepared = 0;
  const auto ramp = [&] { return calls++ < 2 ? 10.0 / calls : 1.0; };
  const Samples s = measure({.repetitions = 4, .most_warmups = 10, .warmup_seconds = 100}, [&] { ++prepared; }, ramp);
  EXPECT_THAT(s.warmup, ElementsAre(10, 5, 1, 1));
  EXPECT_THAT(s.seconds, ElementsAre(1, 1, 1, 1));
  EXPECT_EQ(prepared, 8);
  EXPECT_EQ(s.conditions.ghz.size(), 5u);
  EXPECT_THAT(measure({.repetitions = 1, .most_warmups = 0}, [] {}, [] { return 2.0; }).warmup, IsEmpty());
}

TEST(BenchMachine, SaysWhereItRan) {
  const Machine m = machine_facts();
  EXPECT_FALSE(m.cpu.empty());
  EXPECT_FALSE(m.commit.empty());
  EXPECT_GE(m.cores, 1);
  EXPECT_GT(m.memory_bytes, 1u << 20);
  EXPECT_GT(m.ghz, 0);
  EXPECT_GT(peak_memory_bytes(), 1u << 20);
}

TEST(BenchMachine, EnergyOfPackagesAcrossAWrap) {
  const test::TemporaryFolder folder;
  const auto put = [&](const std::string& name, const char* label, const char* value) {
    std::filesystem::create_directories(folder / name);
    test::write_file(folder / (name + "/name"), label);
    test::write_file(folder / (name + "/energy_uj"), value);
    test::write_file(folder / (name + "/max_energy_range_uj"), "10000000");
  };
  put("intel-rapl:0", "package-0", "9000000");
  put("intel-rapl:1", "package-1", "1000000");
  put("intel-rapl:0:0", "core", "5");  // a part of a package: counted already
  Energy energy(folder.path());
  put("intel-rapl:0", "package-0", "1000000");
  put("intel-rapl:1", "package-1", "1500000");
  const auto joules = energy.joules();
  ASSERT_TRUE(joules.has_value());
  EXPECT_NEAR(*joules, 2.5, 1e-9);
  EXPECT_FALSE(Energy(folder / "nothing").joules().has_value());
}

TEST(BenchMachine, ComplaintsNameTheDisturbance) {
  Conditions c;
  c.ghz = {3.0, 2.5, 3.0};
  c.stolen = 0.1;
  c.others = 0.5;
  EXPECT_EQ(c.complaints().size(), 3u);
  c = {};
  c.ghz = {3.0, 2.95};
  EXPECT_THAT(c.complaints(), IsEmpty());
}

TEST(BenchCeilings, EveryInstructionSetHasSome) {
  ThreadPool pool(2);
  const auto list = all_ceilings(pool, {.seconds = 0.001, .samples = 1, .bytes = std::size_t{8} << 20});
  int memory = 0;
  for (const Ceiling& c : list) {
    EXPECT_GT(c.best, 0) << c.what << c.isa;
    EXPECT_GE(c.best * 1.0001, c.median) << c.what;
    EXPECT_FALSE(c.how.empty());
    memory += c.what == "memory read";
  }
  EXPECT_GE(memory, 1);
  EXPECT_THROW(dot_ceiling(pool, "int8 dot", {.isa = "z80"}), Error);
  const MemoryProbe probe(pool, std::size_t{8} << 20);
  EXPECT_GT(probe.rate(), 0);
}

}  // namespace
}  // namespace mtmd::bench
