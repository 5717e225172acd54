// Grammars in llama.cpp's GBNF notation, and matching them byte by byte while a model writes.
//
//   root  ::= "yes" | "no" ("," ws number)*     # a comment
//   name  ::= [a-zA-Z_] [^"\\\x00-\x1F]{0,9} .   # classes, repetition counts, any character
//
// A rule ends with its line; inside ( ) and before | it may go on. Escapes: \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH
// \UHHHHHHHH. Token references (<|name|>) are not supported.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace mtmd {

namespace grammar {
struct Program;
class Automaton;
}  // namespace grammar

/// A parsed grammar: immutable, cheap to copy, safe to share between threads.
class Grammar {
 public:
  static constexpr std::size_t kMaxText = 1 << 20;  ///< bytes of GBNF
  static constexpr int kMaxRepetitions = 4096;      ///< in x{m,n}
  static constexpr int kMaxGroups = 100;            ///< ( in (
  static constexpr std::size_t kMaxInstructions = 500'000;
  static constexpr int kMaxDepth = 1000;  ///< rules in rules while matching; what would nest deeper does not match

  /// Throws Error(usage): what is wrong with line and column, a rule that is missing (root, too) or defined twice, left
  /// recursion, or the limit that was reached.
  static Grammar parse(std::string_view gbnf);

 private:
  friend class GrammarState;
  explicit Grammar(std::shared_ptr<const grammar::Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const grammar::Program> program_;
};

/// How far a text has got in a grammar: every way to read it at once. Copies are cheap and share a cache, so that all
/// copies belong to one thread. Texts are UTF-8 in pieces of any size: a character may be cut. Every function that
/// looks at bytes throws Error(resource) when the grammar is so ambiguous that following it would take forever.
class GrammarState {
 public:
  explicit GrammarState(const Grammar& grammar);

  /// Goes on by `bytes`; false, changing nothing, if the grammar does not allow them here.
  bool accept(std::string_view bytes);
  bool allowed(std::string_view bytes) const;
  /// The text may end here.
  bool complete() const;
  /// The text must not end here or may go on.
  bool can_continue() const;

  grammar::Automaton& automaton() const { return *automaton_; }  ///< for walks over a vocabulary
  std::int32_t number() const { return number_; }                ///< of the automaton's state

 private:
  void renew();
  std::shared_ptr<const grammar::Program> program_;
  std::shared_ptr<grammar::Automaton> automaton_;
  std::int32_t number_;
};

}  // namespace mtmd
