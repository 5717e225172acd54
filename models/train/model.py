"""The line reader: a Qwen2-VL in miniature, so that any GGUF tool can run it.

Vision: 8x8 patches, V_DEPTH blocks of width 128 with 2-D RoPE, 2x2 merge (one token per 16x16 pixels).
Text: byte tokens, T_DEPTH Qwen2 blocks of width 128 with M-RoPE, tied output. A batch has one image size, so nothing is masked.
Matrix products run in bfloat16 while training (twice as fast on a CPU with AVX-512 BF16) and in float32 otherwise.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
import fused
from texts import CHARSET

D, HEADS, KV_HEADS, HEAD, FF_V, FF_T, V_DEPTH, T_DEPTH, PATCH = 128, 4, 2, 32, 512, 384, 6, 4, 8
MROPE = [4, 6, 6]                                  # frequency pairs that follow time, row, column
IM_END, V_START, V_END, PAD, V_PAD, VOCAB = 256, 257, 258, 259, 260, 264
PROMPT = (torch.tensor([V_START]), torch.tensor([V_END] + list(b"OCR") + [IM_END]))   # around the image
CTC_CLASSES = len(CHARSET) + 1                     # the last one is the blank


class Linear(nn.Linear):
    def forward(self, x):
        if not self.training:
            return F.linear(x, self.weight, self.bias)
        return fused.linear(x, self.weight, self.bias)


def rope_table(freqs):
    """[n, HEAD/2] angles -> cos and sin of the same shape."""
    return freqs.cos().contiguous(), freqs.sin().contiguous()


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(D, eps=1e-6), nn.LayerNorm(D, eps=1e-6)
        self.qkv, self.o = Linear(D, 3 * D), Linear(D, D)
        self.f1, self.f2 = Linear(D, FF_V), Linear(FF_V, D)

    def forward(self, x, cos, sin):                # x: [batch, patches, D]
        b, n, _ = x.shape
        qkv = self.qkv(self.n1(x)).view(b, n, 3, HEADS, HEAD)
        q, k, v = qkv.unbind(2)
        a = fused.attention(fused.rope(q, cos, sin), fused.rope(k, cos, sin), v, causal=False)
        x = x + self.o(a.reshape(b, n, D))
        return x + self.f2(fused.quick_gelu(self.f1(self.n2(x))))


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(D))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.w


class TextBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = RMSNorm(), RMSNorm()
        self.q, self.k, self.v = Linear(D, HEADS * HEAD), Linear(D, KV_HEADS * HEAD), Linear(D, KV_HEADS * HEAD)
        self.o = Linear(HEADS * HEAD, D, bias=False)
        self.g, self.u, self.d = Linear(D, FF_T, bias=False), Linear(D, FF_T, bias=False), Linear(FF_T, D, bias=False)

    def forward(self, x, cos, sin):                # x: [batch, tokens, D]
        b, n, _ = x.shape
        h = self.n1(x)
        q, k, v = self.q(h).view(b, n, HEADS, HEAD), self.k(h).view(b, n, KV_HEADS, HEAD), self.v(h).view(b, n, KV_HEADS, HEAD)
        q, k = fused.rope(q, cos, sin), fused.rope(k, cos, sin)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 2) for t in (k, v))
        x = x + self.o(fused.attention(q, k, v, causal=True).reshape(b, n, D))
        h = self.n2(x)
        return x + self.d(fused.swiglu(self.g(h), self.u(h)))


class LineReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.pe = nn.Linear(PATCH * PATCH, D, bias=False)            # grey: the three colour kernels of the file are equal
        self.vb = nn.ModuleList(VisionBlock() for _ in range(V_DEPTH))
        self.ln, self.m1, self.m2 = nn.LayerNorm(D, eps=1e-6), Linear(4 * D, 4 * D), Linear(4 * D, D)
        self.ctc = nn.Linear(D, CTC_CLASSES)       # auxiliary head, training only
        self.emb = nn.Embedding(VOCAB, D)
        self.tb, self.on = nn.ModuleList(TextBlock() for _ in range(T_DEPTH)), RMSNorm()
        nn.init.normal_(self.emb.weight, std=.05)

    def encode(self, gray):
        """gray: [batch, H, W] uint8, H and W multiples of 16 -> image tokens [batch, H/16 * W/16, D], ctc logits [batch, W/8, classes]."""
        b, hp, wp = gray.shape[0], gray.shape[1] // PATCH, gray.shape[2] // PATCH
        x = (gray.float() / 255 - .5) / .5
        x = x.view(b, hp // 2, 2, PATCH, wp // 2, 2, PATCH).permute(0, 1, 4, 2, 5, 3, 6)      # 2x2 cells together
        x = self.pe(x.reshape(b, hp * wp, PATCH * PATCH))
        rows = torch.arange(hp).view(hp // 2, 1, 2, 1).expand(hp // 2, wp // 2, 2, 2).reshape(-1, 1)
        cols = torch.arange(wp).view(1, wp // 2, 1, 2).expand(hp // 2, wp // 2, 2, 2).reshape(-1, 1)
        inv = 1 / 10000 ** (torch.arange(0, HEAD // 2, 2).float() / (HEAD // 2))
        cos, sin = rope_table(torch.cat((rows * inv, cols * inv), -1))
        for block in self.vb:
            x = block(x, cos, sin)
        x = self.ln(x)
        ctc = self.ctc(x.view(b, hp // 2, wp // 2, 2, 2, D).mean((1, 3)).reshape(b, wp, D)) if self.training else None
        return self.m2(F.gelu(self.m1(x.view(b, -1, 4 * D)).float(), approximate="tanh")), ctc

    def forward(self, gray, text):
        """text: [batch, n] token ids of the answer so far -> next-token logits [batch, n + 1, VOCAB], ctc logits."""
        image, ctc = self.encode(gray)
        return self.decode(image, gray.shape[1] // 16, gray.shape[2] // 16, text), ctc

    def decode(self, image, gh, gw, text):
        b = len(text)
        before, after = (self.emb(p)[None].expand(b, -1, -1) for p in PROMPT)
        x = torch.cat((before, image.float(), after, self.emb(text)), 1)
        n0 = len(PROMPT[0])
        rows, cols = torch.arange(gh).repeat_interleave(gw), torch.arange(gw).repeat(gh)
        rest = torch.arange(len(PROMPT[1]) + text.shape[1]) + n0 + max(gh, gw)
        pos = torch.cat((torch.arange(n0).repeat(3, 1), torch.stack((torch.zeros_like(rows), rows, cols)) + n0, rest.repeat(3, 1)), 1)
        inv = 1 / 1e6 ** (torch.arange(0, HEAD, 2).float() / HEAD)
        axis = torch.tensor([a for a, n in enumerate(MROPE) for _ in range(n)])
        cos, sin = rope_table(pos[axis].T.float() * inv)
        for block in self.tb:
            x = block(x, cos, sin)
        return self.on(x[:, x.shape[1] - text.shape[1] - 1:]) @ self.emb.weight.T


@torch.no_grad()
def read(model, gray, limit=96):
    """Greedy answers for a batch of equal-sized images."""
    was_training = model.training
    model.eval()
    out, done = torch.zeros(len(gray), 0, dtype=torch.long), torch.zeros(len(gray), dtype=torch.bool)
    image, _ = model.encode(gray)
    for _ in range(limit):
        nxt = model.decode(image, gray.shape[1] // 16, gray.shape[2] // 16, out)[:, -1].argmax(-1)
        nxt[done] = IM_END
        done |= nxt == IM_END
        out = torch.cat((out, nxt[:, None]), 1)
        if done.all():
            break
    model.train(was_training)
    cut = lambda row: row[:row.index(IM_END)] if IM_END in row else row
    return [bytes(c for c in cut(row) if c < 256).decode("utf-8", "replace") for row in out.tolist()]
