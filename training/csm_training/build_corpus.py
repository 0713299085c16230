"""Builds the synthetic speech corpus: flite reads generated sentences with the voices of VOICES.

Deterministic: chunk k holds the utterances of random seed 1000 + k, whatever else was built. A chunk that exists is not
built again. Per chunk: chunk_KKK.i16 (24 kHz int16 mono, all clips one after another) and chunk_KKK.jsonl, one line a
clip: {"start", "n" (samples, a multiple of one codec frame), "speaker", "text", "phones": [[name, end_s, word]]}. Clips
are cut 60 ms before the first and after the last phone, so that the codec's frame grid has a fixed phase.
"""
import argparse
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import soxr

from .corpus import HOP, RATE
from .sentences import HELD_OUT, Sentences, spoken_key

VOICES = ["slt", "rms"]  # speaker number -> flite voice
EDGE_S = 0.06            # kept before the first and after the last phone
FADE_S = 0.01
LOUDNESS = 0.10          # root mean square of what is louder than QUIET
QUIET = 0.02
MAX_CHARACTERS = 90


def compile_flite_dump(work):
    """The C program beside this file, compiled; returns its path."""
    source = Path(__file__).with_name("flite_dump.c")
    program = Path(work) / "flite_dump"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        voices = [f"-lflite_cmu_us_{v}" for v in VOICES]
        subprocess.run(["cc", "-O2", str(source), "-o", str(program), *voices, "-lflite_usenglish", "-lflite_cmulex", "-lflite", "-lm"],
                       check=True)
    return program


def parse_alignment(line):
    """flite_dump's line -> (samples, rate, [(phone, end_s, word)])"""
    n, rate, segments = line.split("\t")
    phones = [(name, float(end), int(word)) for name, end, word in (s.rsplit(":", 2) for s in segments.split())]
    return int(n), int(rate), phones


def trim_and_level(x, rate, phones):
    """One utterance as flite made it -> (float32 at 24 kHz, phones), or None if nothing was spoken."""
    spoken = [i for i, p in enumerate(phones) if p[0] != "pau"]
    if not spoken:
        return None
    begin = max(0.0, (phones[spoken[0] - 1][1] if spoken[0] else 0.0) - EDGE_S)
    end = min(len(x) / rate, phones[spoken[-1]][1] + EDGE_S)
    x = x[int(begin * rate):int(end * rate)].copy()
    fade = int(FADE_S * rate)
    x[:fade] *= np.linspace(0, 1, fade)
    x[-fade:] *= np.linspace(1, 0, fade)
    x = soxr.resample(x, rate, RATE)
    loud = np.abs(x) > QUIET
    level = np.sqrt(np.mean(x[loud] ** 2)) if loud.any() else LOUDNESS
    x = np.clip(x * (LOUDNESS / max(1e-4, level)), -0.98, 0.98)
    x = np.pad(x, (0, -len(x) % HOP))
    return x, [(p, round(e - begin, 3), w) for p, e, w in phones if e > begin]


def synthesise(flite_dump, lines, stretch, scratch):
    """lines: [(speaker, text)] -> [(audio float32 24 kHz, phones) or None]"""
    text = "".join(f"{VOICES[speaker]}\t{text}\n" for speaker, text in lines)
    run = subprocess.run([str(flite_dump), str(scratch), str(stretch)], input=text, capture_output=True, text=True, check=True)
    pcm = np.fromfile(scratch, dtype=np.int16)
    os.remove(scratch)
    clips, at = [], 0
    for line in run.stdout.splitlines():
        n, rate, phones = parse_alignment(line)
        clips.append(trim_and_level(pcm[at:at + n].astype(np.float32) / 32768, rate, phones))
        at += n
    return clips


def chunk_lines(k, per_chunk, scowl, bible):
    """The (speaker, text) pairs of chunk k; nothing that is held out."""
    banned = {spoken_key(t) for t in HELD_OUT}
    sentences = Sentences(1000 + k, scowl, bible)
    lines = []
    while len(lines) < per_chunk:
        text = sentences.utterance()
        if spoken_key(text) not in banned and len(text) <= MAX_CHARACTERS:
            lines.append((sentences.r.randrange(len(VOICES)), text))
    return lines


def write_chunk(base, lines, clips, max_seconds):
    """Writes base.i16 and base.jsonl; the samples appear last, and only when they are whole. Returns (clips, seconds)."""
    at = n_clips = 0
    part = base.with_suffix(".i16.part")
    with open(part, "wb") as samples, open(base.with_suffix(".jsonl"), "w") as index:
        for (speaker, text), clip in zip(lines, clips):
            if clip is None or len(clip[0]) > max_seconds * RATE:
                continue
            x, phones = clip
            samples.write((x * 32767).astype(np.int16).tobytes())
            index.write(json.dumps({"start": at, "n": len(x), "speaker": speaker, "text": text, "phones": phones}) + "\n")
            at += len(x)
            n_clips += 1
    os.replace(part, base.with_suffix(".i16"))
    return n_clips, at / RATE


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--scowl", help="directory of the scowl word lists (Debian package scowl)")
    parser.add_argument("--bible", help="text of: bible -f ge1:1-rev22:21 (Debian package bible-kjv-text)")
    parser.add_argument("--chunks", default="0:16", help="first:last (exclusive)")
    parser.add_argument("--per-chunk", type=int, default=1000, help="utterances")
    parser.add_argument("--stretch", type=float, default=1.1, help="flite's duration_stretch")
    parser.add_argument("--max-seconds", type=float, default=6.5)
    a = parser.parse_args(argv)
    a.out.mkdir(parents=True, exist_ok=True)
    flite_dump = compile_flite_dump(a.out)
    first, last = map(int, a.chunks.split(":"))
    jobs = [("held_out", None)] + [(f"chunk_{k:03d}", k) for k in range(first, last)]
    for name, k in jobs:
        base = a.out / name
        if base.with_suffix(".i16").exists():
            continue
        lines = [(i % len(VOICES), t) for i, t in enumerate(HELD_OUT)] if k is None else chunk_lines(k, a.per_chunk, a.scowl, a.bible)
        clips = synthesise(flite_dump, lines, a.stretch, base.with_suffix(".tmp"))
        n_clips, seconds = write_chunk(base, lines, clips, a.max_seconds)
        print(f"{name}: {n_clips} clips, {seconds / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
