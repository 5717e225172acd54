#!/usr/bin/env python3
"""mtmd and llama.cpp side by side on the same GGUF files: the two take turns, sample by sample, so that whatever the machine does happens to both.

  compare_llama.py /opt/bench/llama1b-Q4_K_M.gguf -p 256,512 -n 32 -d 0,4096 --batches 1,4,8
  compare_llama.py model.gguf --mtmd build/release/mtmd --mtmd build/other/mtmd     two builds and llama.cpp
  compare_llama.py *.gguf -p 256 -n 0 --rounds 7 --json out.json

Prints medians of tokens per second with the quartiles, and what the first program does against each other one.
"""
import argparse
import json
import os
import sys

from turns import Worker, finish, quartiles, take_turns

HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA = "/opt/llama/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"


def make_tests(o):
    tests = []
    for depth in o.depths:
        for p in o.prompts:
            if p:
                tests.append({"prompt": p, "generate": 0, "depth": depth, "sequences": 1})
        for n in o.generates:
            for s in o.batches:
                if n and (depth == 0 or s == 1 or o.deep_batches):
                    tests.append({"prompt": 0, "generate": n, "depth": depth, "sequences": s})
    for t in tests:
        many = f" x{t['sequences']}" if t["sequences"] > 1 else ""
        deep = f" @ d{t['depth']}" if t["depth"] else ""
        t["name"] = (f"pp{t['prompt']}" if t["prompt"] else f"tg{t['generate']}{many}") + deep
    return tests


def start(o, model, tests):
    def listed(key):
        return ",".join(str(v) for v in sorted({t[key] for t in tests})) or "0"
    mtmd = ["bench", "--on-request", "-q", "-m", model, "-p", listed("prompt"), "-n", listed("generate"), "-d", listed("depth"), "-npl", listed("sequences"),
            "-t", str(o.threads), "-ub", str(o.ubatch), "-ctk", o.cache, "-ctv", o.cache]
    for program in o.mtmd:
        *settings, path = program.split()
        yield Worker(program, [path, *mtmd], dict(s.split("=", 1) for s in settings))
    if o.llama:
        yield Worker("llama.cpp", [sys.executable, os.path.join(HERE, "llama_worker.py"), "--llama", o.llama, "-m", model, "--tests", json.dumps(tests), "--threads",
                     str(o.threads), "--ubatch", str(o.ubatch), "--flash", o.flash, "--cache", o.cache], {})


def compare(o, model):
    tests = make_tests(o)
    workers = list(start(o, model, tests))
    samples = take_turns(workers, [t["name"] for t in tests], o.rounds, o.warmup)
    rows = []
    for t in tests:
        tokens = t["sequences"] * (t["prompt"] + t["generate"])
        row = {"model": os.path.basename(model), "test": t["name"], "programs": []}
        for w in workers:
            seconds = samples[w.name, t["name"]]
            low, median, high = quartiles([tokens / s for s in seconds])
            ratio = [b / a for a, b in zip(samples[workers[0].name, t["name"]], seconds)]  # of the same round
            row["programs"].append({"program": w.name, "what": w.what, "tokens_per_second": median, "quartiles": [low, high], "first_is_faster_by": quartiles(ratio)[1],
                                    "first_is_faster_by_quartiles": quartiles(ratio)[::2], "samples_s": seconds})
        rows.append(row)
    return rows


def table(rows):
    lines = []
    for row in rows:
        first, *others = row["programs"]
        if not lines:
            lines.append("| model | test | " + " | ".join(f"{p['program']} t/s" for p in row["programs"]) + " | " + " | ".join(f"times {p['program']}" for p in others) + " |")
            lines.append("| --- | --- |" + " ---: |" * (len(row["programs"]) + len(others)))
        cells = [f"{p['tokens_per_second']:.1f} ({p['quartiles'][0]:.1f} to {p['quartiles'][1]:.1f})" for p in row["programs"]]
        cells += [f"{p['first_is_faster_by']:.2f} ({p['first_is_faster_by_quartiles'][0]:.2f} to {p['first_is_faster_by_quartiles'][1]:.2f})" for p in others]
        lines.append(f"| {row['model']} | {row['test']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def counts(text):
    return [int(v) for v in text.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+")
    p.add_argument("-p", dest="prompts", type=counts, default=[256], help="prompt lengths (256)")
    p.add_argument("-n", dest="generates", type=counts, default=[32], help="tokens generated in one sample (32)")
    p.add_argument("-d", dest="depths", type=counts, default=[0], help="tokens in the cache beforehand (0)")
    p.add_argument("--batches", type=counts, default=[1], help="sequences generated side by side (1)")
    p.add_argument("--deep-batches", action="store_true", help="batches at every depth, not at 0 only")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--warmup", type=int, default=1, help="rounds that are not counted (1)")
    p.add_argument("-t", dest="threads", type=int, default=2)
    p.add_argument("--ubatch", type=int, default=512)
    p.add_argument("--flash", choices=["on", "off", "auto"], default="on", help="llama.cpp's flash attention (on)")
    p.add_argument("--cache", default="f16", help="type of the cache (f16)")
    p.add_argument("--mtmd", action="append", help="program, may be given several times; settings in front: 'MTMD_ISA=avx512 build/release/mtmd'")
    p.add_argument("--llama", default=LLAMA, help="folder of libllama; '' leaves llama.cpp out")
    p.add_argument("--json", help="write every sample there")
    o = p.parse_args()
    o.mtmd = o.mtmd or [os.path.join(HERE, "../../build/release/mtmd")]
    rows = []
    for model in o.models:
        rows += compare(o, model)
        print(table(rows[-len(make_tests(o)):]), flush=True)
    finish(rows, o.json)


main()
