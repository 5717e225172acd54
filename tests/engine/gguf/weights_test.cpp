#include "engine/gguf/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/gguf/bytes.h"
#include "engine/gguf/temp_folder.h"
#include "engine/quant/quant.h"

namespace mtmd::gguf {
namespace {

using ::testing::AllOf;
using testing::Bytes;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

struct Fixture : ::testing::Test {
  const Bytes bytes = testing::small_file();
  const File file = File::from_memory(bytes.data, "mem.gguf");
  Weights weights{file};
};
using GgufWeights = Fixture;

TEST_F(GgufWeights, AMatrixIsAView) {
  const Weight w = weights.matrix("a", 2, 3);
  EXPECT_EQ(w.rows, 2);
  EXPECT_EQ(w.cols, 3);
  EXPECT_EQ(w.data, file.find("a")->data.data());
  EXPECT_EQ(weights.matrix("b", 1, 32).type, DType::Q8_0);
  EXPECT_TRUE(weights.unused().empty());
}

TEST_F(GgufWeights, TheShapeMustBeTheOneAskedFor) {
  const auto message = error_of(ErrorCategory::model, [&] { weights.matrix("a", 3, 2); });
  EXPECT_THAT(message, AllOf(HasSubstr("mem.gguf"), HasSubstr("'a'"), HasSubstr("[2, 3]"), HasSubstr("[3, 2]")));
  EXPECT_THROW(weights.vector("a", 6), Error);
  EXPECT_THROW(weights.values("a", {6}), Error);
  EXPECT_THROW(weights.experts("a", 2, 3, 1), Error);
  EXPECT_THROW(weights.matrix_if("a", 1, 6), Error);
}

TEST_F(GgufWeights, WhatIsMissingIsNamed) {
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { weights.matrix("blk.0.attn_q.weight", 1, 1); }),
              AllOf(HasSubstr("'blk.0.attn_q.weight'"), HasSubstr("'test'")));
  EXPECT_FALSE(weights.matrix_if("nope", 1, 1));
  EXPECT_TRUE(weights.vector_if("nope", 1).empty());
  EXPECT_FALSE(weights.has("nope"));
  EXPECT_THAT(weights.unused(), ElementsAre("a", "b"));
}

TEST_F(GgufWeights, ValuesAreFloats) {
  EXPECT_THAT(weights.values("a", {2, 3}), ElementsAre(1, 2, 3, 4, 5, 6));
  const Vector b = weights.vector("b", 32);  // Q8_0 [1, 32], d = 1
  EXPECT_EQ(b.front(), -16);
  EXPECT_EQ(b.back(), 15);
}

TEST(GgufWeightShapes, HigherDimensionsFlatten) {
  Bytes b;
  b.header(4, 0)
      .tensor("conv", {2, 2, 3, 4}, 0, 0)
      .tensor("moe", {4, 3, 2}, 0, 192)
      .tensor("ones", {3, 2, 1, 1}, 0, 288);
  b.tensor("bias", {1, 4}, 1, 320).pad();
  b.zeros(320);
  for (int i = 0; i < 4; ++i) b.num(quant::f32_to_f16(0.25f));
  const File file = File::from_memory(b.data, "mem.gguf");
  Weights w(file);
  EXPECT_EQ(w.matrix("conv", 4, 12).cols, 12);
  EXPECT_THROW(w.matrix("conv", 12, 4), Error);
  const Weight moe = w.experts("moe", 2, 3, 4);
  EXPECT_EQ(moe.experts, 2);
  EXPECT_EQ(moe.expert(1).data - moe.data, 48);
  EXPECT_EQ(w.matrix("ones", 2, 3).rows, 2);
  EXPECT_THROW(w.matrix("ones", 3, 2), Error);
  EXPECT_THAT(w.vector("bias", 4), Each(0.25f));
}

TEST(GgufWeightShapes, AVectorIsAMatrixOfOneRow) {
  Bytes b;
  b.header(1, 0).tensor("v", {6}, 0, 0).pad().zeros(24);
  const File file = File::from_memory(b.data, "mem.gguf");
  Weights w(file);
  EXPECT_EQ(w.matrix("v", 1, 6).cols, 6);
  EXPECT_THROW(w.matrix("v", 6, 1), Error);
  EXPECT_THROW(w.matrix("v", 2, 3), Error);
}

TEST(GgufWeightShapes, WholeNumbersAreNoWeights) {
  Bytes b;
  b.header(1, 0).tensor("i", {4, 2}, 26, 0).pad().zeros(32);
  const File file = File::from_memory(b.data, "mem.gguf");
  Weights w(file);
  EXPECT_THAT(error_of(ErrorCategory::model, [&] { w.matrix("i", 2, 4); }), HasSubstr("type I32"));
}

TEST(GgufWeightShapes, UnalignedMemoryIsCopied) {
  Bytes shifted;
  shifted.zeros(1);
  const Bytes whole = testing::small_file();
  shifted.data.insert(shifted.data.end(), whole.data.begin(), whole.data.end());
  const File file = File::from_memory(std::span(shifted.data).subspan(1), "mem.gguf");
  Weights w(file);
  EXPECT_THAT(w.values("a", {2, 3}), ElementsAre(1, 2, 3, 4, 5, 6));
}

}  // namespace
}  // namespace mtmd::gguf
