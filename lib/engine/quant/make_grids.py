#!/usr/bin/env python3
"""Reads the codebooks of the IQ1, IQ2 and IQ3 formats off recorded blocks and writes iq{1,2,3}_grids.cpp.

usage: make_grids.py PROBE.golden.gguf FOLDER_OF_gguf_writer.py

An entry is 8 (IQ1, IQ2) or 4 (IQ3) values out of 2..8 levels. It is stored as one 16-bit number: 2 bits a value for
IQ1 and IQ2, 4 bits for IQ3, the first value lowest. The probe visits every entry with a block scale of 1.
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, sys.argv[2])
sys.dont_write_bytecode = True
from gguf_writer import GGML, read_gguf  # noqa: E402

_, tensors = read_gguf(sys.argv[1])


def blocks(name):
    return tensors["raw." + name].raw.reshape(-1, GGML[name][2])


def indices(name):
    """-> (codebook index of every run [block, runs], value of the run's scale [block, runs])"""
    b = blocks(name).astype(np.int64)
    runs = np.arange(32)
    d = blocks(name)[:, :2].copy().view("<f2").astype(np.float64)
    if name == "IQ2_XXS":
        words = b[:, 2:].reshape(-1, 8, 8)
        s = words[:, :, 7] >> 4
        return words[:, :, :4].reshape(-1, 32), np.repeat(d * (0.5 + s) / 4, 4, axis=1)
    if name == "IQ2_XS":
        nibbles = np.stack([b[:, 66:] & 15, b[:, 66:] >> 4], -1).reshape(-1, 16)
        return (b[:, 2:66:2] | b[:, 3:66:2] << 8) & 511, np.repeat(d * (0.5 + nibbles) / 4, 2, axis=1)
    if name == "IQ2_S":
        nibbles = np.stack([b[:, 74:] & 15, b[:, 74:] >> 4], -1).reshape(-1, 16)
        high = (b[:, 66 + runs // 4] >> 2 * (runs % 4)) & 3
        return b[:, 2:34] | high << 8, np.repeat(d * (0.5 + nibbles) / 4, 2, axis=1)
    if name == "IQ3_XXS":
        s = b[:, 69::4] >> 4
        return b[:, 2:66], np.repeat(d * (0.5 + s) / 2, 8, axis=1)
    if name == "IQ3_S":
        s = np.stack([b[:, 106:] & 15, b[:, 106:] >> 4], -1).reshape(-1, 8)
        r = np.arange(64)
        high = (b[:, 66 + r // 8] >> r % 8) & 1
        return b[:, 2:66] | high << 8, np.repeat(d * (1 + 2 * s), 8, axis=1)
    assert name == "IQ1_S"
    words = b[:, 34::2] | b[:, 35::2] << 8
    high = (words[:, runs // 4] >> 3 * (runs % 4)) & 7
    return b[:, 2:34] | high << 8, np.repeat(d * (2 * (words >> 12 & 7) + 1), 4, axis=1)


def codebook(name, size, width, levels):
    index, scale = indices(name)
    values = tensors["val." + name].array().astype(np.float64).reshape(index.shape[0], -1, width)
    values = values / scale[:, :, None]
    if name == "IQ1_S":
        b = blocks(name).astype(np.int64)
        delta = np.repeat(np.where(b[:, 35::2] >> 7, -0.125, 0.125), 4, axis=1)
        values = values - delta[:, :, None]
    else:
        values = np.abs(values)
    found = {}
    for i, entry in zip(index.ravel(), values.reshape(-1, width)):
        code = [levels.index(v) for v in entry]
        assert found.setdefault(int(i), code) == code, (name, i)
    assert sorted(found) == list(range(size)), name
    bits = 16 // width
    return [sum(c << bits * j for j, c in enumerate(found[i])) for i in range(size)]


def write(file, tables):
    lines = ["// Codebook entries, packed (see grids.h). Written by make_grids.py from recorded blocks; not edited by hand.",
             '#include "engine/quant/grids.h"', "", "namespace mtmd::quant {", ""]
    for variable, levels, codes in tables:
        lines.append(f"constexpr std::array<std::uint16_t, {len(codes)}> {variable} = {{{{")
        for i in range(0, len(codes), 14):
            lines.append("    " + " ".join(f"0x{c:04x}," for c in codes[i:i + 14]))
        run = "std::uint32_t" if "Iq3" in variable else "std::uint64_t"
        lines += ["}};", f"constexpr CodebookRuns<{run}, {len(codes)}> {variable[:-4]}Runs = "
                  f"runs<{run}>({variable}, {levels}{', 8' if 'Iq1' in variable else ''});"]
        if "Iq3" in variable:
            lines.append(f"constexpr CodebookHalves<{len(codes)}> {variable[:-4]}Halves = halves({variable}, {levels});")
        lines.append("")
    lines.append("}  // namespace mtmd::quant")
    pathlib.Path(__file__).with_name(file).write_text("\n".join(lines) + "\n")


def levels_of(name, width):
    index, scale = indices(name)
    values = np.abs(tensors["val." + name].array().astype(np.float64).reshape(index.shape[0], -1, width) / scale[:, :, None])
    return sorted(set(values.ravel()))


if __name__ == "__main__":
    iq2, iq3, iq3s, iq1 = [8, 25, 43], [4, 12, 20, 28, 36, 44, 52, 62], [1, 3, 5, 7, 9, 11, 13, 15], [-1, 0, 1]
    for n, w, l in (("IQ2_XXS", 8, iq2), ("IQ2_XS", 8, iq2), ("IQ2_S", 8, iq2), ("IQ3_XXS", 4, iq3), ("IQ3_S", 4, iq3s)):
        assert levels_of(n, w) == l, (n, levels_of(n, w))
    write("iq2_grids.cpp", [("kIq2XxsGrid", "kIq2Levels", codebook("IQ2_XXS", 256, 8, iq2)), ("kIq2XsGrid", "kIq2Levels", codebook("IQ2_XS", 512, 8, iq2)),
                            ("kIq2SGrid", "kIq2Levels", codebook("IQ2_S", 1024, 8, iq2))])
    write("iq3_grids.cpp", [("kIq3XxsGrid", "kIq3XxsLevels", codebook("IQ3_XXS", 256, 4, iq3)), ("kIq3SGrid", "kIq3SLevels", codebook("IQ3_S", 512, 4, iq3s))])
    write("iq1_grids.cpp", [("kIq1Grid", "kIq1Levels", codebook("IQ1_S", 2048, 8, iq1))])
