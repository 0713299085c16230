"""The codec's codes of a corpus, made once and kept beside the language model's run."""
import time

import numpy as np
import torch

from . import fast_mimi
from .corpus import HOP, RATE, as_float

BATCH_SECONDS = 12


@torch.no_grad()
def encode(codec, clips, device):
    """Codes [T, n_codebooks] uint16 of every clip (the arithmetic of MimiModel.encode, batched by length)."""
    codes = [None] * len(clips)
    order = sorted(range(len(clips)), key=lambda i: clips[i]["n"])
    at = 0
    while at < len(order):
        batch = order[at:at + max(1, int(BATCH_SECONDS * RATE / clips[order[at]]["n"]))]
        x = np.zeros((len(batch), max(clips[i]["n"] for i in batch)), np.float32)
        for row, i in enumerate(batch):
            x[row, :clips[i]["n"]] = as_float(clips[i]["audio"])
        with torch.autocast(device.type, torch.bfloat16):
            z = fast_mimi.encode_latent(codec, torch.from_numpy(x).to(device))
        found = codec.quantizer.encode(z.float().transpose(1, 2)).permute(1, 2, 0).cpu().numpy()  # [B, T, K]
        for row, i in enumerate(batch):
            codes[i] = found[row, :clips[i]["n"] // HOP].astype(np.uint16)
        at += len(batch)
    return codes


def load_or_encode(path, codec, clips, device):
    """codes.npz of this corpus; made when it is missing."""
    if path.exists():
        stored = np.load(path)
        codes = np.split(stored["codes"], np.cumsum(stored["n"])[:-1])
        if [len(c) for c in codes] != [c["n"] // HOP for c in clips]:
            raise SystemExit(f"{path} belongs to another corpus: delete it, and it is made anew")
        return codes
    start = time.monotonic()
    codes = encode(codec, clips, device)
    write(path, codes)
    print(f"encoded {len(codes)} clips in {time.monotonic() - start:.0f} s", flush=True)
    return codes


def write(path, codes):
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, codes=np.concatenate(codes), n=np.array([len(c) for c in codes], np.int32))
    part.replace(path)
