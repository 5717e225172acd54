"""The training path's blocks in bfloat16: matrix products by PyTorch (oneDNN), everything between them by fused.c.

`python3 fused.py` compares outputs and gradients with the plain float32 path of model.py.
"""
import ctypes
import os
import subprocess
import tempfile
import torch
import torch.nn.functional as F
from torch.autograd import Function

BF = torch.bfloat16
HEAD = 32                                          # of fused.c


def library():
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fused.c")
    made = os.path.join(tempfile.mkdtemp(prefix="line-reader-"), "fused.so")
    subprocess.run(["gcc", "-Ofast", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC", source, "-o", made, "-lmvec", "-lm"], check=True)
    return ctypes.CDLL(made)


C = library()


def call(name, *arguments):
    """Tensors travel as addresses (they must be contiguous), whole numbers as long, floats as float, None as null."""
    out = []
    for a in arguments:
        if torch.is_tensor(a):
            assert a.is_contiguous(), name
            out.append(ctypes.c_void_p(a.data_ptr()))
        else:
            out.append(ctypes.c_void_p(None) if a is None else ctypes.c_float(a) if isinstance(a, float) else ctypes.c_long(a))
    getattr(C, name)(*out)


def linear(x, w, b=None):
    return F.linear(x, w.to(BF), None if b is None else b.to(BF))


class AddNorm(Function):
    """(x, y) -> (x + y, norm(x + y)); y may be None, b is None for RMS norm."""

    @staticmethod
    def forward(ctx, x, y, w, b):
        rows, d = x.numel() // x.shape[-1], x.shape[-1]
        total = x if y is None else torch.empty_like(x)
        h, stats = torch.empty_like(x, dtype=BF), torch.empty(rows, 2)
        call("add_norm", rows, d, x, y, w, b, total, h, stats)
        ctx.save_for_backward(total, stats, w)
        ctx.has_y, ctx.has_b = y is not None, b is not None
        return total.view_as(total) if y is None else total, h

    @staticmethod
    def backward(ctx, dsum, dh):
        total, stats, w = ctx.saved_tensors
        rows, d = total.numel() // total.shape[-1], total.shape[-1]
        dx, dw, db = torch.empty_like(total), torch.zeros_like(w), torch.zeros_like(w)
        dy = torch.empty_like(total, dtype=BF) if ctx.has_y else None
        call("add_norm_back", rows, d, total, stats, w, int(ctx.has_b), dsum.contiguous(), dh.contiguous(), dx, dy, dw, db)
        return dx, dy, dw, db if ctx.has_b else None


class SplitHeads(Function):
    @staticmethod
    def forward(ctx, qkv, cos, sin, hq, hk, hd):
        b, n, _ = qkv.shape
        q, k, v = (torch.empty(b, hq, n, hd, dtype=BF) for _ in range(3))
        assert hd == HEAD
        call("split_heads", b, n, hq, hk, qkv, cos, sin, hd ** -.5, q, k, v)
        ctx.save_for_backward(cos, sin)
        ctx.sizes = b, n, hq, hk, hd
        return q, k, v

    @staticmethod
    def backward(ctx, dq, dk, dv):
        b, n, hq, hk, hd = ctx.sizes
        d = torch.empty(b, n, (hq + 2 * hk) * hd, dtype=BF)
        call("split_heads_back", b, n, hq, hk, dq.contiguous(), dk.contiguous(), dv.contiguous(), *ctx.saved_tensors, hd ** -.5, d)
        return d, None, None, None, None, None


class Merge(Function):
    """[b, h, n, hd] -> [b, n, h * hd]"""

    @staticmethod
    def forward(ctx, x):
        b, h, n, hd = ctx.sizes = x.shape
        out = torch.empty(b, n, h * hd, dtype=BF)
        assert hd == HEAD
        call("swap_middle", b, h, n, x, out)
        return out

    @staticmethod
    def backward(ctx, d):
        b, h, n, hd = ctx.sizes
        out = torch.empty(b, h, n, hd, dtype=BF)
        call("swap_middle", b, n, h, d.contiguous(), out)
        return out


class Softmax(Function):
    @staticmethod
    def forward(ctx, s, causal):
        call("softmax", s.numel() // s.shape[-1], s.shape[-1], int(causal), s)
        ctx.mark_dirty(s)
        ctx.save_for_backward(s)
        return s

    @staticmethod
    def backward(ctx, d):
        p, = ctx.saved_tensors
        d = d.contiguous()
        call("softmax_back", p.numel() // p.shape[-1], p.shape[-1], p, d)
        return d, None


class QuickGelu(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        y = torch.empty_like(x)
        call("quick_gelu", x.numel(), x, y)
        return y

    @staticmethod
    def backward(ctx, d):
        x, = ctx.saved_tensors
        d = d.contiguous()
        call("quick_gelu_back", x.numel(), x, d)
        return d


class SwiGLU(Function):
    @staticmethod
    def forward(ctx, gu):
        ctx.save_for_backward(gu)
        f = gu.shape[-1] // 2
        y = torch.empty(*gu.shape[:-1], f, dtype=BF)
        call("swiglu", gu.numel() // (2 * f), f, gu, y)
        return y

    @staticmethod
    def backward(ctx, d):
        gu, = ctx.saved_tensors
        f, out = gu.shape[-1] // 2, torch.empty_like(gu)
        call("swiglu_back", gu.numel() // (2 * f), f, gu, d.contiguous(), out)
        return out


def attend(qkv, cos, sin, hq, hk, hd, causal):
    q, k, v = SplitHeads.apply(qkv, cos, sin, hq, hk, hd)
    return Merge.apply(Softmax.apply(q @ k.transpose(-1, -2), causal) @ v)


def vision_blocks(blocks, norm, x, cos, sin, heads, hd):
    """The encoder's blocks and its last norm: f32 stream in, bf16 out."""
    y = None
    for m in blocks:
        x, h = AddNorm.apply(x, y, m.n1.weight, m.n1.bias)
        y = linear(attend(linear(h, m.qkv.weight, m.qkv.bias), cos, sin, heads, heads, hd, False), m.o.weight, m.o.bias)
        x, h = AddNorm.apply(x, y, m.n2.weight, m.n2.bias)
        y = linear(QuickGelu.apply(linear(h, m.f1.weight, m.f1.bias)), m.f2.weight, m.f2.bias)
    return AddNorm.apply(x, y, norm.weight, norm.bias)[1]


def text_blocks(blocks, norm, x, cos, sin, heads, kv_heads, hd):
    y = None
    for m in blocks:
        x, h = AddNorm.apply(x, y, m.n1.w, None)
        qkv = linear(h, torch.cat((m.q.weight, m.k.weight, m.v.weight)), torch.cat((m.q.bias, m.k.bias, m.v.bias)))
        y = linear(attend(qkv, cos, sin, heads, kv_heads, hd, True), m.o.weight)
        x, h = AddNorm.apply(x, y, m.n2.w, None)
        y = linear(SwiGLU.apply(linear(h, torch.cat((m.g.weight, m.u.weight)))), m.d.weight)
    return AddNorm.apply(x, y, norm.w, None)[1]


if __name__ == "__main__":
    import model as M
    torch.manual_seed(1)
    torch.set_num_threads(1)
    m = M.LineReader()
    for p in m.parameters():
        if p.dim() == 1:
            p.data += .1 * torch.randn_like(p)
    gray, text = torch.randint(0, 256, (4, 32, 96), dtype=torch.uint8), torch.randint(32, 120, (4, 9))
    weight, grads = torch.randn(4, 10, M.VOCAB), []
    for fast in (False, True):
        m.zero_grad()
        m.fast = fast
        logits, ctc = m.train()(gray, text)
        ((logits.float() * weight).mean() + ctc.float().pow(2).mean()).backward()
        grads.append((logits.detach().float(), {k: p.grad.clone() for k, p in m.named_parameters()}))
    error = lambda a, b: float((a - b).norm() / (a.norm() + 1e-12))
    print("logits", error(grads[0][0], grads[1][0]))
    print("worst gradients", sorted(((error(g, grads[1][1][k]), k) for k, g in grads[0][1].items()), reverse=True)[:8])
