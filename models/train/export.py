#!/usr/bin/env python3
"""Checkpoint -> line-reader.gguf (text, arch qwen2vl) and mmproj-line-reader.gguf (vision, qwen2vl_merger): export.py CHECKPOINT FOLDER.

Matrices are stored as f16, vectors as f32. The `mtmd.*` keys tell `mtmd ocr` that this model reads one line of text per image.
"""
import os
import sys
import numpy as np
import torch
import gguf
from lines import HEIGHT, MAX_WIDTH
from model import D, FF_T, FF_V, HEADS, IM_END, KV_HEADS, MROPE, PAD, PATCH, T_DEPTH, V_DEPTH

SPECIALS = ["<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|pad|>", "<|image_pad|>", "<|r0|>", "<|r1|>", "<|r2|>"]
TEMPLATE = "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"
CREDITS = {"general.version": "1.0", "general.license": "mit", "general.author": "the mtmd authors", "general.languages": ["en", "fr", "de", "es", "it", "nl", "pt", "da", "sv"],
           "general.description": "Reads one line of printed Latin text from a picture 32 pixels high; trained from nothing by models/train."}
READER = {"mtmd.reads": "lines", "mtmd.line_height": HEIGHT, "mtmd.max_width": MAX_WIDTH, "mtmd.ocr_prompt": "OCR"}

TEXT_BLOCK = (("attn_norm.weight", "n1.w"), ("ffn_norm.weight", "n2.w"), ("attn_q.weight", "q.weight"), ("attn_q.bias", "q.bias"),
              ("attn_k.weight", "k.weight"), ("attn_k.bias", "k.bias"), ("attn_v.weight", "v.weight"), ("attn_v.bias", "v.bias"),
              ("attn_output.weight", "o.weight"), ("ffn_gate.weight", "g.weight"), ("ffn_up.weight", "u.weight"), ("ffn_down.weight", "d.weight"))
VISION_BLOCK = (("attn_out", "o"), ("ln1", "n1"), ("ln2", "n2"), ("ffn_up", "f1"), ("ffn_down", "f2"))


def byte_symbols():
    """The printable stand-in of each byte value in GPT-2 style vocabularies."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(b if b in plain else next(others)) for b in range(256)]


def store(array):
    array = np.asarray(array, np.float32)
    return array.astype(np.float16) if array.ndim > 1 else array


def text_metadata():
    a, symbols = "qwen2vl.", byte_symbols()
    return {"general.architecture": "qwen2vl", "general.name": "mtmd line reader", "general.type": "model", "general.file_type": 1, **CREDITS,
            a + "context_length": 4096, a + "embedding_length": D, a + "block_count": T_DEPTH, a + "feed_forward_length": FF_T,
            a + "attention.head_count": HEADS, a + "attention.head_count_kv": KV_HEADS, a + "rope.freq_base": 1e6,
            a + "attention.layer_norm_rms_epsilon": 1e-6, a + "rope.dimension_sections": MROPE + [0],
            "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": symbols + SPECIALS,
            "tokenizer.ggml.token_type": [1] * 256 + [3] * len(SPECIALS),
            "tokenizer.ggml.merges": [f"{symbols[255]} {symbols[255]}"],          # tools want one; byte 255 never occurs in UTF-8
            "tokenizer.ggml.eos_token_id": IM_END, "tokenizer.ggml.padding_token_id": PAD, "tokenizer.ggml.add_bos_token": False,
            "tokenizer.chat_template": TEMPLATE}


def text_tensors(w):
    tensors = {"token_embd.weight": w("emb.weight"), "output_norm.weight": w("on.w")}
    for i in range(T_DEPTH):
        tensors |= {f"blk.{i}.{name}": w(f"tb.{i}.{ours}") for name, ours in TEXT_BLOCK}
    return tensors


def vision_metadata():
    a = "clip.vision."
    return {"general.architecture": "clip", "general.type": "mmproj", "general.name": "mtmd line reader, vision", "general.file_type": 1, **CREDITS, **READER,
            "clip.projector_type": "qwen2vl_merger", "clip.has_vision_encoder": True, "clip.use_silu": False,
            a + "embedding_length": D, a + "feed_forward_length": FF_V, a + "block_count": V_DEPTH, a + "projection_dim": D,
            a + "image_size": MAX_WIDTH, a + "patch_size": PATCH, a + "attention.head_count": HEADS, a + "attention.layer_norm_epsilon": 1e-6,
            a + "image_mean": [.5] * 3, a + "image_std": [.5] * 3}


def vision_tensors(w):
    # Trained on grey: each colour gets a third of the kernel. A still image passes both temporal kernels: each gets half.
    kernel = np.repeat(w("pe.weight").reshape(D, 1, PATCH, PATCH) / 6, 3, 1)
    tensors = {"v.patch_embd.weight": kernel, "v.patch_embd.weight.1": kernel}
    for i in range(V_DEPTH):
        for kind in ("weight", "bias"):
            q, k, v = np.split(w(f"vb.{i}.qkv.{kind}"), 3)
            tensors |= {f"v.blk.{i}.attn_q.{kind}": q, f"v.blk.{i}.attn_k.{kind}": k, f"v.blk.{i}.attn_v.{kind}": v}
            tensors |= {f"v.blk.{i}.{name}.{kind}": w(f"vb.{i}.{ours}.{kind}") for name, ours in VISION_BLOCK}
    for name, ours in (("v.post_ln", "ln"), ("mm.0", "m1"), ("mm.2", "m2")):
        tensors |= {f"{name}.{kind}": w(f"{ours}.{kind}") for kind in ("weight", "bias")}
    return tensors


def main(checkpoint, folder):
    weights = torch.load(checkpoint, map_location="cpu")["m"]
    get = lambda name: weights[name].float().numpy()
    for name, metadata, tensors in (("line-reader.gguf", text_metadata(), text_tensors(get)),
                                    ("mmproj-line-reader.gguf", vision_metadata(), vision_tensors(get))):
        path = os.path.join(folder, name)
        gguf.write(path, metadata, {k: store(v) for k, v in tensors.items()})
        print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
