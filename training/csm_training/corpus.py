"""What build_corpus.py wrote, read back: clips of speech with text, speaker and phone times."""
import gzip
import json
from pathlib import Path

import numpy as np

RATE = 24000  # samples per second
HOP = 1920    # samples per codec frame, 80 ms


class Corpus:
    """clips: dicts with "n" (samples, a multiple of HOP), "speaker", "text", "phones" [[name, end_s, word]] and, unless
    the corpus is a packed one (pack_data.py), "audio" (int16 view [n])."""

    def __init__(self, path, pattern="chunk_*", limit=None):
        path = Path(path)
        self.clips = []
        packed = path / "clips.jsonl.gz"
        if packed.exists():
            with gzip.open(packed, "rt") as lines:
                self.clips = [json.loads(line) for line in lines]
        for index in sorted(path.glob(pattern + ".jsonl"))[:limit]:
            samples = index.with_suffix(".i16")
            if samples.exists():
                self._add_chunk(index, samples)
        if not self.clips:
            raise SystemExit(f"{path}: no clips; build the corpus first (stage corpus)")
        self.phone_names = ["pau"] + sorted({p[0] for c in self.clips for p in c["phones"]} - {"pau"})
        self._phone_ids = {name: i for i, name in enumerate(self.phone_names)}

    def _add_chunk(self, index, samples):
        audio = np.memmap(samples, dtype=np.int16, mode="r")
        with open(index) as lines:
            for k, line in enumerate(lines):
                clip = json.loads(line)
                clip["audio"] = audio[clip["start"]:clip["start"] + clip["n"]]
                clip["id"] = f"{index.stem}:{k}"
                self.clips.append(clip)

    def phones_at(self, clip, seconds):
        """Phone indices at the given times; silence before the clip and after its last phone."""
        ends = np.array([p[1] for p in clip["phones"]])
        names = np.array([self._phone_ids[p[0]] for p in clip["phones"]] + [0])
        return np.where(seconds < 0, 0, names[np.searchsorted(ends, seconds)])

    def phone_track(self, clip, rate=25):
        """Phone index at the middle of every 1/rate s of the clip."""
        n = clip["n"] * rate // RATE
        return self.phones_at(clip, (np.arange(n) + 0.5) / rate)

    def hours(self):
        return sum(c["n"] for c in self.clips) / RATE / 3600


def as_float(audio):
    """int16 samples as float32 in [-1, 1)."""
    return np.asarray(audio, np.float32) / 32768
