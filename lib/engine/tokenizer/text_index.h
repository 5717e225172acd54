// Hash maps of the tokenizer: built once (TextIndex, PairTable) or for one call (WordCache), open addressing, no
// deletion. Loading a model is mostly building the first two.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace mtmd {

/// Not for adversaries: a flood of colliding words costs time in proportion to its share of the text, bounded by
/// kMaxProbes where it matters (WordCache).
inline std::uint64_t hash_bytes(std::string_view text) noexcept {
  constexpr std::uint64_t k = 0x9E3779B97F4A7C15ull;
  const char* p = text.data();
  const std::size_t n = text.size();
  std::uint64_t h = n * k;
  const auto word_at = [p](std::size_t i) {
    std::uint64_t word;
    std::memcpy(&word, p + i, 8);
    return word;
  };
  const auto half_at = [p](std::size_t i) {
    std::uint32_t half;
    std::memcpy(&half, p + i, 4);
    return std::uint64_t{half};
  };
  const auto byte_at = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
  const auto mix = [&h](std::uint64_t word) {
    h = (h ^ word) * k;
    h ^= h >> 29;
  };
  for (std::size_t i = 0; i + 8 < n; i += 8) mix(word_at(i));
  // The last bytes, overlapping what is before them: words of a vocabulary are short, so a loop over bytes would be
  // most of the time.
  if (n >= 8)
    mix(word_at(n - 8));
  else if (n >= 4)
    mix(half_at(0) << 32 | half_at(n - 4));
  else if (n > 0)
    mix(byte_at(0) << 16 | byte_at(n / 2) << 8 | byte_at(n - 1));
  h *= k;
  return h ^ h >> 32;
}

/// Slots of an open-addressed table for n entries: a power of two, at most three quarters full.
inline std::size_t table_size(std::size_t n) noexcept {
  std::size_t size = 16;
  while (3 * size < 4 * n) size *= 2;
  return size;
}

/// Text -> its place in a list that someone else keeps, which stays where it is; the last of equal texts.
class TextIndex {
 public:
  TextIndex() = default;
  /// At most 2^31 - 1 texts.
  explicit TextIndex(std::span<const std::string_view> texts) : texts_(texts), slots_(table_size(texts.size())) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::uint64_t hash = hash_bytes(texts[i]);
      Slot& slot = slots_[place(texts[i], hash)];
      distinct_ = distinct_ && slot.number < 0;
      slot = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::int32_t>(i)};
    }
  }
  /// -1 when the text is not there.
  std::int32_t find(std::string_view text) const noexcept {
    return slots_.empty() ? -1 : slots_[place(text, hash_bytes(text))].number;
  }
  /// The same, for a text that probably is the one at `guess` (any number).
  std::int32_t find(std::string_view text, std::size_t guess) const noexcept {
    return distinct_ && guess < texts_.size() && texts_[guess] == text ? static_cast<std::int32_t>(guess) : find(text);
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;  ///< its upper half: most texts that differ are told apart without being read
    std::int32_t number = -1;
  };
  std::size_t place(std::string_view text, std::uint64_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot& s = slots_[at];
      if (s.number < 0 || (s.hash == hash >> 32 && texts_[static_cast<std::size_t>(s.number)] == text)) return at;
    }
  }
  std::span<const std::string_view> texts_;
  bool distinct_ = true;  ///< no two texts are equal
  std::vector<Slot> slots_;
};

/// What two neighbours become. Low ranks go first.
struct Merge {
  static constexpr std::uint32_t kNever = 0xFFFFFFFF;
  std::uint32_t rank = kNever;
  std::uint32_t symbol = 0;
};

/// (symbol, symbol) -> Merge.
class PairTable {
 public:
  void reserve(std::size_t n) { slots_.assign(table_size(n), Slot{}); }
  /// Keeps the first merge of a pair.
  void add(std::uint32_t left, std::uint32_t right, Merge merge) {
    Slot& slot = slots_[place(left, right)];
    if (slot.merge.rank == Merge::kNever) slot = {left, right, merge};
  }
  Merge find(std::uint32_t left, std::uint32_t right) const noexcept { return slots_[place(left, right)].merge; }

 private:
  struct Slot {
    std::uint32_t left = 0, right = 0;
    Merge merge;
  };
  std::size_t place(std::uint32_t left, std::uint32_t right) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    const std::uint64_t h = (std::uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15ull;
    for (std::size_t at = (h ^ h >> 32) & mask;; at = (at + 1) & mask) {
      const Slot& s = slots_[at];
      if (s.merge.rank == Merge::kNever || (s.left == left && s.right == right)) return at;
    }
  }
  std::vector<Slot> slots_;
};

/// Word -> tokens, for the words of one text: a text repeats its words. Bounded in size; forgets nothing, stops
/// learning.
class WordCache {
 public:
  static constexpr std::size_t kMaxWord = 48, kMaxWords = 1u << 15, kMaxProbes = 16;

  /// The tokens of `word`, or null.
  const std::span<const std::int32_t>* find(std::string_view word) noexcept {
    hash_ = hash_bytes(word);
    if (word.size() > kMaxWord || slots_.empty()) return nullptr;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < kMaxProbes; ++i) {
      const Slot& s = slots_[(hash_ + i) & mask];
      if (s.length == 0) return nullptr;
      if (s.hash == hash_ && s.length == word.size() &&
          std::memcmp(letters_.data() + s.letters, word.data(), s.length) == 0) {
        found_ = {tokens_.data() + s.tokens, s.n_tokens};
        return &found_;
      }
    }
    return nullptr;
  }
  /// After find(word) returned null, for the same word.
  void learn(std::string_view word, std::span<const std::int32_t> tokens) {
    if (word.empty() || word.size() > kMaxWord || n_words_ >= kMaxWords) return;
    if (slots_.size() < 2 * (n_words_ + 1)) grow();
    const Slot slot{hash_, static_cast<std::uint32_t>(letters_.size()), static_cast<std::uint32_t>(tokens_.size()),
                    static_cast<std::uint32_t>(tokens.size()), static_cast<std::uint32_t>(word.size())};
    if (!put(slot)) return;
    letters_.insert(letters_.end(), word.begin(), word.end());
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    ++n_words_;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t letters = 0, tokens = 0, n_tokens = 0, length = 0;  ///< length 0: free
  };
  bool put(const Slot& slot) noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < kMaxProbes; ++i) {
      Slot& s = slots_[(slot.hash + i) & mask];
      if (s.length != 0) continue;
      s = slot;
      return true;
    }
    return false;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot& s : old)
      if (s.length != 0) put(s);
  }

  std::vector<Slot> slots_;
  std::vector<char> letters_;
  std::vector<std::int32_t> tokens_;
  std::span<const std::int32_t> found_;
  std::uint64_t hash_ = 0;
  std::size_t n_words_ = 0;
};

}  // namespace mtmd
