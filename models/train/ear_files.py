#!/usr/bin/env python3
"""The listener to and from the model's files: ear_files.py CHECKPOINT FOLDER [OTHER SHARE] adds the encoder to FOLDER/mmproj-line-reader.gguf (which keeps its
eyes), or replaces the one that is there, and puts the decoder into FOLDER/line-reader.gguf when it learnt along. Matrices are stored as f16, vectors
and the small convolutions as f32. With OTHER the weights are a mean, with SHARE (0 to 1) of that checkpoint's (arXiv:2203.05482).
"""
import os
import sys
import numpy as np
import torch
import ear as E
import export
import gguf
import model as M

NORMS = (("ffn_norm", "first.n"), ("ffn_norm_1", "second.n"), ("ln1", "n1"), ("norm_conv", "n2"), ("ln2", "n3"))
LAYERS = (("ffn_up", "first.up"), ("ffn_down", "first.down"), ("ffn_up_1", "second.up"), ("ffn_down_1", "second.down"), ("attn_out", "o"),
          ("conv_pw1", "pw1"), ("conv_pw2", "pw2"))
OUTSIDE = (("a.pre_encode.out", "into"), ("mm.a.mlp.0", "ln"), ("mm.a.mlp.1", "m1"), ("mm.a.mlp.3", "m3"))
CONVS = (0, 2, 3, 5, 6)


def audio_metadata():
    a = "clip.audio."
    return {"clip.has_audio_encoder": True, a + "projector_type": "lfm2a", a + "embedding_length": E.E, a + "feed_forward_length": E.E_FF,
            a + "block_count": E.E_DEPTH, a + "projection_dim": M.D, a + "attention.head_count": E.E_HEADS,
            a + "attention.layer_norm_epsilon": 1e-6, a + "num_mel_bins": E.MELS, "mtmd.clip_seconds": E.CLIP_SECONDS,
            "mtmd.transcribe_prompt": bytes(E.PROMPT[:-1]).decode()}


def audio_tensors(w):
    """{name: float array} of the weights w(name)"""
    tensors, kinds = {}, ("weight", "bias")
    for i in CONVS:
        tensors |= {f"a.conv1d.{i}.weight": w(f"c{i}.weight"), f"a.conv1d.{i}.bias": w(f"c{i}.bias").reshape(-1, 1, 1)}
    for i in range(E.E_DEPTH):
        theirs, ours = f"a.blk.{i}.", f"blocks.{i}."
        for kind in kinds:
            tensors |= {f"{theirs}{a}.{kind}": w(f"{ours}{b}.{kind}") for a, b in NORMS + LAYERS}
            tensors |= {f"{theirs}attn_{p}.{kind}": part for p, part in zip("qkv", np.split(w(f"{ours}qkv.{kind}"), 3))}
        channels = len(w(ours + "db"))
        tensors |= {theirs + "conv_dw.weight": w(ours + "dw").T, theirs + "conv_dw.bias": w(ours + "db"),
                    theirs + "conv_norm.weight": np.ones(channels), theirs + "conv_norm.bias": np.zeros(channels),
                    theirs + "linear_pos.weight": w(ours + "pos.weight"), theirs + "pos_bias_v": w(ours + "far")[:, 0],
                    theirs + "pos_bias_u": np.zeros((E.E_HEADS, E.E_HEAD))}     # q has a bias: pos_bias_v is what distances add to it
    for theirs, ours in OUTSIDE:
        tensors |= {f"{theirs}.{kind}": w(f"{ours}.{kind}") for kind in kinds}
    return tensors


def store(name, array):
    small = array.ndim < 2 or "conv1d" in name or "conv_dw" in name or "pos_bias" in name
    return np.asarray(array, np.float32 if small else np.float16)


@torch.no_grad()
def load(ear, path):
    """Begin from an exported listener; the CTC head, which no file holds, stays as it is."""
    _, t = gguf.read(path)
    put = lambda name, array: ear.get_parameter(name).copy_(torch.from_numpy(np.array(array)).reshape(ear.get_parameter(name).shape))
    kinds = ("weight", "bias")
    for i in CONVS:
        put(f"c{i}.weight", t[f"a.conv1d.{i}.weight"])
        put(f"c{i}.bias", t[f"a.conv1d.{i}.bias"])
    for i in range(E.E_DEPTH):
        theirs, ours = f"a.blk.{i}.", f"blocks.{i}."
        for kind in kinds:
            for a, b in NORMS + LAYERS:
                put(f"{ours}{b}.{kind}", t[f"{theirs}{a}.{kind}"])
            put(f"{ours}qkv.{kind}", np.concatenate([t[f"{theirs}attn_{p}.{kind}"] for p in "qkv"]))
        u, v = t[theirs + "pos_bias_u"], t[theirs + "pos_bias_v"]
        ear.get_parameter(ours + "qkv.bias")[:u.size] += torch.from_numpy(u.ravel())
        scale = t[theirs + "conv_norm.weight"]
        put(ours + "far", v - u)
        put(ours + "dw", t[theirs + "conv_dw.weight"].T * scale)
        put(ours + "db", t[theirs + "conv_dw.bias"] * scale + t[theirs + "conv_norm.bias"])
        put(ours + "pos.weight", t[theirs + "linear_pos.weight"])
    for theirs, ours in OUTSIDE:
        for kind in kinds:
            put(f"{ours}.{kind}", t[f"{theirs}.{kind}"])


def put_decoder(weights, path):
    gguf.write(path, export.text_metadata(), {k: export.store(v) for k, v in export.text_tensors(weights).items()})
    print(path, os.path.getsize(path), "bytes")


def main(checkpoint, folder, other=None, share="0"):
    weights = torch.load(checkpoint, map_location="cpu")["m"]
    if other:
        theirs, share = torch.load(other, map_location="cpu")["m"], float(share)
        weights = {name: w.float() * (1 - share) + theirs[name].float() * share for name, w in weights.items()}
    of = lambda part: lambda name: weights[f"{part}.{name}"].float().numpy()
    if "decoder.on.w" in weights:
        put_decoder(of("decoder"), os.path.join(folder, "line-reader.gguf"))
    mmproj = os.path.join(folder, "mmproj-line-reader.gguf")
    metadata, tensors = gguf.read(mmproj)
    kept = {k: v for k, v in tensors.items() if not k.startswith(("a.", "mm.a."))}
    eyes = metadata.pop("clip.projector_type", None)
    if eyes:
        metadata["clip.vision.projector_type"] = eyes
    made = {k: np.asarray(v, np.float16 if v.ndim > 1 else np.float32) for k, v in kept.items()}
    made |= {k: store(k, v) for k, v in audio_tensors(of("ear")).items()}
    gguf.write(mmproj, metadata | audio_metadata(), made)
    print(mmproj, os.path.getsize(mmproj), "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
