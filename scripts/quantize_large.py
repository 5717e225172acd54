#!/usr/bin/env python3
"""Quantises a model of the shape of Llama 70B with little memory, and shows how little.

    scripts/quantize_large.py build/mtmd [FOLDER] [TYPE] [MEMORY]      (default: /tmp Q4_K_M 2G)

The source is a sparse file of 140 GB of zeros (it occupies next to nothing), the result has holes as well. Exits 1 when
the program fails or its resident memory exceeds MEMORY.
"""
import os
import resource
import struct
import subprocess
import sys
import time

F32, F16 = 0, 1
LAYERS, WIDTH, KV, FF, VOCAB = 80, 8192, 1024, 28672, 128256


def tensors():
    yield "token_embd.weight", (WIDTH, VOCAB), F16
    yield "output_norm.weight", (WIDTH,), F32
    yield "output.weight", (WIDTH, VOCAB), F16
    for i in range(LAYERS):
        b = f"blk.{i}."
        yield b + "attn_norm.weight", (WIDTH,), F32
        yield b + "attn_q.weight", (WIDTH, WIDTH), F16
        yield b + "attn_k.weight", (WIDTH, KV), F16
        yield b + "attn_v.weight", (WIDTH, KV), F16
        yield b + "attn_output.weight", (WIDTH, WIDTH), F16
        yield b + "ffn_norm.weight", (WIDTH,), F32
        yield b + "ffn_gate.weight", (WIDTH, FF), F16
        yield b + "ffn_up.weight", (WIDTH, FF), F16
        yield b + "ffn_down.weight", (FF, WIDTH), F16


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def write(path):
    keys = [("general.architecture", 8, text("llama"))]
    for key, value in (("block_count", LAYERS), ("attention.head_count", 64), ("attention.head_count_kv", 8)):
        keys.append(("llama." + key, 4, struct.pack("<I", value)))
    listed = list(tensors())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(keys))
    for key, kind, value in keys:
        head += text(key) + struct.pack("<I", kind) + value
    offset = 0
    for name, shape, kind in listed:
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, offset)
        n = 4 if kind == F32 else 2
        for d in shape:
            n *= d
        offset += (n + 31) // 32 * 32
    head += bytes(-len(head) % 32)
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(len(head) + offset)
    return len(head) + offset


def main():
    program = sys.argv[1]
    folder = sys.argv[2] if len(sys.argv) > 2 else "/tmp"
    kind = sys.argv[3] if len(sys.argv) > 3 else "Q4_K_M"
    memory = sys.argv[4] if len(sys.argv) > 4 else "2G"
    source, result = os.path.join(folder, "large-f16.gguf"), os.path.join(folder, "large-" + kind + ".gguf")
    try:
        size = write(source)
        start = time.time()
        done = subprocess.run([program, "quantize", source, result, kind, "--max-memory", memory, "--force",
                               "--progress", "plain"])
        seconds = time.time() - start
        if done.returncode:
            return 1
        resident = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        allowed = int(memory[:-1]) << {"K": 10, "M": 20, "G": 30}[memory[-1]]
        print(f"{size / 1e9:.1f} GB -> {os.path.getsize(result) / 1e9:.1f} GB in {seconds:.0f} s, "
              f"resident memory {resident / 2**20:.0f} MiB of {allowed / 2**20:.0f}")
        return 0 if resident <= allowed else 1
    finally:
        for path in (source, result, result + ".part", result + ".part.journal"):
            if os.path.exists(path):
                os.unlink(path)


if __name__ == "__main__":
    sys.exit(main())
