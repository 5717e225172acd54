"""One llama.cpp model that answers as `mtmd bench --on-request` does: {"ready": …, "tests": […]}, then a sample per line of stdin.

llama.cpp is a shared library found by path; nothing of it is copied here. Its parameters are structs whose layout changes from release to release, so fields
are found by the default values around them, and every setting is read back through a getter or from the log before anything is measured.
"""
import argparse
import ctypes
import glob
import json
import os
import random
import re
import struct
import sys
import time

c_p, c_i32, c_size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
RAW_BYTES = 1024  # more than any parameter struct: what lies behind the real end is neither read nor written


class Raw(ctypes.Structure):
    """A struct that is passed on the stack, or returned through a pointer, whatever its members."""
    _fields_ = [("words", ctypes.c_uint64 * (RAW_BYTES // 8))]

    def ints(self):
        return list(struct.unpack(f"<{RAW_BYTES // 4}i", bytes(self)))

    def set_int(self, index, value):
        struct.pack_into("<i", (ctypes.c_char * RAW_BYTES).from_buffer(self), 4 * index, value)


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", c_i32), ("token", ctypes.POINTER(c_i32)), ("embd", c_p), ("pos", ctypes.POINTER(c_i32)),
                ("n_seq_id", ctypes.POINTER(c_i32)), ("seq_id", ctypes.POINTER(ctypes.POINTER(c_i32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


def fail(message):
    sys.exit(f"llama_worker: {message}")


class Llama:
    FLASH = {"auto": -1, "off": 0, "on": 1}
    TYPES = {"f32": 0, "f16": 1, "q8_0": 8}

    def __init__(self, folder):
        def one(pattern):
            found = sorted(glob.glob(os.path.join(folder, pattern)))
            if not found:
                fail(f"no {pattern} in {folder}; give the folder of libllama with --llama")
            return ctypes.CDLL(found[0], ctypes.RTLD_GLOBAL)
        self.base, self.ggml, self.lib = one("libggml-base.so*"), one("libggml.*so*"), one("libllama.*so*")
        self.log = []
        self.log_callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, c_p)(lambda level, text, data: self.log.append(text.decode(errors="replace")))
        self.lib.llama_log_set(self.log_callback, None)
        self.ggml.ggml_backend_load_all_from_path(folder.encode())
        self.lib.llama_backend_init()
        for name, result, arguments in [
                ("llama_model_default_params", Raw, []), ("llama_context_default_params", Raw, []),
                ("llama_model_load_from_file", c_p, [ctypes.c_char_p, Raw]), ("llama_init_from_model", c_p, [c_p, Raw]),
                ("llama_model_get_vocab", c_p, [c_p]), ("llama_vocab_n_tokens", c_i32, [c_p]), ("llama_get_memory", c_p, [c_p]),
                ("llama_memory_clear", None, [c_p, ctypes.c_bool]), ("llama_memory_seq_rm", ctypes.c_bool, [c_p, c_i32, c_i32, c_i32]),
                ("llama_memory_seq_pos_max", c_i32, [c_p, c_i32]), ("llama_decode", c_i32, [c_p, Batch]), ("llama_synchronize", None, [c_p]),
                ("llama_n_threads", c_i32, [c_p]), ("llama_n_threads_batch", c_i32, [c_p]), ("llama_n_batch", c_i32, [c_p]),
                ("llama_n_ubatch", c_i32, [c_p]), ("llama_n_seq_max", c_i32, [c_p]), ("llama_n_ctx_seq", c_i32, [c_p]),
                ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [c_p, c_i32]), ("llama_print_system_info", ctypes.c_char_p, [])]:
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name.removeprefix("llama_"), function)

    def load(self, path):
        self.model = self.model_load_from_file(path.encode(), self.model_default_params())
        if not self.model:
            fail(f"{path}: not loaded:\n{''.join(self.log[-20:])}")
        self.n_vocab = self.vocab_n_tokens(self.model_get_vocab(self.model))

    def context(self, o, n_tokens, n_sequences):
        """A context for n_tokens in each of n_sequences, with the settings proven."""
        params = self.context_default_params()
        ints = params.ints()
        threads = next((i for i in range(4, 16) if ints[i] == ints[i + 1] == 4), None)
        floats = struct.unpack(f"<{RAW_BYTES // 4}f", bytes(params))
        yarn = next((i for i in range(8, 32) if floats[i] == floats[i + 1] == -1.0), None)
        types = next((i for i in range(16, 40) if ints[i] == ints[i + 1] == 1 and i % 2 == 0), None)
        if ints[:4] != [512, 2048, 512, 1] or threads is None or yarn is None or types is None:
            fail(f"llama_context_params has an unknown layout: {ints[:40]}")
        flash = max(i for i in range(threads, yarn) if ints[i] == -1)  # the last of the enumerations, all -1 by default
        n_ctx = (n_tokens + 255) // 256 * 256
        for index, value in [(0, n_ctx * n_sequences), (1, o.batch), (2, o.ubatch), (3, n_sequences), (threads, o.threads), (threads + 1, o.threads),
                             (flash, self.FLASH[o.flash]), (types, self.TYPES[o.cache]), (types + 1, self.TYPES[o.cache])]:
            params.set_int(index, value)
        self.log.clear()
        context = self.init_from_model(self.model, params)
        text = "".join(self.log)
        if not context:
            fail(f"no context:\n{text[:2000]}")
        batch = min(o.batch, n_ctx * n_sequences)  # no batch is longer than the context
        read = [f(context) for f in (self.n_threads, self.n_threads_batch, self.n_batch, self.n_ubatch, self.n_seq_max)]
        if read != [o.threads, o.threads, batch, min(o.ubatch, batch), n_sequences] or self.n_ctx_seq(context) < n_tokens:
            fail(f"settings were not taken: {read}, context {self.n_ctx_seq(context)}")
        if not re.search(rf"K \({o.cache}\).*V \({o.cache}\)", text):
            fail(f"the cache is not {o.cache}")
        taken = re.search(r"flash_attn\s*=\s*(\w+)", text)
        if not taken or (o.flash != "auto" and taken[1] != {"on": "enabled", "off": "disabled"}[o.flash]):
            fail(f"flash attention is not {o.flash}")
        return context


class Runner:
    def __init__(self, llama, o, tests):
        self.llama, self.n_batch, self.contexts, self.random = llama, o.batch, {}, random.Random(1)
        self.room = {}
        for t in tests:
            key = (t["depth"], t["sequences"])
            self.room[key] = max(self.room.get(key, 0), t["depth"] + t["prompt"] + t["generate"])
        self.options = o

    def prepare(self, t):
        key = (t["depth"], t["sequences"])
        if key not in self.contexts:
            self.contexts[key] = self.llama.context(self.options, self.room[key], t["sequences"])
        context = self.contexts[key]
        memory = self.llama.get_memory(context)
        for s in range(t["sequences"]):
            length = self.llama.memory_seq_pos_max(memory, s) + 1
            if length > t["depth"] and not self.llama.memory_seq_rm(memory, s, t["depth"], -1):
                fail("the cache cannot be cut")
            if length < t["depth"]:
                self.feed(context, s, length, t["depth"] - length)
        return context

    def run(self, t, context):
        for s in range(t["sequences"] if t["prompt"] else 0):
            self.feed(context, s, t["depth"], t["prompt"])
        for i in range(t["generate"]):
            rows = [(self.token(), t["depth"] + t["prompt"] + i, s, True) for s in range(t["sequences"])]
            self.decode(context, rows)
        self.llama.synchronize(context)

    def token(self):
        return self.random.randrange(self.llama.n_vocab)

    def feed(self, context, sequence, start, n):
        for begin in range(0, n, self.n_batch):
            end = min(begin + self.n_batch, n)
            self.decode(context, [(self.token(), start + i, sequence, i == n - 1) for i in range(begin, end)])
        self.llama.synchronize(context)

    def decode(self, context, rows):
        n = len(rows)
        batch = Batch(n)
        batch.token = (c_i32 * n)(*(r[0] for r in rows))
        batch.pos = (c_i32 * n)(*(r[1] for r in rows))
        batch.n_seq_id = (c_i32 * n)(*([1] * n))
        ids = [(c_i32 * 1)(r[2]) for r in rows]
        batch.seq_id = (ctypes.POINTER(c_i32) * n)(*(ctypes.cast(i, ctypes.POINTER(c_i32)) for i in ids))
        batch.logits = (ctypes.c_int8 * n)(*(r[3] for r in rows))
        status = self.llama.decode(context, batch)
        if status:
            fail(f"llama_decode: {status}\n{''.join(self.llama.log[-20:])}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--llama", required=True, help="folder of libllama")
    p.add_argument("-m", dest="model", required=True)
    p.add_argument("--tests", required=True, help="JSON: [{name, prompt, generate, depth, sequences}]")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batch", type=int, default=2048)
    p.add_argument("--ubatch", type=int, default=512)
    p.add_argument("--flash", choices=Llama.FLASH, default="on")
    p.add_argument("--cache", choices=Llama.TYPES, default="f16")
    o = p.parse_args()
    tests = json.loads(o.tests)
    llama = Llama(o.llama)
    llama.load(o.model)
    loaded = "".join(llama.log)
    variant = re.findall(r"loaded CPU backend from \S*/(\S+)", loaded)
    buffers = re.findall(r"(\w+) model buffer size", loaded)
    runner = Runner(llama, o, tests)
    print(json.dumps({"ready": f"llama.cpp {variant[-1] if variant else 'CPU'}, weights in {', '.join(buffers)}", "tests": [t["name"] for t in tests]}), flush=True)
    for line in sys.stdin:
        test = tests[int(line)]
        context = runner.prepare(test)
        start = time.perf_counter()
        runner.run(test, context)
        print(json.dumps({"test": int(line), "seconds": time.perf_counter() - start}), flush=True)


main()
