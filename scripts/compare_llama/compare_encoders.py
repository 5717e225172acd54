#!/usr/bin/env python3
"""mtmd and llama.cpp's libmtmd side by side on the same mmproj files: how long pictures and recordings take to encode, in turns.

  compare_encoders.py --text text-960.gguf mm-smolvlm-F16.gguf mm-smolvlm-Q8_0.gguf --image 512x512
  compare_encoders.py --text text-2048.gguf mm-whisper-F16.gguf --audio 30 --mtmd build/release/mtmd --mtmd 'MTMD_ISA=avx512 build/release/mtmd --encoder-precision f32'

libmtmd wants a language model of the projector's width beside the mmproj file; docs/bench.md says how to make one. mtmd_worker.py says where libmtmd is from. Prints medians of
seconds with the quartiles, and how many times faster than libmtmd. All must make equally many tokens.
"""
import argparse
import os
import sys

from turns import Worker, finish, quartiles, take_turns

HERE = os.path.dirname(os.path.abspath(__file__))
ADDON = "/opt/llamanode/node_modules/@fugood/node-llama-linux-x64/index.node"
BACKEND = "/opt/llama/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-cpu-sapphirerapids.so"


def start(o, mmproj):
    media = [a for size in o.image for a in ("--image", size)] + [a for seconds in o.audio for a in ("--audio", str(seconds))]
    yield Worker("libmtmd", [sys.executable, os.path.join(HERE, "mtmd_worker.py"), "--addon", o.addon, "--backend", o.backend, "-m", o.text, "--mmproj", mmproj, "--threads",
                 str(o.threads), *media], {})
    for program in o.mtmd:
        words = program.split()
        path = next(i for i, w in enumerate(words) if "=" not in w)
        settings = dict(s.split("=", 1) for s in words[:path])
        yield Worker(program, [words[path], "bench", "--on-request", "-q", "--mmproj", mmproj, "-t", str(o.threads), *media, *words[path + 1:]], settings)


def compare(o, mmproj):
    workers = list(start(o, mmproj))
    tests = workers[0].tests
    if any(w.tests != tests or w.tokens != workers[0].tokens for w in workers):
        sys.exit(f"{mmproj}: not the same work: " + "; ".join(f"{w.name}: {w.tests} {w.tokens} tokens" for w in workers))
    samples = take_turns(workers, tests, o.rounds, o.warmup)
    for test, tokens in zip(tests, workers[0].tokens):
        row = {"mmproj": os.path.basename(mmproj), "test": test, "tokens": tokens, "programs": []}
        for w in workers:
            seconds = samples[w.name, test]
            ratio = [theirs / ours for theirs, ours in zip(samples["libmtmd", test], seconds)]  # of the same round
            row["programs"].append({"program": w.name, "what": w.what, "seconds": quartiles(seconds), "times_libmtmd": quartiles(ratio), "samples_s": seconds})
        yield row


def lines(row):
    for p in row["programs"]:
        (low, median, high), (worse, times, better) = p["seconds"], p["times_libmtmd"]
        yield f"| {row['mmproj']} | {row['test']} | {p['program']} | {median:.3f} ({low:.3f} to {high:.3f}) | {times:.2f} ({worse:.2f} to {better:.2f}) |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("mmproj", nargs="+")
    p.add_argument("--text", required=True, help="language model of the projector's width")
    p.add_argument("--image", action="append", default=[], help="WxH, may be given several times")
    p.add_argument("--audio", action="append", default=[], type=int, help="seconds, may be given several times")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--warmup", type=int, default=1, help="rounds that are not counted (1)")
    p.add_argument("-t", dest="threads", type=int, default=2)
    p.add_argument("--mtmd", action="append", help="program, may be given several times; settings in front, flags of `bench` behind")
    p.add_argument("--addon", default=ADDON, help="index.node with libmtmd")
    p.add_argument("--backend", default=BACKEND, help="libggml-cpu-*.so for this machine")
    p.add_argument("--json", help="write every sample there")
    o = p.parse_args()
    o.mtmd = o.mtmd or [os.path.join(HERE, "../../build/release/mtmd")]
    print("| mmproj | test | program | seconds (quartiles) | times faster than libmtmd |\n| --- | --- | --- | ---: | ---: |")
    rows = []
    for mmproj in o.mmproj:
        for row in compare(o, mmproj):
            rows.append(row)
            print("\n".join(lines(row)), flush=True)
    finish(rows, o.json)


main()
