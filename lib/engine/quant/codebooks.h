// The codebooks of the IQ1, IQ2 and IQ3 formats as the kernels of devices read them: an entry is a run of bytes, value
// + 128 each, the first value lowest. IQ2 and IQ3 hold magnitudes, IQ1 eight times its values -1, 0, 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mtmd::quant {

/// A plain array: kernel files use no std:: containers. `Run`: as many bytes as an entry has values.
template <class Run, std::size_t N>
struct CodebookRuns {
  alignas(64) Run entries[N];
};

extern const CodebookRuns<std::uint64_t, 256> kIq2XxsRuns;
extern const CodebookRuns<std::uint64_t, 512> kIq2XsRuns;
extern const CodebookRuns<std::uint64_t, 1024> kIq2SRuns;
extern const CodebookRuns<std::uint32_t, 256> kIq3XxsRuns;
extern const CodebookRuns<std::uint32_t, 512> kIq3SRuns;
extern const CodebookRuns<std::uint64_t, 2048> kIq1Runs;  ///< IQ1_S and IQ1_M

/// Entries of four values as numbers of levels, two in a byte (the first in the low bits): values 0 and 1 of every
/// entry, then values 2 and 3. Tables that registers can hold.
template <std::size_t N>
struct CodebookHalves {
  alignas(64) std::uint8_t first[N], second[N];
  alignas(16) std::int8_t levels[16];
};

extern const CodebookHalves<256> kIq3XxsHalves;
extern const CodebookHalves<512> kIq3SHalves;

}  // namespace mtmd::quant
