#!/usr/bin/env python3
"""What the eyes make of rendered lines: line_rows.py FILE [--lines 100000]

The listener's training shows them to the decoder along with what the ear hears, so that it does not forget how to read. The eyes are those of
the exported line reader and stay as they are, so their work is done once. FILE (torch.save): [(tokens [n, 2 * width / 16, D] float16, texts)].
"""
import argparse
import os
import torch
import fonts
import lines
import model as M
import start
from texts import Texts


def main():
    args = argparse.ArgumentParser()
    args.add_argument("file")
    args.add_argument("--lines", type=int, default=100_000)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--start-from", default="..")
    args = args.parse_args()
    torch.set_num_threads(1)
    reader = M.LineReader().train()
    start.grow(reader, args.start_from)
    reader.fast = True

    class Longest:
        value = 40
    made, n = [], 0
    for gray, texts in lines.batches(args.seed, Texts(), fonts.Faces(fonts.TRAIN_FOLDERS), Longest):
        with torch.no_grad():
            made.append((reader.encode(torch.from_numpy(gray))[0].half(), texts))
        n += len(texts)
        if n >= args.lines:
            break
    torch.save(made, args.file + ".new")
    os.replace(args.file + ".new", args.file)


if __name__ == "__main__":
    main()
