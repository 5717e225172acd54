#!/usr/bin/env python3
"""Writes the seeds of corpus/gguf: small files that between them hold every value type and every tensor type."""
import pathlib
import random
import struct

HERE = pathlib.Path(__file__).parent / "corpus" / "gguf"
TYPES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
         10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66),
         17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
         24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
         35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18)}
random.seed(1)


def string(s):
    return struct.pack("<Q", len(s)) + s.encode()


def file(keys, tensors, version=3, alignment=32):
    """keys: encoded (key, type, value) triples; tensors: (name, ne, type id)"""
    head = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(keys)) + b"".join(keys)
    data = b""
    for name, ne, t in tensors:
        n = 1
        for d in ne:
            n *= d
        size = n // TYPES[t][0] * TYPES[t][1]
        head += string(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, t, len(data))
        data += random.randbytes(size) + bytes(-size % alignment)
    return head + bytes(-len(head) % alignment) + data


def key(name, t, value):
    return string(name) + struct.pack("<I", t) + value


SCALARS = [key(f"k{t}", t, struct.pack("<" + f, v)) for t, f, v in
           zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIifBQqd", (1, -1, 2, -2, 3, -3, 0.5, 1, 4, -4, 1.5))]
ARRAYS = [key("general.architecture", 8, string("llama")), key("llama.context_length", 4, struct.pack("<I", 128)),
          key("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 3) + string("a") + string("bc") + string("")),
          key("scores", 9, struct.pack("<IQ3f", 6, 3, 0, -1, -2)), key("flags", 9, struct.pack("<IQ2B", 7, 2, 0, 1)),
          key("nested", 9, struct.pack("<IQIQ2hIQ", 9, 2, 3, 2, -1, 1, 8, 1) + string("in"))]
CLIP = [key("general.architecture", 8, string("clip")), key("clip.has_vision_encoder", 7, b"\1"),
        key("clip.projector_type", 8, string("mlp"))]

(HERE / "scalars.gguf").write_bytes(file(SCALARS, [("a", (3, 2), 0), ("s", (), 0)]))
(HERE / "arrays.gguf").write_bytes(file(ARRAYS, [("q", (32, 2), 8), ("h", (4, 1, 1, 2), 1)], version=2))
(HERE / "aligned.gguf").write_bytes(file(CLIP + [key("general.alignment", 4, struct.pack("<I", 64))], [("x", (32,), 2)], alignment=64))
(HERE / "empty.gguf").write_bytes(file([], []))
(HERE / "types.gguf").write_bytes(file([], [(f"t{t}", (TYPES[t][0], 1), t) for t in TYPES]))
