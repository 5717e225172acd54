"""Begin from an exported line reader of the same width and fewer blocks: the added blocks start as the identity."""
import os
import torch
import gguf
from model import D, PATCH

TEXT = {"attn_norm.weight": "n1.w", "ffn_norm.weight": "n2.w", "attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_output": "o",
        "ffn_gate": "g", "ffn_up": "u", "ffn_down": "d"}
VISION = {"attn_out": "o", "ln1": "n1", "ln2": "n2", "ffn_up": "f1", "ffn_down": "f2"}


@torch.no_grad()
def grow(model, folder):
    _, text = gguf.read(os.path.join(folder, "line-reader.gguf"))
    _, vision = gguf.read(os.path.join(folder, "mmproj-line-reader.gguf"))
    put = lambda parameter, array: parameter.copy_(torch.from_numpy(array.copy()).reshape(parameter.shape))
    put(model.emb.weight, text["token_embd.weight"])
    put(model.on.w, text["output_norm.weight"])
    for i, block in enumerate(model.tb):
        if f"blk.{i}.attn_norm.weight" not in text:
            block.o.weight.zero_()
            block.d.weight.zero_()
            continue
        for name, ours in TEXT.items():
            for kind in ("",) if "." in name else (".weight", ".bias"):
                if f"blk.{i}.{name}{kind}" in text:
                    put(block.get_parameter(ours + kind), text[f"blk.{i}.{name}{kind}"])
    kernel = vision["v.patch_embd.weight"] + vision["v.patch_embd.weight.1"]
    put(model.pe.weight, kernel.reshape(D, 3, PATCH * PATCH).sum(1))
    for i, block in enumerate(model.vb):
        if f"v.blk.{i}.ln1.weight" not in vision:
            for layer in (block.o, block.f2):
                layer.weight.zero_()
                layer.bias.zero_()
            continue
        for kind in ("weight", "bias"):
            for name, ours in VISION.items():
                put(block.get_parameter(f"{ours}.{kind}"), vision[f"v.blk.{i}.{name}.{kind}"])
            parts = [torch.from_numpy(vision[f"v.blk.{i}.attn_{p}.{kind}"].copy()) for p in "qkv"]
            block.qkv.get_parameter(kind).copy_(torch.cat(parts))
    for name, ours in (("v.post_ln", "ln"), ("mm.0", "m1"), ("mm.2", "m2")):
        for kind in ("weight", "bias"):
            put(model.get_parameter(f"{ours}.{kind}"), vision[f"{name}.{kind}"])
