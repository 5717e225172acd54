// SHA-256 (FIPS 180-4), for content hashes in journals and results.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace mtmd::media {

/// Hash of data that arrives in pieces.
class Sha256 {
 public:
  Sha256();  ///< throws Error(internal) when libcrypto offers no SHA-256
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const std::byte> bytes);
  std::string hex();  ///< 64 lower-case digits; call once, at the end

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace mtmd::media
