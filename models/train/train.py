#!/usr/bin/env python3
"""Train the line reader: train.py FOLDER --until "2026-11-21 03:10" [--start-from GGUF_FOLDER] [--peak 1.5e-3]

Continues FOLDER/checkpoint.pt when it exists. The learning rate follows a cosine over the wall clock and reaches zero at the
given moment, because what is given is the time, not the number of steps. Runs on one thread; a second process renders.

From random weights it begins with strings of at most 6 characters and lets them grow whenever the loss allows: on long lines
alone the decoder stays at letter statistics for thousands of steps.
"""
import argparse
import datetime
import math
import multiprocessing as mp
import os
import signal
import time
import torch
import torch.nn as nn
import torch.nn.functional as F
import fonts
import lines
import start
from evaluate import distance
from model import CTC_CLASSES, IM_END, PAD, VOCAB, LineReader, read
from texts import CHARSET, Texts

CLASS_OF = {c: i for i, c in enumerate(CHARSET)}
SAVE_EVERY, LOG_EVERY, WARM_UP = 240, 100, 300
FIRST, LONGEST, GROW_BELOW = 6, 40, .45                           # characters, and the loss at which lines grow


def producer(queue, seed, longest):
    for batch in lines.batches(seed, Texts(), fonts.Faces(fonts.TRAIN_FOLDERS), longest):
        queue.put(batch)


def losses(model, gray, texts):
    """-> cross entropy of the answer's bytes, CTC loss of its characters on the patch columns."""
    answers = [list(t.encode()) + [IM_END] for t in texts]
    length = max(map(len, answers))
    want = torch.tensor([a + [-100] * (length - len(a)) for a in answers])
    given = want[:, :-1].clone()
    given[given < 0] = PAD
    logits, ctc = model(gray, given)
    answer = F.cross_entropy(logits.float().reshape(-1, VOCAB), want.reshape(-1), ignore_index=-100)
    letters = F.ctc_loss(ctc.float().transpose(0, 1).log_softmax(-1), torch.tensor([CLASS_OF[c] for t in texts for c in t]),
                         torch.full((len(texts),), ctc.shape[1]), torch.tensor([len(t) for t in texts]),
                         blank=CTC_CLASSES - 1, zero_infinity=True)
    return answer, letters


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder")
    args.add_argument("--until", required=True)
    args.add_argument("--start-from")
    args.add_argument("--peak", type=float, default=1.5e-3)
    args.add_argument("--ctc", type=float, default=.4)
    args = args.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.folder, exist_ok=True)
    path, log = os.path.join(args.folder, "checkpoint.pt"), open(os.path.join(args.folder, "log.txt"), "a", buffering=1)
    until = datetime.datetime.fromisoformat(args.until).timestamp()
    model, queue, longest = LineReader(), mp.Queue(24), mp.Value("i", FIRST)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() < 2]
    opt = torch.optim.AdamW([dict(params=decay, weight_decay=.02), dict(params=plain, weight_decay=0.)], lr=args.peak, betas=(.9, .98))
    step, seen, began = 0, 0, time.time()
    if os.path.exists(path):
        saved = torch.load(path)
        model.load_state_dict(saved["m"])
        opt.load_state_dict(saved["o"])
        step, seen, began = saved["it"], saved["seen"], saved["began"]
        longest.value = saved.get("longest", LONGEST)
    elif args.start_from:
        start.grow(model, args.start_from)
        longest.value = LONGEST
    mp.Process(target=producer, args=(queue, int(time.time()), longest), daemon=True).start()
    model.train()
    model.fast = True
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))             # save, then leave
    smooth, smooth_ctc, clock, saved_at, counted = None, None, time.time(), time.time(), 0
    while time.time() < until:
        done = min(1, max(0, (time.time() - began) / (until - began)))
        rate = args.peak * min(1, (step + 1) / WARM_UP) * .5 * (1 + math.cos(math.pi * done))
        for group in opt.param_groups:
            group["lr"] = rate
        gray, texts = queue.get()
        answer, letters = losses(model, torch.from_numpy(gray), texts)
        opt.zero_grad()
        (answer + args.ctc * letters).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.)
        opt.step()
        step, seen, counted = step + 1, seen + len(texts), counted + len(texts)
        a, c = answer.item(), letters.item()
        smooth, smooth_ctc = (a, c) if smooth is None else (.98 * smooth + .02 * a, .98 * smooth_ctc + .02 * c)
        if smooth < GROW_BELOW and longest.value < LONGEST and step % 20 == 0:
            longest.value += 1
        if step % LOG_EVERY == 0:
            print(f"{time.strftime('%H:%M:%S')} step {step} lines {seen} loss {smooth:.4f} ctc {smooth_ctc:.3f} rate {rate:.2e} "
                  f"{counted / (time.time() - clock):.0f} lines/s queue {queue.qsize()}", file=log)
            clock, counted = time.time(), 0
        if time.time() - saved_at > SAVE_EVERY or time.time() >= until or stop:
            torch.save(dict(m=model.state_dict(), o=opt.state_dict(), it=step, seen=seen, began=began, longest=longest.value), path + ".new")
            os.replace(path + ".new", path)
            gray, texts = queue.get()
            gray, texts = gray[:48], texts[:48]
            got = read(model, torch.from_numpy(gray))
            wrong = [(t, g) for t, g in zip(texts, got) if t != g]
            print(f"character error rate {sum(map(distance, got, texts)) / sum(map(len, texts)):.4f}", wrong[:4], file=log)
            saved_at = time.time()
            if stop:
                break
            clock, counted = time.time(), 0
    os._exit(0)


if __name__ == "__main__":
    main()
