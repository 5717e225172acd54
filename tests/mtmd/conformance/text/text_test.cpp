// The runner behind `mtmd conformance`: it passes what is right and notices what is damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/gguf/gguf.h"
#include "engine/gguf/writer.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::Field;

/// A folder of its own for each test, removed afterwards.
class Runner : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mtmd_text_" + std::to_string(::getpid()) + "_" +
                                           testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void copy(const std::string& name) { fs::copy_file(fs::path(MTMD_TEST_DATA) / "text" / name, folder_ / name); }
  std::vector<Result> run() {
    std::vector<Result> all;
    run_text(folder_, *device_, [&](const Result& r) { all.push_back(r); });
    return all;
  }
  /// The outcomes of everything that was compared.
  std::map<std::string, Outcome> outcomes() {
    std::map<std::string, Outcome> by_name;
    for (const Result& r : run()) by_name[r.name + ": " + r.compared] = r.outcome;
    return by_name;
  }
  /// Rewrites the golden with one key or one value of a tensor changed.
  void damage(const std::string& name, const std::function<void(gguf::Writer&)>& edit, const std::string& tensor = {},
              std::size_t value = 0, float by = 0) {
    const fs::path path = folder_ / name;
    std::vector<std::byte> bytes;
    {
      const gguf::File file = gguf::File::open(path);
      gguf::Writer w;
      for (const auto& entry : file.metadata().entries()) w.set(std::string(entry.key), entry.value);
      std::vector<std::vector<std::byte>> changed;
      for (const gguf::TensorInfo& t : file.tensors()) {
        std::vector<std::byte>& data = changed.emplace_back(t.data.begin(), t.data.end());
        if (t.name == tensor) {
          float x;
          std::memcpy(&x, data.data() + value * sizeof x, sizeof x);
          x += by;
          std::memcpy(data.data() + value * sizeof x, &x, sizeof x);
        }
      }
      for (std::size_t i = 0; i < changed.size(); ++i) {
        const gguf::TensorInfo& t = file.tensors()[i];
        w.add_tensor(std::string(t.name), t.type, t.shape, std::span<const std::byte>(changed[i]));
      }
      if (edit) edit(w);
      bytes = w.to_memory();
    }
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }
  std::size_t n_failed() {
    std::size_t n = 0;
    for (const auto& [name, outcome] : outcomes()) n += outcome == Outcome::failed;
    return n;
  }

  fs::path folder_;
  std::unique_ptr<Device> device_ = make_device("cpu", {.threads = 1});
};

TEST_F(Runner, PassesWhatIsRight) {
  for (const char* name : {"qwen2vl.gguf", "qwen2vl.golden.gguf", "qwen2vl.grid.golden.gguf"}) copy(name);
  const auto all = outcomes();
  for (const auto& [name, outcome] : all) EXPECT_EQ(outcome, Outcome::passed) << name;
  for (const char* name : {"qwen2vl: tokens", "qwen2vl: end-of-generation tokens", "qwen2vl: logits, batched",
                           "qwen2vl: logits, token by token", "qwen2vl: greedy tokens, batched",
                           "qwen2vl.grid: image logits, batched", "qwen2vl.grid: image logits, token by token"})
    EXPECT_TRUE(all.contains(name)) << name;
}

TEST_F(Runner, QuantisedModelsAreAlsoComparedWithFloatActivations) {
  for (const char* name : {"llama-kq-Q4_K_M.gguf", "llama-kq-Q4_K_M.golden.gguf"}) copy(name);
  const auto all = run();
  EXPECT_THAT(all, Contains(AllOf(Field(&Result::compared, "logits, float activations"),
                                  Field(&Result::tolerance, 1e-3), Field(&Result::outcome, Outcome::passed))));
  for (const Result& r : all) EXPECT_EQ(r.outcome, Outcome::passed) << r.compared << ": " << r.detail;
}

/// Every recorded quantisation: made here, then run.
TEST_F(Runner, TheQuantiserMakesWhatWasRecorded) {
  const fs::path kit = fs::path(MTMD_CONFORMANCE) / "text";
  if (!fs::exists(kit)) GTEST_SKIP() << kit << " is not here";
  std::map<std::string, int> passed;
  for (const auto& entry : fs::directory_iterator(kit)) {
    const std::string name = entry.path().filename().string();
    if (name.find("-kq-") == name.npos || !name.ends_with(".golden.gguf")) continue;
    run_text(entry.path(), *device_, [&](const Result& r) {
      EXPECT_EQ(r.outcome, Outcome::passed) << r.name << ": " << r.compared << ": " << r.detail;
      ++passed[r.compared];
    });
  }
  for (const char* compared : {"tensor types", "tensor bytes", "logits, batched", "logits, float activations"})
    EXPECT_EQ(passed[compared], 56) << compared;
}

TEST_F(Runner, OtherTypesAndOtherBytesAreNoticed) {
  const fs::path kit = fs::path(MTMD_CONFORMANCE) / "text";
  if (!fs::exists(kit)) GTEST_SKIP() << kit << " is not here";
  const char* golden = "qwen2-kq-Q8_0.golden.gguf";
  for (const char* name : {"qwen2-kq.gguf", golden}) fs::copy_file(kit / name, folder_ / name);
  fs::permissions(folder_ / golden, fs::perms::owner_write, fs::perm_options::add);
  std::vector<std::string> types;
  {
    const gguf::File file = gguf::File::open(folder_ / golden);
    for (const auto t : file.metadata().require<std::vector<std::string_view>>("golden.quant_tensor_types"))
      types.emplace_back(t);
  }
  types.back() = "Q5_0";
  damage(golden, [&](gguf::Writer& w) {
    w.set("golden.quant_tensor_types", std::span<const std::string>(types));
    w.set("golden.quant_tensor_crc32", std::span<const std::int32_t>(std::vector<std::int32_t>(types.size(), 1)));
  });
  const auto all = outcomes();
  EXPECT_EQ(all.at("qwen2-kq-Q8_0: tensor types"), Outcome::failed);
  EXPECT_EQ(all.at("qwen2-kq-Q8_0: tensor bytes"), Outcome::failed);
}

TEST_F(Runner, AModelThatIsNotThereOrNotKnownIsUnsupported) {
  copy("llama.golden.gguf");
  fs::rename(folder_ / "llama.golden.gguf", folder_ / "llama-kq-IQ9.golden.gguf");
  copy("qwen3.golden.gguf");
  {
    const gguf::File file = gguf::File::open(fs::path(MTMD_TEST_DATA) / "text" / "qwen3.gguf");
    gguf::Writer w;
    for (const auto& entry : file.metadata().entries()) w.set(std::string(entry.key), entry.value);
    w.set("general.architecture", "qwen9");
    w.write(folder_ / "qwen3.gguf");
  }
  const auto all = run();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].outcome, Outcome::unsupported);
  EXPECT_THAT(all[0].detail, testing::HasSubstr("quantiser"));
  EXPECT_EQ(all[1].outcome, Outcome::unsupported);
  EXPECT_THAT(all[1].detail, testing::HasSubstr("qwen9"));
}

TEST_F(Runner, DamagedValuesFail) {
  const auto fresh = [&] {
    TearDown(), SetUp();
    for (const char* name : {"qwen2vl.gguf", "qwen2vl.grid.golden.gguf"}) copy(name);
  };
  const char* golden = "qwen2vl.grid.golden.gguf";
  const std::vector<std::pair<const char*, std::function<void()>>> damages = {
      {"a logit", [&] { damage(golden, {}, "logits", 12345, 0.01f); }},
      {"an image logit", [&] { damage(golden, {}, "embd_logits", 77, 0.01f); }},
      {"an embedding", [&] { damage(golden, {}, "embd", 3, 1.0f); }},
      {"a greedy logit", [&] { damage(golden, {}, "greedy_logits", 96, -20.0f); }},
      {"not a number", [&] { damage(golden, {}, "logits", 5, NAN); }},
      {"the greedy tokens",
       [&] {
         damage(golden, [](gguf::Writer& w) {
           w.set("golden.greedy", std::span<const std::int32_t>(std::vector<std::int32_t>(16, 1)));
         });
       }},
      {"a prompt of another length", [&] { damage(golden, [](gguf::Writer& w) { w.set("golden.prompt", "hello"); }); }},
      {"the tokens", [&] { damage(golden, [](gguf::Writer& w) { w.remove("golden.tokens"); }); }},
      {"the grid", [&] { damage(golden, [](gguf::Writer& w) { w.set("golden.grid_h", std::uint32_t{5}); }); }},
      {"the end tokens",
       [&] {
         damage(golden, [](gguf::Writer& w) {
           w.set("golden.eog", std::span<const std::int32_t>(std::vector<std::int32_t>{397}));
         });
       }},
      {"truncation", [&] { fs::resize_file(folder_ / golden, fs::file_size(folder_ / golden) / 2); }},
      {"the model", [&] { fs::resize_file(folder_ / "qwen2vl.gguf", 3000); }},
  };
  for (const auto& [what, apply] : damages) {
    fresh();
    apply();
    EXPECT_GE(n_failed(), 1u) << what;
  }
}

}  // namespace
}  // namespace mtmd::conformance
