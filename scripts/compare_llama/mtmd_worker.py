"""llama.cpp's libmtmd as an encoder that answers as `mtmd bench --on-request` does: {"ready": …, "tests": […], "tokens": […]}, then a sample per line of stdin.

libmtmd comes as part of npm's @fugood/node-llama-linux-x64 (--addon), which is built for any x86-64, without AVX. So its own CPU backend is taken out through ggml's
registry and one that was built for this machine put in its place (--backend: a libggml-cpu-*.so of node-llama-cpp). The two releases must agree on every
operation and type, by number and name: that is checked, as is that the backend uses what the machine has.
"""
import argparse
import ctypes
import json
import os
import random
import re
import struct
import sys
import time

c_p, c_int, c_str, c_size = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
RAW_BYTES = 1024  # more than any parameter struct: what lies behind the real end is neither read nor written


class Raw(ctypes.Structure):
    """A struct that is passed on the stack, or returned through a pointer, whatever its members."""
    _fields_ = [("bytes", ctypes.c_uint64 * (RAW_BYTES // 8))]


class Text(ctypes.Structure):
    _fields_ = [("text", c_str), ("length", c_size), ("add_special", ctypes.c_bool), ("parse_special", ctypes.c_bool)]


def fail(message):
    sys.exit(f"mtmd_worker: {message}")


def function(library, name, result, *arguments):
    f = getattr(library, name)
    f.restype, f.argtypes = result, arguments
    return f


def check_numbers(addon, base):
    """Graphs pass from one release to the other as numbers of operations and types."""
    for name in ("ggml_op_name", "ggml_unary_op_name", "ggml_glu_op_name", "ggml_type_name"):
        ours, theirs = (function(library, name, c_str, c_int) for library in (addon, base))
        removed = {4, 5, 31, 32, 33, 36, 37, 38} if name == "ggml_type_name" else set()
        count = {"ggml_op_name": 100, "ggml_unary_op_name": 20, "ggml_glu_op_name": 6, "ggml_type_name": 40}[name]
        for i in set(range(count)) - removed:
            if ours(i) != theirs(i):
                fail(f"{name}({i}) is {ours(i)} in the addon and {theirs(i)} in the backend: take releases that are closer")


class Mtmd:
    def __init__(self, addon, backend):
        for path in (addon, backend):
            if not os.path.exists(path):
                fail(f"no {path}; npm install @fugood/llama.node node-llama-cpp")
        self.lib = ctypes.CDLL(addon, mode=os.RTLD_LAZY | os.RTLD_LOCAL)  # lazily: node's own functions are never called
        check_numbers(self.lib, ctypes.CDLL(os.path.join(os.path.dirname(backend), "libggml-base.so"), mode=os.RTLD_LOCAL))
        self.log = []
        self.callback = ctypes.CFUNCTYPE(None, c_int, c_str, c_p)(lambda level, text, data: self.log.append(text.decode(errors="replace")))
        for name in ("ggml_log_set", "llama_log_set", "mtmd_log_set", "mtmd_helper_log_set"):
            self(name, None, c_p, c_p)(ctypes.cast(self.callback, c_p), None)
        self("ggml_backend_unload", None, c_p)(self("ggml_backend_reg_by_name", c_p, c_str)(b"CPU"))
        if not self("ggml_backend_load", c_p, c_str)(backend.encode()) or self("ggml_backend_dev_count", c_size)() != 1:
            fail(f"{backend} was not taken:\n{''.join(self.log)}")
        self("llama_backend_init", None)()

    def __call__(self, name, result, *arguments):
        return function(self.lib, name, result, *arguments)

    def features(self):
        return re.findall(r"(\w+) = 1", self("llama_print_system_info", c_str)().decode())

    def load(self, text, mmproj, threads):
        params = self("mtmd_context_params_default", Raw)()
        head = struct.unpack_from("<4?i", bytes(params))
        if head[0:2] != (True, True) or head[4] != 4 or struct.unpack_from("<i?", bytes(params), 24) != (-1, True):
            fail(f"mtmd_context_params has an unknown layout: {bytes(params)[:48].hex()}")
        head = bytearray(bytes(params))
        head[0] = 0  # no GPU
        struct.pack_into("<i", head, 4, threads)
        self.model = self("llama_model_load_from_file", c_p, c_str, Raw)(text.encode(), self("llama_model_default_params", Raw)())
        if not self.model:
            fail(f"{text}: not loaded:\n{''.join(self.log[-20:])}")
        self.context = self("mtmd_init_from_file", c_p, c_str, c_p, Raw)(mmproj.encode(), self.model, Raw.from_buffer_copy(bytes(head)))
        if not self.context:
            fail(f"{mmproj}: not loaded:\n{''.join(self.log[-20:])}")

    def chunks(self, bitmap):
        """The media chunks of a prompt that is `bitmap` alone, and how many tokens they are."""
        marker = self("mtmd_get_marker", c_str, c_p)(self.context)
        chunks = self("mtmd_input_chunks_init", c_p)()
        text, bitmaps = Text(marker, len(marker), False, False), (c_p * 1)(bitmap)
        if self("mtmd_tokenize", c_int, c_p, c_p, ctypes.POINTER(Text), c_p, c_size)(self.context, chunks, ctypes.byref(text), bitmaps, 1):
            fail(f"mtmd_tokenize:\n{''.join(self.log[-20:])}")
        every = [self("mtmd_input_chunks_get", c_p, c_p, c_size)(chunks, i) for i in range(self("mtmd_input_chunks_size", c_size, c_p)(chunks))]
        media = [c for c in every if self("mtmd_input_chunk_get_type", c_int, c_p)(c) != 0]
        return media, sum(self("mtmd_input_chunk_get_n_tokens", c_size, c_p)(c) for c in media)

    def picture(self, width, height):
        pixels = random.Random(1).randbytes(3 * width * height)
        return self.chunks(self("mtmd_bitmap_init", c_p, ctypes.c_uint32, ctypes.c_uint32, c_str)(width, height, pixels))

    def sound(self, seconds):
        rate = self("mtmd_get_audio_sample_rate", c_int, c_p)(self.context)
        noise = random.Random(1)
        samples = (ctypes.c_float * (seconds * rate))(*(noise.uniform(-0.1, 0.1) for _ in range(seconds * rate)))
        return self.chunks(self("mtmd_bitmap_init_from_audio", c_p, c_size, c_p)(len(samples), ctypes.cast(samples, c_p)))

    def encode(self, chunks):
        for chunk in chunks:
            if self("mtmd_encode_chunk", c_int, c_p, c_p)(self.context, chunk):
                fail(f"mtmd_encode_chunk:\n{''.join(self.log[-20:])}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--addon", required=True, help="index.node of @fugood/node-llama-linux-x64")
    p.add_argument("--backend", required=True, help="libggml-cpu-*.so of @node-llama-cpp/linux-x64")
    p.add_argument("-m", dest="model", required=True, help="any language model of the projector's width")
    p.add_argument("--mmproj", required=True)
    p.add_argument("--image", action="append", default=[], help="WxH")
    p.add_argument("--audio", action="append", default=[], type=int, help="seconds")
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    mtmd = Mtmd(o.addon, o.backend)
    mtmd.load(o.model, o.mmproj, o.threads)
    tests = [(f"encode {size}", *mtmd.picture(*map(int, size.split("x")))) for size in o.image]
    tests += [(f"encode {seconds} s", *mtmd.sound(seconds)) for seconds in o.audio]
    flash = re.search(r"flash attention is (\w+)", "".join(mtmd.log))
    what = f"libmtmd on {os.path.basename(o.backend)}, flash attention {flash[1] if flash else 'unknown'}, {' '.join(mtmd.features())}"
    print(json.dumps({"ready": what, "tests": [t[0] for t in tests], "tokens": [t[2] for t in tests]}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        mtmd.encode(tests[int(line)][1])
        print(json.dumps({"test": int(line), "seconds": time.perf_counter() - start}), flush=True)
        mtmd.log.clear()


main()
