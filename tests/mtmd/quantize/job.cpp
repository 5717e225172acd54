#include "mtmd/quantize/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "engine/quant/quant.h"
#include "mtmd/media/sha256.h"
#include "mtmd/quantize/models.h"

namespace mtmd::quantize::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

PlanOptions options(std::string_view type, bool provenance = false) {
  PlanOptions o;
  o.recipe.type = &file_type(type);
  o.provenance = provenance;
  return o;
}

template <class F>
std::pair<ErrorCategory, std::string> failure(F f) {
  try {
    f();
  } catch (const Error& e) {
    return {e.category(), e.what()};
  }
  return {ErrorCategory::internal, "nothing thrown"};
}

TEST(Job, EveryRowIsTheEncodersWhateverTheThreadsAndMemory) {
  const Shape shape{.n_layer = 2, .n_expert = 3, .ff = 512, .vocab = 700};
  const auto bytes = random_model(shape);
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  quality::ImportanceMatrix matrix;
  for (const Named& t : tensors_of(shape)) {
    if (t.shape.size() < 2) continue;
    const auto n = static_cast<std::size_t>(t.shape.size() == 3 ? t.shape[0] : 1);
    auto& e = matrix.entries[t.name];
    e.counts.assign(n, 1);
    for (std::size_t i = 0; i < n * static_cast<std::size_t>(t.shape.back()); ++i)
      e.sums.push_back(static_cast<float>(1 + i * 7 % 13));
  }
  const ImportanceWeights weights = importance_weights(matrix, "x");
  PlanOptions o = options("Q4_0");
  o.importance = &weights;
  const Plan plan = make_plan(file, o);
  const auto one = to_memory(file, plan, 1), three = to_memory(file, plan, 3);
  EXPECT_TRUE(one == three);
  const gguf::File result = gguf::File::from_memory(one, "result");
  for (const PlannedTensor& t : plan.tensors) {
    if (t.copied()) continue;
    std::vector<float> values(static_cast<std::size_t>(t.source->n_values()));
    quant::find(DType::F16)->decode(t.source->data.data(), values.data(), std::ssize(values));
    std::vector<std::byte> expected(t.bytes);
    const auto row = row_bytes(t.choice.type, t.columns());
    for (std::int64_t r = 0; r < t.rows(); ++r)
      quant::find(t.choice.type)
          ->encode(values.data() + r * t.columns(), expected.data() + static_cast<std::size_t>(r) * row, t.columns(),
                   t.importance.data() + r / t.rows_per_matrix() * t.columns(), quant::Effort::standard);
    EXPECT_TRUE(std::ranges::equal(result.find(t.name)->data, expected)) << t.name;
  }
}

TEST(Job, SeveralTypesInOnePassEqualSinglePasses) {
  Folder folder;
  write_model(folder / "in.gguf", {.n_layer = 3, .vocab = 900});
  const gguf::File file = gguf::File::open(folder / "in.gguf");
  const Plan a = make_plan(file, options("Q8_0", true)), b = make_plan(file, options("Q4_K_M", true)),
             c = make_plan(file, options("Q4_K_S", true));
  const Target all[] = {{&a, folder / "a.gguf"}, {&b, folder / "b.gguf"}, {&c, folder / "c.gguf"}};
  std::uint64_t last = 0, total = 0;
  const JobReport report = run_job(file, all, {.threads = 2, .progress = [&](std::uint64_t done, std::uint64_t of) {
                                                 EXPECT_LE(done, of);
                                                 last = done, total = of;
                                               }});
  EXPECT_EQ(last, total);
  EXPECT_EQ(report.written_bytes, a.file_bytes() + b.file_bytes() + c.file_bytes());
  for (const auto& [plan, name] : {std::pair{&a, "a"}, {&b, "b"}, {&c, "c"}}) {
    const Target single[] = {{plan, folder / (std::string(name) + "1.gguf")}};
    run_job(file, single, {.threads = 1});
    EXPECT_EQ(contents(folder / (std::string(name) + ".gguf")), contents(single[0].path)) << name;
    EXPECT_EQ(fs::file_size(single[0].path), plan->file_bytes());
  }
  EXPECT_THAT(folder.names(), ElementsAre("a.gguf", "a1.gguf", "b.gguf", "b1.gguf", "c.gguf", "c1.gguf", "in.gguf"));
}

TEST(Job, TheSourceIsNamedAndHashed) {
  Folder folder;
  write_model(folder / "in.gguf", {});
  const gguf::File file = gguf::File::open(folder / "in.gguf");
  const Plan plan = make_plan(file, options("Q8_0", true));
  const Target target[] = {{&plan, folder / "out.gguf"}};
  run_job(file, target);
  const gguf::File out = gguf::File::open(folder / "out.gguf");
  const std::string source = contents(folder / "in.gguf");
  EXPECT_EQ(out.metadata().require<std::vector<std::string_view>>("mtmd.quantize.source_sha256"),
            std::vector<std::string_view>{media::sha256_hex(std::as_bytes(std::span(source)))});
  EXPECT_EQ(out.metadata().require<std::string_view>("mtmd.quantize.source"), "in.gguf");
  EXPECT_EQ(out.metadata().require<std::string_view>("mtmd.quantize.recipe"), "Q8_0");
}

/// in.gguf in three parts.
void write_split(const Folder& folder) {
  const auto bytes = random_model({.n_layer = 3});
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  const auto& tensors = file.tensors();
  for (std::uint16_t part = 0; part < 3; ++part) {
    gguf::Writer w;
    if (part == 0)
      for (const auto& e : file.metadata().entries()) w.set(std::string(e.key), e.value);
    w.set("split.no", part);
    w.set("split.count", std::uint16_t{3});
    w.set("split.tensors.count", static_cast<std::int32_t>(tensors.size()));
    for (std::size_t i = part * tensors.size() / 3; i < (part + 1u) * tensors.size() / 3; ++i)
      w.add_tensor(std::string(tensors[i].name), tensors[i].type, tensors[i].shape, tensors[i].data);
    w.write(folder / fmt::format("in-0000{}-of-00003.gguf", part + 1));
  }
}

TEST(Job, SplitModelsAreJoinedOrKeptSplit) {
  Folder folder;
  write_split(folder);
  const gguf::File file = gguf::File::open(folder / "in-00001-of-00003.gguf");
  PlanOptions o = options("Q8_0", true);
  const Plan joined = make_plan(file, o);
  o.keep_split = true;
  const Plan split = make_plan(file, o);
  ASSERT_EQ(split.parts.size(), 3u);
  const Target both[] = {{&joined, folder / "one.gguf"}, {&split, folder / "out.gguf"}};
  run_job(file, both, {.threads = 2});
  const gguf::File one = gguf::File::open(folder / "one.gguf"),
                   three = gguf::File::open(folder / "out-00001-of-00003.gguf");
  EXPECT_FALSE(one.metadata().has("split.count"));
  EXPECT_EQ(three.paths().size(), 3u);
  ASSERT_EQ(one.tensors().size(), three.tensors().size());
  for (const gguf::TensorInfo& t : one.tensors()) {
    EXPECT_TRUE(std::ranges::equal(t.data, three.find(t.name)->data)) << t.name;
    EXPECT_EQ(three.find(t.name)->file, file.find(t.name)->file) << t.name;
  }
  EXPECT_EQ(one.metadata().require<std::vector<std::string_view>>("mtmd.quantize.source_sha256").size(), 3u);
}

/// A model whose tensor blk.0.ffn_up.weight has `bad` as value 5 of row 3.
void write_damaged(const fs::path& path, DType type, float bad) {
  gguf::Writer w;
  w.set("general.architecture", "llama");
  std::vector<float> values(256 * 8, 0.5f);
  values[3 * 256 + 5] = bad;
  std::vector<std::byte> bytes(row_bytes(type, std::ssize(values)));
  quant::find(type)->encode(values.data(), bytes.data(), std::ssize(values), nullptr, quant::Effort::standard);
  w.add_tensor("blk.0.ffn_up.weight", type, {8, 256}, bytes);
  w.write(path);
}

TEST(Job, ValuesThatCannotBeStoredAreNamed) {
  Folder folder;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()})
    for (const DType type : {DType::F32, DType::F16, DType::BF16})
      for (const char* to : {"Q4_K_M", "Q8_0", "Q4_1", "F16"}) {
        write_damaged(folder / "in.gguf", type, bad);
        const gguf::File file = gguf::File::open(folder / "in.gguf");
        const Plan plan = make_plan(file, options(to));
        const Target target[] = {{&plan, folder / "out.gguf"}};
        const auto [category, message] = failure([&] { run_job(file, target, {.threads = 2}); });
        EXPECT_EQ(category, ErrorCategory::model);
        EXPECT_THAT(message, HasSubstr("blk.0.ffn_up.weight: value 5 of row 3 is"));
        EXPECT_THAT(folder.names(), ElementsAre("in.gguf"));
      }
  write_damaged(folder / "in.gguf", DType::F32, 1e30f);  // finite, but no half-precision scale holds it
  const gguf::File file = gguf::File::open(folder / "in.gguf");
  for (const char* to : {"Q4_0", "Q8_0", "F16", "Q4_K_M", "Q6_K"}) {
    const Plan plan = make_plan(file, options(to));
    const Target target[] = {{&plan, folder / "out.gguf"}};
    const auto [category, message] = failure([&] { run_job(file, target); });
    EXPECT_EQ(category, ErrorCategory::model) << to;
    EXPECT_THAT(message, HasSubstr("row 3 has values too large for")) << to;
  }
}

TEST(Job, ASourceThatIsCutWhileItIsReadIsAnInputError) {
  Folder folder;
  write_model(folder / "in.gguf", {.n_layer = 4});
  const std::string before = contents(folder / "in.gguf");
  const gguf::File file = gguf::File::open(folder / "in.gguf");
  const Plan plan = make_plan(file, options("Q4_0"));
  fs::resize_file(folder / "in.gguf", before.size() / 2);
  const Target target[] = {{&plan, folder / "out.gguf"}};
  const auto [category, message] = failure([&] { run_job(file, target, {.threads = 2}); });
  EXPECT_EQ(category, ErrorCategory::input);
  EXPECT_THAT(message, HasSubstr("cut while it was read"));
  EXPECT_FALSE(fs::exists(folder / "out.gguf"));
}

TEST(Job, TheSourceIsNeverATarget) {
  Folder folder;
  write_model(folder / "in.gguf", {});
  const std::string before = contents(folder / "in.gguf");
  fs::create_symlink(folder / "in.gguf", folder / "soft.gguf");
  fs::create_hard_link(folder / "in.gguf", folder / "hard.gguf");
  const gguf::File file = gguf::File::open(folder / "in.gguf");
  const Plan plan = make_plan(file, options("Q4_0"));
  for (const char* name : {"in.gguf", "soft.gguf", "hard.gguf", "./in.gguf"}) {
    const Target target[] = {{&plan, folder / name}};
    EXPECT_EQ(failure([&] { run_job(file, target); }).first, ErrorCategory::usage) << name;
  }
  const Target twice[] = {{&plan, folder / "out.gguf"}, {&plan, folder / "./out.gguf"}};
  EXPECT_EQ(failure([&] { run_job(file, twice); }).first, ErrorCategory::usage);
  EXPECT_EQ(contents(folder / "in.gguf"), before);
  EXPECT_THAT(folder.names(), ElementsAre("hard.gguf", "in.gguf", "soft.gguf"));
}

TEST(Job, MemoryIsBounded) {
  const auto bytes = random_model({.width = 512});
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  const Plan plan = make_plan(file, options("Q4_0"));
  const Plan* plans[] = {&plan};
  const Budget free = memory_budget(plans, 4, 0);
  EXPECT_EQ(free.workers, 5);
  const Budget tight = memory_budget(plans, 4, std::uint64_t{17} << 20);
  EXPECT_LE(tight.bytes, std::uint64_t{17} << 20);
  EXPECT_EQ(failure([&] { memory_budget(plans, 4, 1 << 20); }).first, ErrorCategory::resource);
}

}  // namespace
}  // namespace mtmd::quantize::test
