#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/sampling/grammar_vocabulary.h"
#include "engine/sampling/json_schema.h"
#include "engine/sampling/sampler.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Tokenizer> vocabulary(const char* name) {
  return Tokenizer::load(gguf::File::open(std::string(MTMD_TEST_DATA "/vocab/") + name).metadata());
}

bool matches(const std::string& schema, const std::string& text) {
  GrammarState state(Grammar::parse(json_schema_to_gbnf(schema)));
  return state.accept(text) && state.complete();
}

std::string complaint(const std::string& schema) {
  try {
    Grammar::parse(json_schema_to_gbnf(schema));
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    return e.what();
  }
  return "";
}

/// A validator of its own for what the tests use.
bool valid(const json& schema, const json& value, const json& root) {
  if (schema.is_boolean()) return schema.get<bool>();
  if (schema.contains("$ref"))
    return valid(root.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1))), value, root);
  for (const char* any : {"anyOf", "oneOf"})
    if (schema.contains(any)) {
      bool one = false;
      for (const json& s : schema[any]) one = one || valid(s, value, root);
      if (!one) return false;
    }
  if (schema.contains("const") && value != schema["const"]) return false;
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    return false;
  if (schema.contains("type")) {
    const json types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
    bool one = false;
    for (const std::string t : types)
      one = one || t == value.type_name() || (t == "integer" && value.is_number_integer());
    if (!one) return false;
  }
  if (value.is_array()) {
    if (value.size() < schema.value("minItems", std::size_t{0}) ||
        value.size() > schema.value("maxItems", std::size_t{1} << 20))
      return false;
    if (schema.contains("items"))
      for (const json& v : value)
        if (!valid(schema["items"], v, root)) return false;
  }
  if (value.is_string()) {
    std::size_t n = 0;
    for (const char c : value.get<std::string>()) n += (c & 0xC0) != 0x80;
    if (n < schema.value("minLength", std::size_t{0}) || n > schema.value("maxLength", std::size_t{1} << 20))
      return false;
  }
  if (value.is_object()) {
    for (const json& name : schema.value("required", json::array()))
      if (!value.contains(name.get<std::string>())) return false;
    const json properties = schema.value("properties", json::object());
    for (const auto& [name, v] : value.items()) {
      if (properties.contains(name)) {
        if (!valid(properties[name], v, root)) return false;
      } else if (schema.contains("additionalProperties") && !valid(schema["additionalProperties"], v, root)) {
        return false;
      }
    }
  }
  return true;
}

const char* const kSchemas[] = {
    R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b\"c", 3, null]}, "minItems": 1, "maxItems": 3}},
        "required": ["age"], "additionalProperties": false})",
    R"({"type": ["array", "null"], "items": {"type": ["number", "boolean"]}, "maxItems": 5})",
    R"({"definitions": {"tree": {"type": "object", "properties": {"v": {"const": [1, "x"]},
        "kids": {"type": "array", "items": {"$ref": "#/definitions/tree"}, "maxItems": 1}}, "required": ["v"]}},
        "$ref": "#/definitions/tree"})",
    R"({"anyOf": [{"type": "string", "minLength": 3, "maxLength": 5}, {"oneOf": [{"type": "boolean"}, {"const": "é"}]}]})",
    R"({"type": "object", "properties": {"ab": {"type": "boolean"}, "a": {"type": "null"}}, "additionalProperties": {"type": "integer"}})",
};

/// Random tokens, hot; white noise closes a JSON text sooner or later, and whatever it closes must be valid.
TEST(JsonSchema, WhatIsSampledIsValid) {
  int finished = 0;
  for (const char* name : {"llama.gguf", "qwen2.gguf"}) {
    const auto tokenizer = vocabulary(name);
    for (const char* schema : kSchemas) {
      SCOPED_TRACE(schema);
      const json root = json::parse(schema);
      for (unsigned seed = 0; seed < 12; ++seed) {
        SamplingOptions options;
        options.temperature = 1.5f;
        options.top_k = seed % 2 ? 40 : 0;
        options.seed = seed;
        options.json_schema = schema;
        Sampler sampler(options, tokenizer.get());
        std::mt19937 random(seed);
        std::normal_distribution<float> normal(0, 3);
        std::vector<float> logits(static_cast<std::size_t>(tokenizer->size()));
        std::string text;
        for (int n = 0; n < 150; ++n) {
          for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = normal(random);
          // noise alone seldom closes what it opens
          for (Token t = 0; t < tokenizer->size(); ++t)
            if (n > 30 && tokenizer->piece(t).find_first_of("]}\"") != std::string::npos)
              logits[static_cast<std::size_t>(t)] += 12;
          const Token token = sampler.sample(logits);
          if (tokenizer->is_end_of_generation(token)) {
            json value;
            ASSERT_NO_THROW(value = json::parse(text)) << text;
            ASSERT_TRUE(valid(root, value, root)) << text;
            ++finished;
            break;
          }
          ASSERT_FALSE(tokenizer->piece(token).empty());
          text += tokenizer->piece(token);
        }
      }
    }
  }
  EXPECT_GT(finished, 60);
}

TEST(JsonSchema, AllowsAndRefuses) {
  const std::string person = kSchemas[0];
  for (const char* good :
       {R"({"name":"x","age":3,"tags":["a"]})", R"({ "age": -12 })", R"({"age":0,"tags":[ "b\"c", 3,null ]})"})
    EXPECT_TRUE(matches(person, good)) << good;
  for (const char* bad :
       {R"({})", R"({"age":01})", R"({"age":1.5})", R"({"age":1,"name":"x"})", R"({"age":1,"tags":[]})",
        R"({"age":1,})", R"({"age":1,"x":2})", R"({"name":"123456789","age":1})", R"({"age":1} x)"})
    EXPECT_FALSE(matches(person, bad)) << bad;

  const std::string open = kSchemas[4];
  for (const char* good : {"{}", R"({"a":null})", R"({"ab":true,"a":null,"b":1,"abc":2,"":3,"A":4})", R"({"ac":7})"})
    EXPECT_TRUE(matches(open, good)) << good;
  for (const char* bad : {R"({"a":1})", R"({"ab":1})", R"({"x":null})", R"({"\u0061":1})"})
    EXPECT_FALSE(matches(open, bad)) << bad;

  for (const char* any : {"{}", "[1,[2.5e-3,{\"a\":[]}],true]", "null", "\"\\u00e9\\n\\\"\"", "-0.5"}) {
    EXPECT_TRUE(matches("{}", any)) << any;
    EXPECT_TRUE(matches("true", any)) << any;
  }
  EXPECT_FALSE(matches("{}", "\"\\ud83d\""));  // half a character
  EXPECT_FALSE(matches("{}", "\"a\nb\""));
  EXPECT_TRUE(matches(R"({"type":"object"})", R"({"any":[1]})"));
  EXPECT_TRUE(matches(R"({"required":["k"]})", R"({"k":[1]})"));
  EXPECT_FALSE(matches(R"({"required":["k"]})", "{}"));
  EXPECT_TRUE(matches(R"({"items":{"type":"null"},"minItems":2})", "[null,null,null]"));
  EXPECT_FALSE(matches(R"({"items":{"type":"null"},"minItems":2})", "[null]"));
  EXPECT_TRUE(matches(R"({"type":"string","minLength":2,"maxLength":2})", "\"\u4e2d\\n\""));
  EXPECT_FALSE(matches(R"({"enum":["a",1],"type":"string"})", "1"));
}

TEST(JsonSchema, ComplaintsNameTheKeyword) {
  EXPECT_THAT(complaint("{"), HasSubstr("not JSON"));
  EXPECT_THAT(complaint("3"), HasSubstr("not 3"));
  EXPECT_THAT(complaint("false"), HasSubstr("false"));
  EXPECT_THAT(complaint(R"({"type":"string","pattern":"a+"})"), HasSubstr("keyword pattern"));
  EXPECT_THAT(complaint(R"({"properties":{"p":{"minimum":1}}})"),
              AllOf(HasSubstr("#/properties/p"), HasSubstr("keyword minimum")));
  EXPECT_THAT(complaint(R"({"allOf":[{}]})"), HasSubstr("keyword allOf"));
  EXPECT_THAT(complaint(R"({"type":"text"})"), HasSubstr("\"text\" is not known"));
  EXPECT_THAT(complaint(R"({"type":"string","anyOf":[{}]})"), AllOf(HasSubstr("type beside anyOf")));
  EXPECT_THAT(complaint(R"({"items":[{}]})"), HasSubstr("items as a list"));
  EXPECT_THAT(complaint(R"({"type":"string","minLength":3,"maxLength":2})"),
              HasSubstr("minLength 3 is above maxLength 2"));
  EXPECT_THAT(complaint(R"({"type":"string","maxLength":5000})"), AllOf(HasSubstr("maxLength"), HasSubstr("4096")));
  EXPECT_THAT(complaint(R"({"type":"array","minItems":-1})"), HasSubstr("minItems"));
  EXPECT_THAT(complaint(R"({"$ref":"#/definitions/x"})"), HasSubstr("no such place"));
  EXPECT_THAT(complaint(R"({"$ref":"http://x"})"), HasSubstr("only #/"));
  EXPECT_THAT(complaint(R"({"$ref":"#"})"), HasSubstr("comes back to itself"));
  EXPECT_THAT(complaint(R"({"definitions":{"a":{"anyOf":[{"$ref":"#/definitions/a"}]}},"$ref":"#/definitions/a"})"),
              HasSubstr("comes back"));
  EXPECT_THAT(complaint(R"({"required":["a"],"additionalProperties":false})"), HasSubstr("\"a\""));
  EXPECT_THAT(complaint(R"({"enum":[]})"), HasSubstr("enum"));
  EXPECT_THAT(complaint(R"({"enum":[1],"type":"string"})"), HasSubstr("none of the values"));
  std::string deep = "{}";
  for (int i = 0; i < 250; ++i) deep = R"({"items":)" + deep + "}";
  EXPECT_THAT(complaint(deep), HasSubstr("nested deeper than 200"));
}

SamplingOptions with_grammar(const std::string& gbnf, float temperature = 0) {
  SamplingOptions o;
  o.temperature = temperature;
  o.grammar = gbnf;
  return o;
}

TEST(GrammarSampling, GreedyTakesTheBestAllowedToken) {
  const auto tokenizer = vocabulary("qwen2.gguf");
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 3);
  const Grammar grammar = Grammar::parse("root ::= ([a-f]+ \" \"){3,} \"end\"");
  Sampler sampler(with_grammar("root ::= ([a-f]+ \" \"){3,} \"end\""), tokenizer.get());
  GrammarState state(grammar);
  std::vector<float> logits(static_cast<std::size_t>(tokenizer->size()) + 7);  // padded, as some models do
  for (int n = 0; n < 60; ++n) {
    for (float& l : logits) l = normal(random);
    Token best = -1;
    for (Token t = 0; t < tokenizer->size(); ++t) {
      const bool end = tokenizer->is_end_of_generation(t);
      const std::string piece = tokenizer->piece(t);
      if (end ? !state.complete() : piece.empty() || !state.allowed(piece)) continue;
      if (best < 0 || logits[static_cast<std::size_t>(t)] > logits[static_cast<std::size_t>(best)]) best = t;
    }
    ASSERT_EQ(sampler.sample(logits), best);
    if (tokenizer->is_end_of_generation(best)) break;
    ASSERT_TRUE(state.accept(tokenizer->piece(best)));
  }
}

TEST(GrammarSampling, EndsOnlyWhereTheGrammarDoesAndStartsOverAfterReset) {
  const auto tokenizer = vocabulary("qwen2.gguf");
  Sampler sampler(with_grammar("root ::= \"ab\"", 1), tokenizer.get());
  std::vector<float> logits(static_cast<std::size_t>(tokenizer->size()), 0.0f);
  for (Token t = 0; t < tokenizer->size(); ++t)
    if (tokenizer->is_end_of_generation(t)) logits[static_cast<std::size_t>(t)] = 30;
  for (int round = 0; round < 3; ++round) {
    std::string text;
    for (int n = 0; n < 4; ++n) {
      const Token t = sampler.sample(logits);
      if (tokenizer->is_end_of_generation(t)) break;
      text += tokenizer->piece(t);
      ASSERT_LE(text.size(), 2u);
    }
    EXPECT_EQ(text, "ab");
    EXPECT_TRUE(tokenizer->is_end_of_generation(sampler.sample(logits)));
    sampler.reset();
  }
}

TEST(GrammarSampling, ForbiddenByBiasYetTheOnlyWay) {
  const auto tokenizer = vocabulary("qwen2.gguf");
  const Token a = tokenizer->encode("a").front();
  for (const float temperature : {0.0f, 1.0f}) {
    SamplingOptions options = with_grammar("root ::= \"a\"", temperature);
    options.logit_bias = {{a, -std::numeric_limits<float>::infinity()}};
    Sampler sampler(options, tokenizer.get());
    EXPECT_EQ(sampler.sample(std::vector<float>(static_cast<std::size_t>(tokenizer->size()), 1.0f)), a);
  }
}

TEST(GrammarSampling, Mistakes) {
  const auto tokenizer = vocabulary("qwen2.gguf");
  SamplingOptions both = with_grammar("root ::= \"a\"");
  both.json_schema = "{}";
  EXPECT_THROW(Sampler(both, tokenizer.get()), Error);
  EXPECT_THROW(Sampler(with_grammar("root ::= x"), tokenizer.get()), Error);
  EXPECT_THROW(Sampler(with_grammar("root ::= \"a\""), nullptr), Error);
}

/// 150,000 pieces: the mask against asking for each one, and how long it takes.
TEST(GrammarSampling, MaskOfALargeVocabulary) {
  std::mt19937 random(9);
  std::vector<std::string> pieces;
  const std::string letters = "etaoinshrdlucmfwypvbgkjqxz      \"\"{}[]:,\n0123456789\\ETA";
  for (int i = 0; i < 150000; ++i) {
    std::string p;
    for (std::size_t n = 1 + random() % 9; n > 0; --n)
      p += random() % 40 ? std::string(1, letters[random() % letters.size()]) : std::string("\u00e9");
    if (i % 50 == 0) p.resize(p.size() / 2);  // cut characters, empty pieces
    pieces.push_back(p);
  }
  const grammar::Vocabulary vocabulary(pieces);
  GrammarState state(Grammar::parse(json_schema_to_gbnf("{}")));
  std::vector<std::uint8_t> mask;
  for (const char* text : {"", "{", "\"na", "me\": [", "1", ", \"x", "y\"", "]", "}"}) {
    ASSERT_TRUE(state.accept(text)) << text;
    const auto begin = std::chrono::steady_clock::now();
    const std::size_t n = vocabulary.allowed(state, mask);
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    std::printf("after %-10s %6zu tokens allowed, %.2f ms\n", json(text).dump().c_str(), n, ms);
    std::size_t count = 0;
    for (std::size_t t = 0; t < pieces.size(); ++t) {
      const bool good = !pieces[t].empty() && state.allowed(pieces[t]);
      ASSERT_EQ(mask[t] != 0, good) << pieces[t];
      count += good;
    }
    ASSERT_EQ(n, count);
  }
}

}  // namespace
}  // namespace mtmd
