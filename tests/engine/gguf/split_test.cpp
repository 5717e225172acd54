#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/gguf/bytes.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/temp_folder.h"

namespace mtmd::gguf {
namespace {

using testing::Bytes;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

/// Part `no` of `count` with one tensor "t<no>" that holds the number `no`.
Bytes part(unsigned no, unsigned count, std::int32_t total, std::string_view tensor = {}) {
  Bytes b;
  b.header(1, 4).key("general.architecture", no == 0 ? "test" : "later parts do not count");
  b.key("split.no", 2, static_cast<std::uint16_t>(no)).key("split.count", 2, static_cast<std::uint16_t>(count));
  b.key("split.tensors.count", 5, total);
  b.tensor(tensor.empty() ? "t" + std::to_string(no) : tensor, {1}, 0, 0).pad().num(static_cast<float>(no));
  return b;
}

TEST(GgufSplit, AnyPartOpensTheWholeModel) {
  const TempFolder dir;
  for (unsigned i = 0; i < 3; ++i) dir.write("m-0000" + std::to_string(i + 1) + "-of-00003.gguf", part(i, 3, 3).data);
  for (const char* name : {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}) {
    const File f = File::open(dir / name);
    ASSERT_EQ(f.tensors().size(), 3u);
    EXPECT_EQ(f.paths().size(), 3u);
    EXPECT_EQ(f.metadata().require<std::string_view>("general.architecture"), "test");
    const TensorInfo* t = f.find("t2");
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(t->file, 2u);
    float v;
    std::memcpy(&v, t->data.data(), 4);
    EXPECT_EQ(v, 2.0f);
    EXPECT_EQ(f.file_bytes(), part(0, 3, 3).data.size() + 2 * part(1, 3, 3).data.size());
  }
}

TEST(GgufSplit, AMissingPartIsNamed) {
  const TempFolder dir;
  dir.write("m-00001-of-00002.gguf", part(0, 2, 2).data);
  EXPECT_THAT(error_of(ErrorCategory::input, [&] { File::open(dir / "m-00001-of-00002.gguf"); }),
              HasSubstr("m-00002-of-00002.gguf"));
}

TEST(GgufSplit, MixedUpPartsAreRefused) {
  const TempFolder dir;
  dir.write("m-00001-of-00002.gguf", part(0, 2, 2).data);
  dir.write("m-00002-of-00002.gguf", part(0, 2, 2).data);
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { File::open(dir / "m-00001-of-00002.gguf"); }),
              HasSubstr("part 1 of 2"));
  dir.write("m-00002-of-00002.gguf", part(1, 3, 2).data);
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { File::open(dir / "m-00001-of-00002.gguf"); }),
              HasSubstr("part 2 of 3"));
  dir.write("m-00002-of-00002.gguf", part(1, 2, 2, "t0").data);
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { File::open(dir / "m-00001-of-00002.gguf"); }),
              HasSubstr("'t0' appears twice"));
  dir.write("m-00002-of-00002.gguf", part(1, 2, 2).data);
  dir.write("m-00001-of-00002.gguf", part(0, 2, 5).data);
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { File::open(dir / "m-00001-of-00002.gguf"); }),
              HasSubstr("split.tensors.count says 5"));
}

TEST(GgufSplit, ARenamedPartSaysHowItMustBeCalled) {
  const TempFolder dir;
  for (const char* name : {"m.gguf", "m-00001-of-00003.gguf", "m-00003-of-00002.gguf", "m-0000x-of-00002.gguf"}) {
    dir.write(name, part(0, 2, 2).data);
    EXPECT_THAT(error_of(ErrorCategory::model, [&] { File::open(dir / name); }), HasSubstr("NAME-00001-of-00002.gguf"));
  }
  const Bytes alone = part(0, 2, 2);
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { File::from_memory(alone.data, "mem"); }), HasSubstr("2 parts"));
}

TEST(GgufSplit, AWholeModelMayHaveAnyName) {
  const TempFolder dir;
  dir.write("x-00007-of-00009.gguf", testing::small_file().data);
  EXPECT_EQ(File::open(dir / "x-00007-of-00009.gguf").tensors().size(), 2u);
}

}  // namespace
}  // namespace mtmd::gguf
