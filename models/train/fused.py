"""The hot pieces of a training step."""
import torch
import torch.nn.functional as F


def linear(x, w, b):
    return F.linear(x.bfloat16(), w.bfloat16(), None if b is None else b.bfloat16())


def rope(x, cos, sin):
    """x: [batch, n, heads, head]; halves are paired (i, i + head/2)."""
    a, b = x.float().chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def attention(q, k, v, causal):
    """[batch, n, heads, head] each -> the same shape."""
    low = torch.is_grad_enabled()
    q, k, v = (t.transpose(1, 2).bfloat16() if low else t.transpose(1, 2) for t in (q, k, v))
    s = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -.5
    if causal:
        s = s + torch.full((s.shape[-1],) * 2, -1e9, dtype=s.dtype).triu(1)
    return (s.softmax(-1) @ v).transpose(1, 2)


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def swiglu(g, u):
    return F.silu(g) * u
