// Properties of encoding and decoding, against definitions written out naively.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <random>

#include "engine/tokenizer/merge_naively.h"
#include "engine/tokenizer/unicode.h"
#include "engine/tokenizer/vocabularies.h"

namespace mtmd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Tokens = std::vector<Token>;

std::string random_text(std::mt19937& random, std::size_t words) {
  static constexpr std::string_view parts[] = {"the", "house", "harbour", "in", "an", "wall", "é", "漢",
                                               "12",  "\n",    "€",       "x",  "er", "ing",  "s"};
  std::string text;
  for (std::size_t i = 0; i < words; ++i) {
    text += parts[random() % std::size(parts)];
    if (random() % 2 == 0) text += ' ';
  }
  return text;
}

TEST(Encode, ByteLevelRoundTripOfAnyBytes) {
  std::mt19937 random(5);
  for (const char* name : {"llama", "qwen2", "llama_tied", "mistral3", "glm4"}) {
    const auto tokenizer = load_vocabulary(name);
    for (int i = 0; i < 200; ++i) {
      std::string bytes;
      for (std::size_t n = random() % 60; n > 0; --n) bytes += static_cast<char>(random() % (i % 2 ? 256 : 128));
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(bytes)), unicode::replace_invalid(bytes)) << name;
    }
  }
}

TEST(Encode, SentencePieceRoundTrip) {
  std::mt19937 random(6);
  for (const char* name : {"gemma3", "phi3", "ernie4_5", "mixtral", "gemma4"}) {
    const auto tokenizer = load_vocabulary(name);
    for (int i = 0; i < 200; ++i) {
      const std::string text = random_text(random, random() % 20);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
    }
  }
}

TEST(Encode, MergesAsTheDefinitionSays) {
  const auto file = open_vocabulary("qwen2");
  std::map<std::string, int> ranks;
  for (const auto merge : file.metadata().require<std::vector<std::string_view>>("tokenizer.ggml.merges"))
    ranks.emplace(merge, static_cast<int>(ranks.size()));
  const auto tokenizer = Tokenizer::load(file.metadata());
  std::mt19937 random(1);
  for (const std::size_t length : {2, 3, 10, 39, 40, 41, 42, 100, 1000}) {  // around the switch from scan to heap
    for (int i = 0; i < 20; ++i) {
      std::vector<std::string> letters;  // lower case only: one word, and its own spelling in the byte alphabet
      std::string word;
      for (std::size_t n = 0; n < length; ++n) letters.emplace_back(1, "aehinorstu"[random() % 10]);
      for (const auto& l : letters) word += l;
      const auto parts = merge_naively(letters, [&](const std::string& a, const std::string& b) {
        const auto r = ranks.find(a + " " + b);
        return r == ranks.end() ? 1e300 : r->second;
      });
      Tokens wanted;
      for (const auto& part : parts) wanted.push_back(tokenizer->find(part));
      ASSERT_EQ(tokenizer->encode(word), wanted) << word;
    }
  }
}

TEST(Encode, ScoresAsTheDefinitionSays) {
  for (const char* name : {"gemma3", "ernie4_5"}) {
    const auto file = open_vocabulary(name);
    const auto scores = file.metadata().require<std::vector<float>>("tokenizer.ggml.scores");
    const auto tokenizer = Tokenizer::load(file.metadata());
    std::mt19937 random(2);
    for (const std::size_t words : {1, 2, 5, 20, 100}) {
      for (int i = 0; i < 20; ++i) {
        std::vector<std::string> letters;
        std::string text;
        for (std::size_t n = 0; n < words; ++n) {
          for (std::size_t l = 1 + random() % 9; l > 0; --l) letters.emplace_back(1, "aehinorstu"[random() % 10]);
          letters.emplace_back("\u2581");
        }
        for (const auto& l : letters) text += l == "\u2581" ? " " : l;
        if (tokenizer->encode("a").size() > 1 || std::string(name) == "ernie4_5")
          letters.insert(letters.begin(), "\u2581");
        const auto parts = merge_naively(letters, [&](const std::string& a, const std::string& b) {
          const Token joined = tokenizer->find(a + b);
          return joined < 0 ? 1e300 : -double{scores[static_cast<std::size_t>(joined)]};
        });
        Tokens wanted;
        for (const auto& part : parts) wanted.push_back(tokenizer->find(part));
        ASSERT_EQ(tokenizer->encode(text), wanted) << name << ": " << text;
      }
    }
  }
}

TEST(Encode, SpecialTokensOnlyWhenAsked) {
  const auto tokenizer = load_vocabulary("qwen2");
  const Token start = tokenizer->find("<|im_start|>"), think = tokenizer->find("<think>");
  ASSERT_GE(start, 0);
  ASSERT_EQ(tokenizer->type(start), TokenType::control);
  ASSERT_EQ(tokenizer->type(think), TokenType::user_defined);
  EXPECT_EQ(tokenizer->encode("<|im_start|>", {.parse_special = true}), Tokens{start});
  EXPECT_GT(tokenizer->encode("<|im_start|>").size(), 3u);
  EXPECT_EQ(tokenizer->encode("<think>"), Tokens{think});
  EXPECT_EQ(tokenizer->decode(Tokens{start, think}), "<think>");
  EXPECT_EQ(tokenizer->decode(Tokens{start, think}, true), "<|im_start|><think>");
}

/// Byte-level vocabulary of the letters a-z with these user-defined tokens (ids from 100 on).
std::unique_ptr<Tokenizer> with_phrases(const std::vector<std::string>& phrases, const char* name = "test") {
  return load_made([&](gguf::Writer& w) {
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    for (int i = 0; i < 100; ++i) tokens.push_back(std::string(1, static_cast<char>(' ' + i % 95)));
    tokens[0] = "Ġ";
    for (int i = 95; i < 100; ++i) tokens[static_cast<std::size_t>(i)] = "unused" + std::to_string(i);
    types.assign(100, 1);
    for (const auto& p : phrases) {
      tokens.push_back(p);
      types.push_back(4);
    }
    w.set("general.name", name);
    w.set("tokenizer.ggml.model", "gpt2");
    w.set("tokenizer.ggml.pre", "gpt-2");
    w.set("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
    w.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
    w.set("tokenizer.ggml.merges", std::span<const std::string>());
  });
}

Token letter(char c) { return c - ' '; }

TEST(Encode, LongerSpecialTokensGoFirst) {
  const auto tokenizer = with_phrases({"abc", "cdef", "bc", "aa"});
  EXPECT_EQ(tokenizer->encode("abcdef"), (Tokens{letter('a'), letter('b'), 101}));
  EXPECT_EQ(tokenizer->encode("abcbcd"), (Tokens{100, 102, letter('d')}));
  EXPECT_EQ(tokenizer->encode("aaaaa"), (Tokens{103, 103, letter('a')}));
}

TEST(Encode, SpecialTokensByTheDefinition) {
  // For each phrase from the longest to the shortest, cut every stretch of text at its occurrences.
  const std::vector<std::string> phrases = {"ab", "aba", "bab", "abab", "b", "caca", "acac", "cc"};
  const auto tokenizer = with_phrases(phrases);
  std::vector<std::size_t> order(phrases.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return phrases[a].size() > phrases[b].size(); });
  std::mt19937 random(4);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (std::size_t n = random() % 30; n > 0; --n) text += "abc"[random() % 3];
    if (text.find("caca") != std::string::npos && text.find("acac") != std::string::npos)
      continue;  // equal lengths: no rule
    if (text.find("aba") != std::string::npos && text.find("bab") != std::string::npos) continue;
    std::string state = text;  // phrase i becomes the byte 128 + i
    for (const auto p : order)
      for (std::size_t at; (at = state.find(phrases[p])) != std::string::npos;)
        state.replace(at, phrases[p].size(), 1, static_cast<char>(128 + p));
    Tokens wanted;
    for (const char c : state)
      wanted.push_back(static_cast<unsigned char>(c) >= 128 ? 100 + (static_cast<unsigned char>(c) - 128) : letter(c));
    ASSERT_EQ(tokenizer->encode(text), wanted) << text;
  }
}

TEST(Encode, Phi3DropsWhiteSpaceBehindSpecialTokens) {
  EXPECT_EQ(with_phrases({"<x>", "<s>"}, "a Phi-3 model")->encode("<x> \n a<s> a"),
            (Tokens{100, letter('a'), 101, letter(' '), letter('a')}));
  EXPECT_EQ(with_phrases({"<x>"}, "other")->encode("<x> a"), (Tokens{100, letter(' '), letter('a')}));
}

TEST(Encode, BeginAndEndTokensAsTheFileSays) {
  const auto with = [](bool bos, bool eos) {
    return load_edited("llama", [&](gguf::Writer& w) {
      w.set("tokenizer.ggml.add_bos_token", bos);
      w.set("tokenizer.ggml.add_eos_token", eos);
    });
  };
  const EncodeOptions add{.add_special = true};
  EXPECT_EQ(with(false, false)->encode("a", add).size(), 1u);
  const auto both = with(true, true);
  EXPECT_THAT(both->encode("a", add), ElementsAre(both->bos(), both->find("a"), both->eos()));
  EXPECT_EQ(both->encode("a").size(), 1u);
  // without the key the pre-tokenizer decides
  const auto pre = [](const char* name) {
    return load_edited("llama", [&](gguf::Writer& w) {
      w.remove("tokenizer.ggml.add_bos_token");
      w.set("tokenizer.ggml.pre", name);
    });
  };
  EXPECT_TRUE(pre("llama-bpe")->adds_bos());
  EXPECT_FALSE(pre("qwen2")->adds_bos());
}

TEST(Encode, SpacePrefixOnlyAtTheStartAndAfterSpecialTokens) {
  const auto tokenizer = load_vocabulary("phi3");
  const auto text = [&](const char* s) {
    std::string all;
    for (const Token t : tokenizer->encode(s, {.parse_special = true})) all += std::string(tokenizer->text(t));
    return all;
  };
  EXPECT_EQ(text("a"), "\u2581a");
  EXPECT_EQ(text("<s>a"), "<s>\u2581a");
  EXPECT_EQ(load_vocabulary("gemma3")->decode(load_vocabulary("gemma3")->encode(" a")), " a");
}

TEST(Decode, HostileIdsSayNothing) {
  const auto tokenizer = load_vocabulary("llama");
  EXPECT_EQ(tokenizer->decode(Tokens{-1, 1 << 30, tokenizer->size()}), "");
  EXPECT_EQ(tokenizer->text(-5), "");
  EXPECT_EQ(tokenizer->type(1 << 30), TokenType::undefined);
  EXPECT_FALSE(tokenizer->is_end_of_generation(-1));
}

TEST(Decode, CleaningUpIsOnlyForDetokenize) {
  const auto tokenizer = load_vocabulary("llama");  // llama-bpe cleans up
  const std::string text = "a , b . c ! d ? it 's we 've ' x";
  const auto tokens = tokenizer->encode(text);
  EXPECT_EQ(tokenizer->decode(tokens), text);
  EXPECT_EQ(tokenizer->detokenize(tokens), "a, b. c! d? it's we've'x");
}

TEST(Encode, LongStringsWithoutSpacesTakeLinearithmicTime) {
  for (const char* name : {"qwen2", "gemma3", "gemma4"}) {
    const auto tokenizer = load_vocabulary(name);
    for (const char* unit : {"a", "the", "therhouseharbour", " ", "\n", "<think>", "<", "漢"}) {
      std::string text;
      while (text.size() < 300'000) text += unit;
      const std::clock_t start = std::clock();  // processor time: the machine may be busy
      const auto tokens = tokenizer->encode(text, {.parse_special = true});
      const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      ASSERT_EQ(tokenizer->decode(tokens), text);
      ASSERT_LT(took, 20.0) << name << " " << unit;
    }
  }
}

TEST(Load, SaysWhatIsSupported) {
  const auto edited = [](const char* key, const char* value) {
    return model_error([&] { load_edited("llama", [&](gguf::Writer& w) { w.set(key, value); }); });
  };
  EXPECT_THAT(edited("tokenizer.ggml.model", "rwkv"), HasSubstr("'rwkv', which is not supported; supported: gpt2"));
  EXPECT_THAT(edited("tokenizer.ggml.model", "t5"), HasSubstr("'t5', which needs tokenizer.ggml.scores"));
  EXPECT_THAT(edited("tokenizer.ggml.pre", "nonsense"),
              HasSubstr("'nonsense', which is not supported; supported: a.x-4.0"));
}

/// Loads the unigram vocabulary with another character map and cuts a text with it.
void use_charsmap(const std::vector<std::uint8_t>& bytes) {
  const auto file = gguf::File::open(MTMD_TEST_DATA "/vocab/other/unigram.gguf");
  gguf::Writer copy;
  for (const auto& entry : file.metadata().entries()) copy.set(std::string(entry.key), entry.value);
  copy.set("tokenizer.ggml.precompiled_charsmap", std::span(bytes));
  const auto memory = copy.to_memory();
  const auto changed = gguf::File::from_memory(memory, "changed.gguf");
  const auto tokenizer = Tokenizer::load(changed.metadata());
  for (const Token t : tokenizer->encode("Ａ½ any text \xFF")) ASSERT_NE(tokenizer->type(t), TokenType::undefined);
}

TEST(Load, DamagedCharacterMaps) {
  EXPECT_THAT(model_error([] { use_charsmap({1, 0}); }), HasSubstr("is not an array of at least 4 bytes"));
  EXPECT_THAT(model_error([] { use_charsmap({255, 255, 255, 255, 0}); }), HasSubstr("announces 4294967295 bytes"));
  std::mt19937 random(1);  // whatever the double array says, looking things up stays inside of it
  for (int i = 0; i < 200; ++i) {
    std::vector<std::uint8_t> bytes(4 + 512 + 16);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
    bytes[0] = bytes[2] = bytes[3] = 0;
    bytes[1] = 2;
    use_charsmap(bytes);
  }
}

TEST(Load, DamagedVocabularies) {
  const auto error = [](const char* name, auto edit) { return model_error([&] { load_edited(name, edit); }); };
  EXPECT_THAT(error("llama", [](gguf::Writer& w) { w.remove("tokenizer.ggml.tokens"); }),
              HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(error("llama", [](gguf::Writer& w) { w.remove("tokenizer.ggml.merges"); }),
              HasSubstr("needs tokenizer.ggml.merges"));
  EXPECT_THAT(error("gemma3", [](gguf::Writer& w) { w.remove("tokenizer.ggml.scores"); }),
              HasSubstr("needs tokenizer.ggml.scores"));
  EXPECT_THAT(error("llama", [](gguf::Writer& w) { w.set("tokenizer.ggml.bos_token_id", std::uint32_t{400}); }),
              HasSubstr("bos_token_id is 400, but there are 400 tokens"));
  const std::vector<std::int32_t> types(3, 1);
  EXPECT_THAT(error("llama", [&](gguf::Writer& w) { w.set("tokenizer.ggml.token_type", std::span(types)); }),
              HasSubstr("3 entries for 400 tokens"));
  const std::vector<std::string> merges = {"a b", "ab"};
  EXPECT_THAT(
      error("llama", [&](gguf::Writer& w) { w.set("tokenizer.ggml.merges", std::span<const std::string>(merges)); }),
      HasSubstr("merges[1] is 'ab'"));
  const std::vector<float> scores(2);
  EXPECT_THAT(error("gemma3", [&](gguf::Writer& w) { w.set("tokenizer.ggml.scores", std::span<const float>(scores)); }),
              HasSubstr("2 entries for 448 tokens"));
}

TEST(Load, AnEndOfTextStoredAsNormalIsControl) {
  const auto tokenizer = load_edited("qwen2", [](gguf::Writer& w) {
    w.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(std::vector<std::int32_t>(400, 1)));
  });
  EXPECT_EQ(tokenizer->encode("<|im_end|>", {.parse_special = true}), Tokens{tokenizer->find("<|im_end|>")});
  EXPECT_TRUE(tokenizer->is_end_of_generation(tokenizer->find("<|im_end|>")));
}

}  // namespace
}  // namespace mtmd::testing
