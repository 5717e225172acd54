// Which instruction sets kernels may use here. Files listed in mtmd_isa_sources (cmake/isa.cmake) are compiled once for
// base, avx2 and avx512; the tables of a folder are chosen by select_isa. `amx` is avx512 with tile registers on top: a
// folder that has no kernels for them uses those of avx512.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mtmd {

enum class Isa : std::uint8_t { base, avx2, avx512, amx };

std::string_view name(Isa isa) noexcept;  ///< "base", "avx2", "avx512", "amx"

/// The sets that this machine can run, slowest first; never empty. The first call asks the kernel for the tile
/// registers, which a process has only when it asked; where it refuses, avx512 is the last.
std::span<const Isa> runnable_isas() noexcept;

/// The set called `wanted`; empty: the one named by the environment variable MTMD_ISA, else the best. Throws
/// Error(usage) listing what this machine has when the name is unknown or the machine lacks it.
Isa select_isa(std::string_view wanted = {});

}  // namespace mtmd
