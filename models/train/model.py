"""The line reader: a Qwen2-VL in miniature, so that any GGUF tool can run it.

Vision: 8x8 patches, V_DEPTH blocks of width 128 with 2-D RoPE, 2x2 merge (one token per 16x16 pixels).
Text: byte tokens, T_DEPTH Qwen2 blocks of width 128 with M-RoPE, tied output. A batch has one image size, so nothing is masked.
This is the definition, in plain float32; `model.fast` makes training take the bfloat16 path of fused.py instead.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from texts import CHARSET

D, HEADS, KV_HEADS, HEAD, FF_V, FF_T, V_DEPTH, T_DEPTH, PATCH = 128, 4, 2, 32, 512, 384, 6, 6, 8
MROPE = [4, 6, 6]                                  # frequency pairs that follow time, row, column
IM_END, V_START, V_END, PAD, V_PAD, VOCAB = 256, 257, 258, 259, 260, 264
PROMPT = (torch.tensor([V_START]), torch.tensor([V_END] + list(b"OCR") + [IM_END]))   # around the image
CTC_CLASSES = len(CHARSET) + 1                     # the last one is the blank


def rope(x, cos, sin):
    """x: [batch, n, heads, head]; the pairs are (i, i + head/2)."""
    a, b = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def attention(q, k, v, causal):
    """[batch, n, heads, head] each -> [batch, n, heads * head]"""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    s = q @ k.transpose(-1, -2) * HEAD ** -.5
    if causal:
        s = s + torch.full((s.shape[-1],) * 2, -1e9).triu(1)
    return (s.softmax(-1) @ v).transpose(1, 2).flatten(2)


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(D, eps=1e-6), nn.LayerNorm(D, eps=1e-6)
        self.qkv, self.o = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.f1, self.f2 = nn.Linear(D, FF_V), nn.Linear(FF_V, D)

    def forward(self, x, cos, sin):                # x: [batch, patches, D]
        q, k, v = self.qkv(self.n1(x)).unflatten(-1, (3, HEADS, HEAD)).unbind(2)
        x = x + self.o(attention(rope(q, cos, sin), rope(k, cos, sin), v, causal=False))
        h = self.f1(self.n2(x))
        return x + self.f2(h * torch.sigmoid(1.702 * h))          # quick GELU


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
        self.q, self.k, self.v = nn.Linear(D, HEADS * HEAD), nn.Linear(D, KV_HEADS * HEAD), nn.Linear(D, KV_HEADS * HEAD)
        self.o = nn.Linear(HEADS * HEAD, D, bias=False)
        self.g, self.u, self.d = nn.Linear(D, FF_T, bias=False), nn.Linear(D, FF_T, bias=False), nn.Linear(FF_T, D, bias=False)

    def forward(self, x, cos, sin):                # x: [batch, tokens, D]
        h = self.n1(x)
        q, k, v = (layer(h).unflatten(-1, (-1, HEAD)) for layer in (self.q, self.k, self.v))
        q, k = rope(q, cos, sin), rope(k, cos, sin)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 2) for t in (k, v))
        x = x + self.o(attention(q, k, v, causal=True))
        h = self.n2(x)
        return x + self.d(F.silu(self.g(h)) * self.u(h))


class LineReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.fast = False
        self.pe = nn.Linear(PATCH * PATCH, D, bias=False)            # grey: the three colour kernels of the file are equal
        self.vb = nn.ModuleList(VisionBlock() for _ in range(V_DEPTH))
        self.ln, self.m1, self.m2 = nn.LayerNorm(D, eps=1e-6), nn.Linear(4 * D, 4 * D), nn.Linear(4 * D, D)
        self.ctc = nn.Linear(D, CTC_CLASSES)       # auxiliary head, training only
        self.emb = nn.Embedding(VOCAB, D)
        self.tb, self.on = nn.ModuleList(TextBlock() for _ in range(T_DEPTH)), RMSNorm()
        nn.init.normal_(self.emb.weight, std=.05)

    def decoder(self):
        """The language model alone."""
        return nn.ModuleDict({"emb": self.emb, "tb": self.tb, "on": self.on})

    def encode(self, gray):
        """gray: [batch, H, W] uint8, H and W multiples of 16 -> image tokens [batch, H/16 * W/16, D], ctc logits [batch, W/8, classes]."""
        b, hp, wp = gray.shape[0], gray.shape[1] // PATCH, gray.shape[2] // PATCH
        x = (gray.float() / 255 - .5) / .5
        x = x.view(b, hp // 2, 2, PATCH, wp // 2, 2, PATCH).permute(0, 1, 4, 2, 5, 3, 6)      # 2x2 cells together
        x = self.pe(x.reshape(b, hp * wp, PATCH * PATCH))
        rows = torch.arange(hp).view(hp // 2, 1, 2, 1).expand(hp // 2, wp // 2, 2, 2).reshape(-1, 1)
        cols = torch.arange(wp).view(1, wp // 2, 1, 2).expand(hp // 2, wp // 2, 2, 2).reshape(-1, 1)
        inv = 1 / 10000 ** (torch.arange(0, HEAD // 2, 2).float() / (HEAD // 2))
        angles = torch.cat((rows * inv, cols * inv), -1)
        cos, sin = angles.cos(), angles.sin()
        linear = lambda layer, h: layer(h)
        if self.fast and self.training:
            import fused
            x = fused.vision_blocks(self.vb, self.ln, x, cos, sin, HEADS, HEAD)
            linear = lambda layer, h: fused.linear(h, layer.weight, layer.bias)
        else:
            for block in self.vb:
                x = block(x, cos, sin)
            x = self.ln(x)
        ctc = linear(self.ctc, x.view(b, hp // 2, wp // 2, 2, 2, D).mean((1, 3)).reshape(b, wp, D)) if self.training else None
        return linear(self.m2, F.gelu(linear(self.m1, x.view(b, -1, 4 * D)), approximate="tanh")), ctc

    def forward(self, gray, text):
        """text: [batch, n] token ids of the answer so far -> next-token logits [batch, n + 1, VOCAB], ctc logits."""
        image, ctc = self.encode(gray)
        return self.decode(image, gray.shape[1] // 16, gray.shape[2] // 16, text), ctc

    def decode(self, image, gh, gw, text):
        b, n0 = len(text), len(PROMPT[0])
        before, after = (self.emb(p)[None].expand(b, -1, -1) for p in PROMPT)
        x = torch.cat((before, image.float(), after, self.emb(text)), 1)
        rows, cols = torch.arange(gh).repeat_interleave(gw), torch.arange(gw).repeat(gh)
        rest = torch.arange(len(PROMPT[1]) + text.shape[1]) + n0 + max(gh, gw)
        pos = torch.cat((torch.arange(n0).repeat(3, 1), torch.stack((torch.zeros_like(rows), rows, cols)) + n0, rest.repeat(3, 1)), 1)
        inv = 1 / 1e6 ** (torch.arange(0, HEAD, 2).float() / HEAD)
        axis = torch.tensor([a for a, n in enumerate(MROPE) for _ in range(n)])
        angles = (pos[axis].T.float() * inv).contiguous()
        cos, sin = angles.cos(), angles.sin()
        tail = x.shape[1] - text.shape[1] - 1
        if self.fast and self.training:
            import fused
            x = fused.text_blocks(self.tb, self.on, x, cos, sin, HEADS, KV_HEADS, HEAD)
            return fused.linear(x[:, tail:], self.emb.weight)
        for block in self.tb:
            x = block(x, cos, sin)
        return self.on(x[:, tail:]) @ self.emb.weight.T


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
