// What a grammar is compiled to: a recursive transition network over bytes. Character classes become ranges of UTF-8
// bytes, so a character cut in two by a token border needs no special case.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

namespace mtmd::grammar {

using Pc = std::uint32_t;
using ByteSet = std::bitset<256>;

struct Instruction {
  enum class Op : std::uint8_t {
    bytes,       ///< one byte of sets[operand], then next
    split,       ///< next or operand
    call,        ///< the rule rules[operand], then next
    end_of_rule  ///< back to the caller
  };
  Op op;
  Pc next = 0;
  std::uint32_t operand = 0;
};

struct Program {
  std::vector<Instruction> code;
  std::vector<ByteSet> sets;     ///< distinct
  std::vector<Pc> rules;         ///< where each rule begins
  std::uint32_t root = 0;        ///< index into rules
  std::uint8_t byte_class[256];  ///< bytes that no set tells apart share a class
  std::uint32_t n_classes = 1;
};

}  // namespace mtmd::grammar
