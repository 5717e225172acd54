// Jobs that are stopped half-way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "engine/base/error.h"
#include "mtmd/quantize/job.h"
#include "mtmd/quantize/models.h"
#include "mtmd/quantize/part_file.h"

namespace mtmd::quantize::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Resume : public testing::Test {
 protected:
  Resume() {
    write_model(folder_ / "in.gguf", {.n_layer = 6});
    file_ = std::make_unique<gguf::File>(gguf::File::open(folder_ / "in.gguf"));
  }
  Plan plan(std::string_view type) const {
    PlanOptions o;
    o.recipe.type = &file_type(type);
    return make_plan(*file_, o);
  }
  /// What a job killed after `n` tensors leaves: written by hand, since a kill cannot be timed.
  void leave(const Plan& p, const std::string& name, std::size_t n) {
    const auto whole = to_memory(*file_, p, 1);
    PartFile part(folder_ / name, p.identity + " 0", false, p.parts[0].bytes);
    for (std::size_t i = 0; i < n; ++i) {
      const PlannedTensor& t = p.tensors[i];
      part.write(t.offset, std::span(whole).subspan(t.offset, t.bytes));
      part.complete(i);
    }
  }
  JobReport finish(const Plan& p, const std::string& name, bool resume = true) {
    const Target target[] = {{&p, folder_ / name}};
    return run_job(*file_, target, {.threads = 2, .resume = resume});
  }

  Folder folder_;
  std::unique_ptr<gguf::File> file_;
};

TEST_F(Resume, GoesOnToTheSameBytes) {
  const Plan p = plan("Q4_K_M");
  finish(p, "whole.gguf", false);
  for (const std::size_t n : {std::size_t{1}, p.tensors.size() / 2, p.tensors.size()}) {
    leave(p, "out.gguf", n);
    EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
    EXPECT_TRUE(fs::exists(folder_ / "out.gguf.part"));
    EXPECT_EQ(finish(p, "out.gguf").n_resumed, n);
    EXPECT_EQ(contents(folder_ / "out.gguf"), contents(folder_ / "whole.gguf")) << n;
    EXPECT_THAT(folder_.names(), ElementsAre("in.gguf", "out.gguf", "whole.gguf"));
    fs::remove(folder_ / "out.gguf");
  }
}

TEST_F(Resume, ATornJournalLineIsDropped) {
  const Plan p = plan("Q8_0");
  finish(p, "whole.gguf", false);
  leave(p, "out.gguf", 5);
  std::ofstream(folder_ / "out.gguf.part.journal", std::ios::app) << R"({"tensor":1)";
  EXPECT_EQ(finish(p, "out.gguf").n_resumed, 5u);
  EXPECT_EQ(contents(folder_ / "out.gguf"), contents(folder_ / "whole.gguf"));
}

TEST_F(Resume, OtherOptionsStartAfresh) {
  const Plan p = plan("Q8_0"), other = plan("Q4_0");
  finish(other, "whole.gguf", false);
  leave(p, "out.gguf", 5);
  const JobReport r = finish(other, "out.gguf");
  EXPECT_EQ(r.n_resumed, 0u);
  ASSERT_EQ(r.warnings.size(), 1u);
  EXPECT_THAT(r.warnings[0], HasSubstr("afresh"));
  EXPECT_EQ(contents(folder_ / "out.gguf"), contents(folder_ / "whole.gguf"));
}

TEST_F(Resume, WithoutTheFlagNothingIsReused) {
  const Plan p = plan("Q8_0");
  leave(p, "out.gguf", 5);
  EXPECT_EQ(finish(p, "out.gguf", false).n_resumed, 0u);
}

TEST_F(Resume, ACrashOfTheMachineTrustsOnlyWhatWasSynced) {
  const Plan p = plan("Q8_0");
  finish(p, "whole.gguf", false);
  leave(p, "out.gguf", 6);
  // As if the machine had been started again since, and the first three tensors had been synced.
  std::istringstream lines(contents(folder_ / "out.gguf.part.journal"));
  std::string journal, line;
  for (int i = 0; std::getline(lines, line); ++i) {
    if (i == 0) line.replace(line.find("\"boot\":\"") + 8, 4, "xxxx");
    journal += line + "\n";
    if (i == 3) journal += "{\"synced\":3}\n";
  }
  std::ofstream(folder_ / "out.gguf.part.journal") << journal;
  {  // the rest of the data never reached the disk
    std::fstream part(folder_ / "out.gguf.part", std::ios::in | std::ios::out | std::ios::binary);
    part.seekp(static_cast<std::streamoff>(p.tensors[4].offset));
    part << "lost";
  }
  EXPECT_EQ(finish(p, "out.gguf").n_resumed, 3u);
  EXPECT_EQ(contents(folder_ / "out.gguf"), contents(folder_ / "whole.gguf"));
}

TEST_F(Resume, CancellingLeavesNothingUnderTheFinalName) {
  const Plan p = plan("Q4_K_M");
  const std::atomic<bool> cancel{true};
  const Target target[] = {{&p, folder_ / "out.gguf"}};
  try {
    run_job(*file_, target, {.threads = 2, .cancel = &cancel});
    FAIL() << "not interrupted";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::interrupted);
    EXPECT_THAT(e.what(), HasSubstr("--resume"));
  }
  EXPECT_THAT(folder_.names(), ElementsAre("in.gguf"));  // nothing was complete yet
}

TEST_F(Resume, TwoJobsNeverShareAPartFile) {
  const Plan p = plan("Q8_0");
  PartFile first(folder_ / "out.gguf", "x", false, 100);
  EXPECT_THROW(finish(p, "out.gguf"), Error);
}

TEST_F(Resume, ACheckThatFailsKeepsTheResultBack) {
  const Plan p = plan("Q8_0");
  const Target target[] = {{&p, folder_ / "out.gguf"}};
  JobOptions o;
  o.check = [](const Plan&, const fs::path& file) {
    EXPECT_NO_THROW(gguf::File::open(file));  // complete at that moment
    fail(ErrorCategory::model, "of no use");
  };
  EXPECT_THROW(run_job(*file_, target, o), Error);
  EXPECT_THAT(folder_.names(), ElementsAre("in.gguf"));
}

}  // namespace
}  // namespace mtmd::quantize::test
