#!/usr/bin/env python3
"""Train the listener: hear.py FOLDER --until "2026-11-28 08:05" [--decoder off|frozen|trained --rows FILE] [--ear MMPROJ] [--trainers 2]

Continues FOLDER/checkpoint.pt when it exists. The learning rate follows a cosine over the wall clock and reaches zero at the
given time. With --decoder off only the losses of letters and phonemes train the encoder; from then on stop (SIGTERM saves first) and start again with
--decoder frozen: the line reader's decoder, unchanged, must write what the encoder hears. With --decoder trained it learns along, and is shown
rows of printed lines (line_rows.py) in between, so that it still reads.
"""
import argparse
import datetime
import itertools
import math
import multiprocessing as mp
import os
import random
import signal
import sys
import time
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import ear as E
import ear_files
import fused
import model as M
import sounds
import start
import voices
from evaluate import distance, spelled

POOL, REUSE, AGAIN, WARM_UP, LOG_EVERY, SAVE_EVERY = 6000, 2, 1000, 200, 50, 240
INVENTED = 200                                     # voices made up at random, for every other clip
TWO = .2                                           # share of the clips with a second sentence behind a pause, if it fits
SHORTEST, LONGEST, GROW_BELOW = 3, 20, 1.2         # words in a clip; a word more as long as the losses of answer and letters are below
STEP_SECONDS, MAX_SECONDS = 48, 9.2                # of sound in a batch; of a clip
CELL = 6400                                        # lengths are multiples of it, in samples
LINES, LINES_SHARE = 32, .5                        # printed lines in a batch; steps with such a batch, when the decoder learns along
RATE = sounds.RATE


def phonemes_at(marks, frames):
    """What sounds at each third of a row: indices into PHONEMES [SLOTS * rows]. marks: as Espeak.say, at samples at RATE, the last one a pause."""
    starts, names = [0.], [0]
    for (at, name), (end, _) in zip(marks, marks[1:] + marks[-1:]):
        known = [E.PHONEMES.index(c) for c in name if c in E.PHONEMES] or [0]
        for i, c in enumerate(known):
            starts.append(at + (end - at) * i / len(known))
            names.append(c)
    t = (np.arange(E.SLOTS * E.rows_of(frames)) - 1) * (8 * sounds.HOP / E.SLOTS)
    return np.array(names)[np.maximum(0, np.searchsorted(starts, t, "right") - 1)]


class Pool:
    """Clips that were spoken lately; each is taken about REUSE times, spoiled anew."""

    def __init__(self, seed, longest):
        from speech_texts import SpeechTexts
        self.r, self.g, self.longest = random.Random(seed), np.random.default_rng(seed), longest
        self.texts, self.clips = SpeechTexts(), []
        folder, self.invented = voices.with_invented(INVENTED, seed)
        self.espeak, self.variants = voices.Speaker(folder), voices.training_variants()
        while len(self.clips) < 150:
            self.speak()
        self.noises = sounds.Noises(self.g, [sounds.resampled(x, voices.RATE) / 32768 for x, _, _ in self.clips])

    def speak(self):
        r = self.r
        most = self.longest.value if r.random() < .7 else r.randrange(2, self.longest.value + 1)
        text = self.texts.sentence(r, most)
        x, phonemes = self.espeak.say(text, voices.voice(r, voices.ACCENTS + voices.FAR_ACCENTS, r.choice((self.variants, self.invented))), voices.speed(r, voices.SPEEDS), r.randrange(20, 81), r.randrange(20, 90))
        if len(x) < voices.RATE // 5:
            return
        if len(self.clips) < POOL:
            self.clips.append((x, text, phonemes))
        else:
            self.clips[r.randrange(POOL)] = x, text, phonemes

    def clip(self):
        """-> (samples of a multiple of CELL, text, its phonemes at each third of a row)"""
        r, g = self.r, self.g
        if r.random() < 1 / REUSE:
            self.speak()
        parts, texts, marks, at = [], [], [], r.randrange(RATE // 2) if r.random() < .8 else 0
        while True:
            x, text, said = r.choice(self.clips)
            rate = voices.RATE * r.uniform(.93, 1.08)
            x = sounds.resampled(x.astype(np.float32) / 32768, rate)
            if at + len(x) > (MAX_SECONDS - .5) * RATE:
                if parts:
                    break
                continue
            parts.append((at, x))
            texts.append(text)
            marks += [(at + m * RATE / rate, name) for m, name in said] + [(at + len(x), "")]
            at += len(x)
            if r.random() > TWO:
                break
            at += r.randrange(RATE // 4, 2 * RATE)
        if r.random() < .03:
            parts, texts, marks, at = [], [], [], r.randrange(CELL, 4 * RATE)
        n = at + (r.randrange(RATE // 2) if r.random() < .8 else 0)
        n += -n % CELL
        out = np.zeros(n, np.float32)
        for begin, x in parts:
            out[begin:begin + len(x)] = x
        return sounds.spoil(g, out, self.noises), " ".join(texts), phonemes_at(marks, n // sounds.HOP + 1)


def producer(queue, seed, longest):
    """Batches, and None when it fails: who waits for more learns of it."""
    os.nice(3)
    try:
        make_batches(queue, Pool(seed, longest))
    finally:
        queue.put(None)


def make_batches(queue, pool):
    """Every clip is heard twice, AGAIN clips apart, with other parts of it masked."""
    groups, again = {}, []
    while True:
        if len(again) == AGAIN:
            mel, *said = again.pop(pool.r.randrange(AGAIN))
        else:
            x, *said = pool.clip()
            if len(x) > MAX_SECONDS * RATE:
                continue
            mel = sounds.mel(x)
            again.append((mel.copy(), *said))
        group = groups.setdefault(len(mel), [])
        group.append((sounds.masked(pool.g, mel), *said))
        if len(group) >= min(32, round(STEP_SECONDS * RATE / (len(mel) * sounds.HOP))):
            mels, texts, phonemes = zip(*groups.pop(len(mel)))
            queue.put((np.stack(mels).astype(np.float16), texts, np.stack(phonemes)))


def ctc_loss(logits, texts):
    targets = [[E.LETTERS.index(c) for c in t] for t in texts]
    return F.ctc_loss(logits.transpose(0, 1).log_softmax(-1), torch.tensor(sum(targets, []), dtype=torch.long), torch.full((len(texts),), logits.shape[1]),
                      torch.tensor([len(t) for t in targets]), blank=len(E.LETTERS), zero_infinity=True)


def answer_loss(logits_of, texts):
    """Cross entropy of the answers and their ends, a byte. logits_of: bytes of the answers so far [batch, m] -> logits [batch, m + 1, VOCAB]"""
    answers = [list(t.encode()) for t in texts]
    n = max(map(len, answers))
    text = torch.tensor([a + [M.PAD] * (n - len(a)) for a in answers], dtype=torch.long)
    target = torch.tensor([a + [M.IM_END] + [-100] * (n - len(a)) for a in answers])
    return F.cross_entropy(logits_of(text).float().flatten(0, 1), target.flatten(), ignore_index=-100)


def losses(ear, reader, mel, texts, phonemes):
    """Cross entropy of the answer (0 without a reader), CTC of its letters, cross entropy of the phonemes."""
    rows, ctc, phones = ear(mel)
    letters, sounds_heard = ctc_loss(ctc, [spelled(t) for t in texts]), F.cross_entropy(phones.flatten(0, 1), phonemes.flatten())
    if reader is None:
        return letters * 0, letters, sounds_heard
    return answer_loss(lambda text: E.decode(reader, rows, text), texts), letters, sounds_heard


def lines_loss(reader, batches, r):
    """Cross entropy of some printed lines' bytes. batches: of line_rows.py"""
    rows, texts = r.choice(batches)
    at = r.randrange(max(1, len(texts) - LINES))
    rows, texts = rows[at:at + LINES], texts[at:at + LINES]
    return answer_loss(lambda text: reader.decode(rows, 2, rows.shape[1] // 2, text), texts)


class AdamW:
    """All parameters as one stretch of memory that processes share, matrices (which decay) first: a step is one pass."""
    BETAS = .9, .98

    def __init__(self, model, decay):
        parameters = dict(sorted(model.named_parameters(), key=lambda p: p[1].dim() < 2))
        self.w = torch.cat([p.data.flatten() for p in parameters.values()]).share_memory_()
        self.g, self.m, self.v = (torch.zeros_like(self.w) for _ in range(3))
        self.decay, self.matrices, self.parts, at = decay, sum(p.numel() for p in parameters.values() if p.dim() > 1), {}, 0
        for name, p in parameters.items():
            part = self.parts[name] = slice(at, at + p.numel())
            p.data, p.grad, at = self.w[part].view_as(p), self.g[part].view_as(p), part.stop

    def moments(self):
        """{parameter's name: (first moment, second moment)}"""
        return {name: (self.m[part].clone(), self.v[part].clone()) for name, part in self.parts.items()}

    def restore(self, moments):
        """Parameters that `moments` does not name begin at zero."""
        for name in self.parts.keys() & moments.keys():
            self.m[self.parts[name]], self.v[self.parts[name]] = moments[name]

    def step(self, number, rate, most):
        """number: from 1. most: of the gradients' norm. Leaves the gradients at zero."""
        norm = float(self.g.norm())
        if not math.isfinite(norm):
            self.g.zero_()
            return
        scale = min(1., most / (norm + 1e-6))
        for part, decay in ((slice(0, self.matrices), self.decay), (slice(self.matrices, None), 0.)):
            w, g, m, v = (t[part] for t in (self.w, self.g, self.m, self.v))
            fused.call("adamw", w.numel(), w, g, m, v, float(rate), decay, scale, *self.BETAS, *(1 - b ** number for b in self.BETAS))


def word_errors(pairs):
    """(truth, heard) -> share of the words that are wrong"""
    pairs = list(pairs)
    wrong = sum(distance(spelled(t).split(), spelled(h).split()) for t, h in pairs)
    return wrong / max(1, sum(len(spelled(t).split()) for t, _ in pairs))


class Run:
    """What the trainers share: the settings, the queue of batches, the curriculum, and the weights, which every trainer moves as soon
    as it has a gradient, whatever the others do meanwhile (arXiv:1106.5730)."""

    def __init__(self, args):
        self.args, self.queue, self.longest, self.clips = args, mp.Queue(12), mp.Value("i", SHORTEST), mp.Value("i", 0)
        self.path, self.until = os.path.join(args.folder, "checkpoint.pt"), datetime.datetime.fromisoformat(args.until).timestamp()
        self.ear, self.reader = E.Ear(), None
        if args.decoder != "off":
            self.reader = M.LineReader().train()
            start.grow(self.reader, args.start_from)
            self.reader.requires_grad_(False)
            self.reader.fast = True
        if args.ear:
            ear_files.load(self.ear, args.ear)
        self.model = nn.ModuleDict({"ear": self.ear})                    # what learns
        self.rows = []                                                   # of printed lines
        if args.decoder == "trained":
            self.rows = torch.load(args.rows)
            self.model["decoder"] = self.reader.decoder().requires_grad_()
        self.optimizer, self.step, self.began = AdamW(self.model, .02), 0, time.time()
        if os.path.exists(self.path):
            saved = torch.load(self.path)
            self.model.load_state_dict(saved["m"], strict=False)
            self.optimizer.restore(saved["o"])
            self.step, self.clips.value, self.began = saved["it"], saved["seen"], saved["began"]
            if (saved["decoder"] == "off") == (args.decoder == "off"):       # a decoder that comes in begins with short clips
                self.longest.value = saved["longest"]
        self.ear.train()
        self.ear.fast = True

    def rate(self):
        done = min(1, max(0, (time.time() - self.began) / (self.until - self.began)))
        return self.args.peak * min(1, (self.step + 1) / WARM_UP) * .5 * (1 + math.cos(math.pi * done))

    def save(self):
        torch.save(dict(m=self.model.state_dict(), o=self.optimizer.moments(), it=self.step, seen=self.clips.value, began=self.began,
                        longest=self.longest.value, decoder=self.args.decoder), self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def batch(self):
        """The next one; None when no more come."""
        made = self.queue.get(timeout=600)
        if made is None:
            self.queue.put(None)                                         # for the other trainers
        return made

    def sample(self):
        """Transcripts of the next batch: how far it is."""
        made = self.batch()
        if made is None:
            return "no more clips: their maker failed"
        mel, texts, _ = made
        mel = torch.from_numpy(mel).float()
        if self.reader is None:
            self.ear.eval()
            with torch.no_grad():
                heard = spoken = E.letters(self.ear(mel)[1])
            self.ear.train()
        else:
            heard, spoken = E.hear(self.ear, self.reader, mel)
        return f"word error rate {word_errors(zip(texts, heard)):.3f}, of the CTC letters {word_errors(zip(texts, spoken)):.3f} {list(zip(texts, heard))[:4]}"


def train(run, first):
    """Until the clock or SIGTERM ends it. The first trainer logs, saves and lengthens the clips."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))             # save, then leave
    log = open(os.path.join(run.args.folder, "log.txt"), "a", buffering=1)
    smooth, clock, saved_at, counted, r = [None] * 4, time.time(), time.time(), run.clips.value, random.Random(os.getpid())
    while time.time() < run.until and not stop and (made := run.batch()):
        mel, texts, phonemes = made
        parts = losses(run.ear, run.reader, torch.from_numpy(mel).float(), texts, torch.from_numpy(phonemes))
        total = parts[0] + run.args.ctc * (parts[1] + parts[2])
        if run.rows and r.random() < LINES_SHARE:
            parts += lines_loss(run.reader, run.rows, r),
            total = total + parts[3]
        total.backward()
        run.optimizer.step(run.step + 1, run.rate(), 1.)
        run.step += 1
        with run.clips.get_lock():
            run.clips.value += len(texts)
        if not first:
            continue
        smooth = [s if p is None else p.item() if s is None else .98 * s + .02 * p.item() for s, p in itertools.zip_longest(smooth, parts)]
        if max(smooth[:2]) < GROW_BELOW and run.longest.value < LONGEST and run.step % 10 == 0:
            run.longest.value += 1
        if run.step % LOG_EVERY == 0:
            seen = run.clips.value
            print(f"{time.strftime('%H:%M:%S')} step {run.step} clips {seen} loss {smooth[0]:.4f} letters {smooth[1]:.3f} phonemes {smooth[2]:.3f} {f'lines {smooth[3]:.4f} ' if run.rows else ''}rate {run.rate():.2e} "
                  f"words {run.longest.value} {(seen - counted) / (time.time() - clock):.0f} clips/s queue {run.queue.qsize()}", file=log)
            clock, counted = time.time(), seen
        if time.time() - saved_at > SAVE_EVERY:
            run.save()
            print(run.sample(), file=log)
            saved_at = time.time()
    if first:
        run.save()
        print(run.sample(), file=log)
        for child in mp.active_children():
            child.terminate()
    os._exit(0)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder")
    args.add_argument("--until", required=True)
    args.add_argument("--decoder", choices=("off", "frozen", "trained"), default="off")
    args.add_argument("--rows", help="printed lines for --decoder trained, of line_rows.py")
    args.add_argument("--start-from", default="..")
    args.add_argument("--ear", help="an mmproj file to begin with")
    args.add_argument("--peak", type=float, default=8e-4)
    args.add_argument("--ctc", type=float, default=1.)
    args.add_argument("--trainers", type=int, default=1, help="processes, one core each; clips are made besides")
    args = args.parse_args()
    if (args.decoder == "trained") != bool(args.rows):
        sys.exit("--decoder trained and --rows go together: line_rows.py makes the file")
    torch.set_num_threads(1)
    os.makedirs(args.folder, exist_ok=True)
    run = Run(args)
    mp.Process(target=producer, args=(run.queue, int(time.time()), run.longest), daemon=True).start()
    for _ in range(args.trainers - 1):
        mp.Process(target=train, args=(run, False), daemon=True).start()
    train(run, True)


if __name__ == "__main__":
    main()
