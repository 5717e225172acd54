#!/usr/bin/env python3
"""Error rates of the built-in model: characters of the line reader, words of the listener.

    python3 testset.py /tmp/test && python3 evaluate.py program /tmp/test ../../build/release/mtmd ocr -m ../line-reader.gguf
    python3 speech_testset.py /tmp/heard && python3 evaluate.py program --words /tmp/heard ../../build/release/mtmd transcribe
    python3 evaluate.py checkpoint /work/train-run/a/checkpoint.pt

The first two read the files of a test set with the given command (plus `--files-from LIST -f jsonl`) and compare the texts with the
truth. White space of any kind and length counts as one space; of words only the letters and apostrophes count. The last asks the PyTorch model alone: 500 crops as training
draws them, but with the fonts and texts of the test set.
"""
import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time


def distance(a, b):
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        diagonal, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            diagonal, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x != y))
    return row[-1]


def plain(text):
    return " ".join(text.split())


def spelled(text):
    """Only small letters, apostrophes and single spaces."""
    return " ".join(re.sub("[^a-z' ]", " ", text.lower()).split())


def report(pairs, examples, words=False):
    """pairs: (kind, name, truth, got). Prints the table and the worst items; returns {kind: rate}, of words or of characters."""
    wrong, total, exact, items = collections.Counter(), collections.Counter(), collections.Counter(), collections.Counter()
    errors = []
    for kind, name, truth, got in pairs:
        truth, got = plain(truth), plain(got)
        units = [spelled(text).split() if words else text for text in (truth, got)]
        d = distance(*units)
        wrong[kind] += d
        total[kind] += len(units[0])
        exact[kind] += d == 0
        items[kind] += 1
        if d:
            errors.append((d / max(1 if words else 8, len(units[0])), kind, name, truth, got))
    print(f"{'kind':8} {'items':>6} {'words' if words else 'characters':>11} {'WER' if words else 'CER':>8} {'exact':>7}")
    for kind in total:
        print(f"{kind:8} {items[kind]:6} {total[kind]:11} {100 * wrong[kind] / total[kind]:7.2f}% {100 * exact[kind] / items[kind]:6.1f}%")
    for kind in total:
        mine = sorted((e for e in errors if e[1] == kind), reverse=True)
        print(f"\n{kind}: the worst, then some at random")
        for _, _, name, truth, got in mine[:examples] + random.Random(0).sample(mine[examples:], min(examples, len(mine[examples:]))):
            print(f"  {name}\n    {truth[:160]}\n    {got[:160]}")
    return {kind: wrong[kind] / total[kind] for kind in total}


def program(args):
    folder = os.path.abspath(args.folder)
    with open(os.path.join(folder, "truth.jsonl"), encoding="utf-8") as file:
        truth = [json.loads(line) for line in file]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as names:
        names.writelines(os.path.join(folder, t["file"]) + "\n" for t in truth)
        names.flush()
        began = time.time()
        run = subprocess.run([*args.command, "--files-from", names.name, "-f", "jsonl"], stdout=subprocess.PIPE, text=True, encoding="utf-8")
    got, states = {}, collections.Counter()
    for line in run.stdout.splitlines():
        record = json.loads(line)
        got[os.path.relpath(record["input"], folder)] = record.get("text") or ""
        states[record["status"]] += 1
    print(f"exit code {run.returncode}, {dict(states)}, {time.time() - began:.0f} s")
    if args.save:
        with open(args.save, "w", encoding="utf-8") as out:
            json.dump(got, out, ensure_ascii=False, indent=0)
    report([(t["kind"], t["file"], t["text"], got.get(t["file"], "")) for t in truth], args.examples, args.words)
    return 0 if len(got) == len(truth) else 1


def checkpoint(args):
    import numpy as np
    import torch
    import lines
    import model
    import testset
    torch.set_num_threads(1)
    reader = model.LineReader()
    reader.load_state_dict(torch.load(args.file, map_location="cpu")["m"])
    r, texts, faces = random.Random(args.seed), testset.Texts(), testset.Faces()

    class Short:                                                     # the test texts behind the interface of texts.Texts
        @staticmethod
        def line(r, room):
            words = texts.line(r).split()
            while len(" ".join(words)) > room and len(words) > 1:
                words.pop()
            return " ".join(words)[:room]
    groups, cache, n = {}, {}, 0
    covered = dict(sum(faces.families.values(), []))
    while n < 500:
        path = faces.choose(r)
        made = lines.render(r, Short, cache, (path, covered[path], round(10 * 4 ** r.random())))
        if made:
            groups.setdefault(made[0].shape[1], []).append(made)
            n += 1
    pairs = []
    for width, group in sorted(groups.items()):
        got = model.read(reader, torch.from_numpy(np.stack([im for im, _ in group])))
        pairs += [("crop", f"width {width}", text, answer) for (_, text), answer in zip(group, got)]
    report(pairs, args.examples)
    return 0


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = args.add_subparsers(required=True)
    p = verbs.add_parser("program")
    p.add_argument("--examples", type=int, default=6)
    p.add_argument("--words", action="store_true", help="word error rates")
    p.add_argument("--save", help="the texts as JSON")
    p.add_argument("folder")
    p.add_argument("command", nargs=argparse.REMAINDER)
    p.set_defaults(run=program)
    c = verbs.add_parser("checkpoint")
    c.add_argument("file")
    c.add_argument("--examples", type=int, default=6)
    c.add_argument("--seed", type=int, default=2027)
    c.set_defaults(run=checkpoint)
    args = args.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
