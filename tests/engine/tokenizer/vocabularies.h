// The small vocabularies of tests/data/vocab (invented for this project; see tests/data/vocab/README.md).
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd::testing {

inline gguf::File open_vocabulary(const std::string& name) {
  return gguf::File::open(std::string(MTMD_TEST_DATA "/vocab/") + name + ".gguf");
}

inline std::unique_ptr<Tokenizer> load_vocabulary(const std::string& name) {
  return Tokenizer::load(open_vocabulary(name).metadata());
}

/// The vocabulary `name` after `edit(writer)`.
template <class Edit>
std::unique_ptr<Tokenizer> load_edited(const std::string& name, Edit edit) {
  const gguf::File file = open_vocabulary(name);
  gguf::Writer writer;
  for (const auto& entry : file.metadata().entries()) writer.set(std::string(entry.key), entry.value);
  edit(writer);
  const auto bytes = writer.to_memory();
  const auto copy = gguf::File::from_memory(bytes, "edited " + name);
  return Tokenizer::load(copy.metadata());
}

/// A vocabulary made of nothing but these keys.
template <class Fill>
std::unique_ptr<Tokenizer> load_made(Fill fill) {
  gguf::Writer writer;
  fill(writer);
  const auto bytes = writer.to_memory();
  const auto file = gguf::File::from_memory(bytes, "made");
  return Tokenizer::load(file.metadata());
}

/// The message of the Error(model) that `make` throws; a failure when it throws nothing or something else.
template <class Make>
std::string model_error(Make make) {
  try {
    make();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace mtmd::testing
