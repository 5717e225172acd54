"""The listener: LFM2-Audio's conformer (projector type lfm2a) in miniature, in front of the line reader's decoder.

Mel frames -> three strided convolutions, a row of every eight frames -> E_DEPTH conformer blocks of width E with relative
positions -> two matrices -> rows of the decoder's width. The decoder is the line reader's (model.py).
A batch has one length, so nothing is masked. `python3 ear.py` compares the fast path with plain float32.
"""
import functools
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function
import fused
import model as M

E, E_HEADS, E_HEAD, E_FF, E_DEPTH, TAPS, MELS, CHANNELS, FEATURES = 192, 6, 32, 512, 6, 9, 64, 32, 512
SLOTS = 3                                          # letters or phonemes that one row can name in the auxiliary heads
LETTERS = " abcdefghijklmnopqrstuvwxyz'"           # classes of the CTC head; a last one is the blank
PHONEMES = " ɪəsnztldkɹampiɛebʊʃfɒɡŋʌvɔoæuwʒɑjhɜrɐᵻɚθɾʉð"      # at each third of a row; the first is silence
PHONEME_DEPTH = 3                                  # blocks before the phonemes are asked for
CLIP_SECONDS = 9.                                  # of the clips that it learnt from
PROMPT = list(b"OCR") + [M.IM_END]                 # the instruction that the decoder knows


def rows_of(frames):
    return (frames + 7) // 8


class Gate(Function):
    @staticmethod
    def forward(ctx, both):
        ctx.save_for_backward(both)
        c = both.shape[-1] // 2
        y = torch.empty(*both.shape[:-1], c, dtype=fused.BF)
        fused.call("gate", both.numel() // (2 * c), c, both, y)
        return y

    @staticmethod
    def backward(ctx, d):
        both, = ctx.saved_tensors
        c, out = both.shape[-1] // 2, torch.empty_like(both)
        fused.call("gate_back", both.numel() // (2 * c), c, both, d.contiguous(), out)
        return out


class Depthwise(Function):
    """[b, n, c], kernel [taps, c], bias [c] -> silu of the convolution along n"""

    @staticmethod
    def forward(ctx, x, w, bias):
        z, y = torch.empty_like(x), torch.empty_like(x)
        fused.call("depthwise", *x.shape, len(w), x, w, bias, z, y)
        ctx.save_for_backward(x, w, z)
        return y

    @staticmethod
    def backward(ctx, d):
        x, w, z = ctx.saved_tensors
        dz, dx, dw, db = torch.empty(x.shape), torch.empty_like(x), torch.zeros_like(w), torch.zeros(x.shape[-1])
        fused.call("depthwise_back", *x.shape, len(w), x, w, z, d.contiguous(), dz, dx, dw, db)
        return dx, dw, db


class Silu(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        y = torch.empty_like(x)
        fused.call("silu", x.numel(), x, y)
        return y

    @staticmethod
    def backward(ctx, d):
        x, = ctx.saved_tensors
        d = d.contiguous().clone()
        fused.call("silu_back", x.numel(), x, d)
        return d


class AddDistances(Function):
    """scores [b, h, n, n] += [b, h, n, 2n - 1] at each key's distance"""

    @staticmethod
    def forward(ctx, s, by_distance):
        n = s.shape[-1]
        fused.call("add_distances", s.numel() // (n * n), n, by_distance, s)
        ctx.mark_dirty(s)
        return s

    @staticmethod
    def backward(ctx, d):
        d = d.contiguous()
        n = d.shape[-1]
        out = torch.empty(*d.shape[:-1], 2 * n - 1, dtype=fused.BF)
        fused.call("add_distances_back", d.numel() // (n * n), n, d, out)
        return d, out


@functools.lru_cache
def waves(n):
    """Sines and cosines by turns of the distances n - 1 .. 1 - n: [2n - 1, FEATURES]"""
    rate = torch.exp(torch.arange(0, FEATURES, 2) * (-torch.log(torch.tensor(10000.)) / FEATURES))
    angle = torch.arange(n - 1, -n, -1.)[:, None] * rate
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)


class HalfStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.n, self.up, self.down = nn.LayerNorm(E, eps=1e-6), nn.Linear(E, E_FF), nn.Linear(E_FF, E)

    def forward(self, x):
        return x + .5 * self.down(F.silu(self.up(self.n(x))))

    def fast(self, h):
        """What is added; h is normalised already."""
        hidden = Silu.apply(fused.linear(h, self.up.weight, self.up.bias))
        return fused.linear(hidden, .5 * self.down.weight, .5 * self.down.bias)


class ConformerBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = HalfStep(), HalfStep()
        self.n1, self.n2, self.n3 = (nn.LayerNorm(E, eps=1e-6) for _ in range(3))     # of attention, convolution, the end
        self.qkv, self.o, self.pos = nn.Linear(E, 3 * E), nn.Linear(E, E), nn.Linear(FEATURES, E, bias=False)
        self.far = nn.Parameter(torch.zeros(E_HEADS, 1, E_HEAD))                      # pos_bias_v; the bias of q is pos_bias_u
        self.pw1, self.pw2 = nn.Linear(E, 2 * E), nn.Linear(E, E)
        self.dw, self.db = nn.Parameter(torch.randn(TAPS, E) * TAPS ** -.5), nn.Parameter(torch.zeros(E))

    def distances(self, n, product=F.linear):
        return product(waves(n), self.pos.weight).view(2 * n - 1, E_HEADS, E_HEAD).permute(1, 2, 0)

    def forward(self, x):
        b, n, _ = x.shape
        x = self.first(x)
        q, k, v = self.qkv(self.n1(x)).view(b, n, 3, E_HEADS, E_HEAD).permute(2, 0, 3, 1, 4)
        s = (q + self.far) @ self.distances(n)
        at = n - 1 - torch.arange(n)[:, None] + torch.arange(n)
        s = q @ k.transpose(-1, -2) + s.gather(-1, at.expand(b, E_HEADS, n, n))
        x = x + self.o(((s * E_HEAD ** -.5).softmax(-1) @ v).transpose(1, 2).flatten(2))
        a, g = self.pw1(self.n2(x)).chunk(2, -1)
        h = F.conv1d((a * torch.sigmoid(g)).transpose(1, 2), self.dw.T[:, None], self.db, padding=TAPS // 2, groups=E)
        x = x + self.pw2(F.silu(h).transpose(1, 2))
        return self.n3(self.second(x))

    def fast(self, x):
        n = x.shape[1]
        x, h = fused.AddNorm.apply(x, None, self.first.n.weight, self.first.n.bias)
        x, h = fused.AddNorm.apply(x, self.first.fast(h), self.n1.weight, self.n1.bias)
        one, zero = torch.ones(n, E_HEAD // 2), torch.zeros(n, E_HEAD // 2)
        q, k, v = fused.SplitHeads.apply(fused.linear(h, self.qkv.weight, self.qkv.bias), one, zero, E_HEADS, E_HEADS, E_HEAD)
        far = self.distances(n, lambda x, w: fused.linear(x.to(fused.BF), w))
        s = (q + (self.far * E_HEAD ** -.5).to(fused.BF)) @ far
        s = AddDistances.apply(q @ k.transpose(-1, -2), s)
        y = fused.linear(fused.Merge.apply(fused.Softmax.apply(s, False) @ v), self.o.weight, self.o.bias)
        x, h = fused.AddNorm.apply(x, y, self.n2.weight, self.n2.bias)
        h = Depthwise.apply(Gate.apply(fused.linear(h, self.pw1.weight, self.pw1.bias)), self.dw, self.db)
        x, h = fused.AddNorm.apply(x, fused.linear(h, self.pw2.weight, self.pw2.bias), self.second.n.weight, self.second.n.bias)
        return fused.AddNorm.apply(x, self.second.fast(h), self.n3.weight, self.n3.bias)[1].float()


class Ear(nn.Module):
    def __init__(self):
        super().__init__()
        c = CHANNELS
        self.c0, self.c2, self.c5 = nn.Conv2d(1, c, 3, 2, 1), nn.Conv2d(c, c, 3, 2, 1, groups=c), nn.Conv2d(c, c, 3, 2, 1, groups=c)
        self.c3, self.c6 = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)
        self.into = nn.Linear(c * MELS // 8, E)
        self.blocks = nn.ModuleList(ConformerBlock() for _ in range(E_DEPTH))
        self.ln, self.m1, self.m3 = nn.LayerNorm(E, eps=1e-6), nn.Linear(E, 2 * M.D), nn.Linear(2 * M.D, M.D)
        self.ctc = nn.Linear(E, SLOTS * (len(LETTERS) + 1))            # training only, as the next
        self.phones = nn.Linear(E, SLOTS * len(PHONEMES))
        self.fast = False

    def forward(self, mel):
        """mel: [batch, frames, MELS] -> rows [batch, rows_of(frames), D], logits of letters and of phonemes [batch, SLOTS * rows, classes]"""
        fast = self.fast and self.training
        x = mel[:, None]
        with torch.cpu.amp.autocast(enabled=fast):
            x = F.relu(self.c0(x))
            x = F.relu(self.c3(self.c2(x)))
            x = F.relu(self.c6(self.c5(x)))
            x = self.into(x.transpose(1, 2).flatten(2)).float()
        cast = (lambda t: t.to(fused.BF)) if fast else lambda t: t
        linear = lambda h, layer: (fused.linear if fast else F.linear)(cast(h), layer.weight, layer.bias)
        slots = lambda y: y.float().unflatten(-1, (SLOTS, -1)).flatten(1, 2)
        for i, block in enumerate(self.blocks):
            x = block.fast(x) if fast else block(x)
            if i + 1 == PHONEME_DEPTH:
                phones = slots(linear(x, self.phones))
        h = self.ln(x)
        return linear(F.gelu(linear(h, self.m1)), self.m3).float(), slots(linear(h, self.ctc)), phones


def decode(reader, rows, text):
    """Decoder of `reader` behind rows [batch, n, D]; text: [batch, m] bytes of the answer so far -> logits [batch, m + 1, VOCAB]."""
    b, prompt = len(text), torch.tensor(PROMPT)
    x = torch.cat((rows, reader.emb(prompt)[None].expand(b, -1, -1), reader.emb(text)), 1)
    inv = 1 / 1e6 ** (torch.arange(0, M.HEAD, 2).float() / M.HEAD)
    angles = torch.arange(x.shape[1])[:, None].float() * inv
    cos, sin = angles.cos(), angles.sin()
    tail = x.shape[1] - text.shape[1] - 1
    if reader.fast and reader.training:
        x = fused.text_blocks(reader.tb, reader.on, x, cos, sin, M.HEADS, M.KV_HEADS, M.HEAD)
        return fused.linear(x[:, tail:], reader.emb.weight)
    for block in reader.tb:
        x = block(x, cos, sin)
    return reader.on(x[:, tail:]) @ reader.emb.weight.T


@torch.no_grad()
def hear(ear, reader, mel, limit=200):
    """Greedy transcripts of a batch of equally long recordings, by the decoder and by the CTC head."""
    was = ear.training, reader.training
    ear.eval(), reader.eval()
    rows, ctc, _ = ear(mel)
    out, done = torch.zeros(len(mel), 0, dtype=torch.long), torch.zeros(len(mel), dtype=torch.bool)
    for _ in range(limit):
        nxt = decode(reader, rows, out)[:, -1].argmax(-1)
        nxt[done] = M.IM_END
        done |= nxt == M.IM_END
        out = torch.cat((out, nxt[:, None]), 1)
        if done.all():
            break
    ear.train(was[0]), reader.train(was[1])
    cut = lambda row: row[:row.index(M.IM_END)] if M.IM_END in row else row
    return [bytes(c for c in cut(row) if c < 256).decode("utf-8", "replace") for row in out.tolist()], letters(ctc)


def letters(ctc):
    best = ctc.argmax(-1).tolist()
    return [" ".join("".join(LETTERS[c] for i, c in enumerate(row) if c < len(LETTERS) and (i == 0 or row[i - 1] != c)).split()) for row in best]


if __name__ == "__main__":
    torch.manual_seed(1)
    torch.set_num_threads(1)
    ear = Ear().train()
    for p in ear.parameters():
        if p.dim() == 1:
            p.data += .1 * torch.randn_like(p)
    for block in ear.blocks:
        block.far.data += .3 * torch.randn_like(block.far)
    mel, results = torch.randn(4, 161, MELS), []
    weight = torch.randn(4, rows_of(161), M.D)
    for fast in (False, True):
        ear.zero_grad()
        ear.fast = fast
        rows, ctc, phones = ear(mel)
        ((rows * weight).mean() + ctc.pow(2).mean() + phones.pow(2).mean()).backward()
        results.append((rows.detach(), {k: p.grad.clone() for k, p in ear.named_parameters()}))
    error = lambda a, b: float((a - b).norm() / (a.norm() + 1e-12))
    print(sum(p.numel() for p in ear.parameters()), "parameters; rows", error(results[0][0], results[1][0]))
    print("worst gradients", sorted(((round(error(g, results[1][1][k]), 4), k) for k, g in results[0][1].items()), reverse=True)[:8])
