#include "engine/tokenizer/pattern.h"

#include <utility>

#include "engine/base/error.h"

namespace mtmd {
namespace {

struct Node {
  enum class Kind { set, ahead, sequence, choice, repeat };
  Kind kind = Kind::sequence;
  unicode::Set set{};
  bool negative = false;
  int min = 0, max = -1;  ///< repeat; max -1: no bound
  std::vector<Node> children{};
};

class Parser {
 public:
  explicit Parser(std::string_view expression) : text_(expression) {}

  Node parse() {
    Node node = choice();
    if (at_ < text_.size()) unsupported();
    return node;
  }

 private:
  [[noreturn]] void unsupported() const {
    fail(ErrorCategory::internal, "pre-tokenizer expression '{}': not understood at byte {}", text_, at_);
  }
  bool done() const { return at_ >= text_.size(); }
  bool accept(std::string_view s) {
    if (text_.substr(at_, s.size()) != s) return false;
    at_ += s.size();
    return true;
  }
  bool sees(char c) const { return !done() && text_[at_] == c; }
  std::uint32_t character() {
    if (done()) unsupported();
    const auto d = unicode::decode(text_.data() + at_, text_.data() + text_.size());
    at_ += d.length;
    return d.code_point;
  }
  int number() {
    int n = 0;
    const std::size_t start = at_;
    while (!done() && text_[at_] >= '0' && text_[at_] <= '9' && n < 10000) n = n * 10 + (text_[at_++] - '0');
    if (at_ == start) unsupported();
    return n;
  }

  Node choice() {
    Node node{.kind = Node::Kind::choice};
    do node.children.push_back(sequence());
    while (accept("|"));
    if (node.children.size() > 1) return node;
    Node only = std::move(node.children.front());
    return only;
  }

  Node sequence() {
    Node node{.kind = Node::Kind::sequence};
    while (!done() && !sees('|') && !sees(')')) node.children.push_back(quantified());
    return node;
  }

  Node quantified() {
    Node atom = this->atom();
    for (;;) {
      int min = 0, max = -1;
      if (accept("?")) {
        max = 1;
      } else if (accept("+")) {
        min = 1;
      } else if (accept("{")) {
        min = max = number();
        if (accept(",")) max = sees('}') ? -1 : number();
        if (!accept("}")) unsupported();
      } else if (!accept("*")) {
        return atom;
      }
      Node repeat{.kind = Node::Kind::repeat, .min = min, .max = max};
      repeat.children.push_back(std::move(atom));
      atom = std::move(repeat);
    }
  }

  Node atom() {
    if (accept("(?=")) return ahead(false);
    if (accept("(?!")) return ahead(true);
    if (accept("(?:") || accept("(")) {
      Node node = choice();
      if (!accept(")")) unsupported();
      return node;
    }
    if (accept("$")) {
      Node node{.kind = Node::Kind::ahead, .negative = true};
      node.set.add(0, unicode::kMax);
      return node;
    }
    Node node{.kind = Node::Kind::set};
    node.set = single();
    return node;
  }

  Node ahead(bool negative) {
    Node node{.kind = Node::Kind::ahead, .negative = negative};
    node.set = single();
    if (!accept(")")) unsupported();
    return node;
  }

  /// One character's worth: a class, an escape or a literal.
  unicode::Set single() {
    if (accept("[")) return bracket();
    if (sees('.') || sees('^') || sees('*') || sees('+') || sees('?') || sees('{')) unsupported();
    unicode::Set set;
    member(set);
    return set;
  }

  unicode::Set bracket() {
    const bool inverted = accept("^");
    unicode::Set set;
    while (!sees(']')) {
      if (accept("&&")) {  // both: neither outside the one nor outside the other
        unicode::Set outside = set.inverse();
        outside.add(single().inverse());
        set = outside.inverse();
        continue;
      }
      std::uint32_t first = 0;
      if (!member(set, &first)) continue;
      if (sees('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        unicode::Set end;
        std::uint32_t last = 0;
        if (!member(end, &last) || last < first) unsupported();
        set.add(first, last);
      }
    }
    ++at_;
    return inverted ? set.inverse() : set;
  }

  /// Adds what stands here to `set`; true, and the character, when it is a single one.
  bool member(unicode::Set& set, std::uint32_t* one = nullptr) {
    std::uint32_t c = character();
    if (c == '\\') {
      c = character();
      switch (c) {
        case 's':
          set.add(unicode::white_space());
          return false;
        case 'S':
          set.add(unicode::white_space().inverse());
          return false;
        case 'd':
          set.add(unicode::category("Nd"));
          return false;
        case 'p':
          set.add(property());
          return false;
        case 'P':
          set.add(property().inverse());
          return false;
        case 'r':
          c = '\r';
          break;
        case 'n':
          c = '\n';
          break;
        case 't':
          c = '\t';
          break;
        default:
          if ((c | 32) >= 'a' && (c | 32) <= 'z') unsupported();
      }
    }
    set.add(c, c);
    if (one != nullptr) *one = c;
    return true;
  }

  unicode::Set property() {
    if (!accept("{")) unsupported();
    const std::size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) unsupported();
    const std::string_view name = text_.substr(at_, end - at_);
    unicode::Set set = name == "Han" ? unicode::han() : unicode::category(name);
    if (set.ranges().empty()) unsupported();
    at_ = end + 1;
    return set;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Writes the program back to front: each node is told where to go on.
class Writer {
 public:
  explicit Writer(Program& program) : program_(program) {}

  std::uint16_t put(Instruction instruction) {
    if (program_.code.size() >= 0xFFFF) fail(ErrorCategory::internal, "pre-tokenizer expression is too long");
    program_.code.push_back(std::move(instruction));
    return static_cast<std::uint16_t>(program_.code.size() - 1);
  }

  std::uint16_t write(const Node& node, std::uint16_t next) {
    switch (node.kind) {
      case Node::Kind::set:
      case Node::Kind::ahead: {
        program_.sets.push_back(node.set);
        const auto kind = node.kind == Node::Kind::set ? Instruction::Kind::set : Instruction::Kind::ahead;
        return put({.kind = kind,
                    .negative = node.negative,
                    .set = static_cast<std::uint16_t>(program_.sets.size() - 1),
                    .next = next});
      }
      case Node::Kind::sequence:
        for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) next = write(*child, next);
        return next;
      case Node::Kind::choice: {
        Instruction split{.kind = Instruction::Kind::split};
        for (const Node& child : node.children) split.ways.push_back(write(child, next));
        return put(std::move(split));
      }
      case Node::Kind::repeat:
        return repeat(node, next);
    }
    return next;
  }

 private:
  std::uint16_t repeat(const Node& node, std::uint16_t next) {
    const Node& body = node.children.front();
    std::uint16_t at = next;
    if (node.max < 0) {
      at = put({.kind = Instruction::Kind::split});
      const std::uint16_t again = write(body, at);
      program_.code[at].ways = {again, next};
    } else {
      for (int i = node.min; i < node.max; ++i) {
        const std::uint16_t once = write(body, at);
        at = put({.kind = Instruction::Kind::split, .ways = {once, next}});
      }
    }
    for (int i = 0; i < node.min; ++i) at = write(body, at);
    return at;
  }

  Program& program_;
};

}  // namespace

Program parse_pattern(std::string_view expression) {
  const Node tree = Parser(expression).parse();
  Program program;
  Writer writer(program);
  const std::uint16_t end = writer.put({.kind = Instruction::Kind::match});
  program.start = writer.write(tree, end);
  return program;
}

}  // namespace mtmd
