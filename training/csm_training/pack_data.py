"""Packs what train_lm.py needs (texts, phone times, codes) into a few megabytes, so that the language model can be trained
on a machine without flite and without the audio. Use --out as train_lm.py's --corpus, and copy its codes.npz into
train_lm.py's --out."""
import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from . import codes as codec_codes
from .corpus import HOP, Corpus


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--codes", required=True, type=Path, help="codes.npz of train_lm.py")
    parser.add_argument("--out", required=True, type=Path)
    a = parser.parse_args(argv)
    a.out.mkdir(parents=True, exist_ok=True)
    clips = Corpus(a.corpus).clips
    stored = np.load(a.codes)
    if list(stored["n"]) != [c["n"] // HOP for c in clips]:
        raise SystemExit(f"{a.codes} belongs to another corpus than {a.corpus}")
    with gzip.GzipFile(a.out / "clips.jsonl.gz", "wb", 9, mtime=0) as out:
        for clip in clips:
            kept = {name: clip[name] for name in ("n", "speaker", "text", "phones")}
            out.write((json.dumps(kept, separators=(",", ":")) + "\n").encode())
    codec_codes.write(a.out / "codes.npz", np.split(stored["codes"], np.cumsum(stored["n"])[:-1]))
    print(f"{a.out}: {len(clips)} clips", flush=True)


if __name__ == "__main__":
    main()
