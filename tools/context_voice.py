#!/usr/bin/env python3
"""What the compression of old turns does to the voice: python3 tools/context_voice.py --csm build/csm [--sentences 20].

Speaker 0 of the bundled model speaks after a context in which it sounded like speaker 1 (--context-voice 0: like itself). Where the voice
goes with that context whole, compressed in each way, and left out, is measured on two proxies that need no speaker model:
  pitch      median fundamental frequency of voiced frames, Hz
  envelope   distance of the mean mel cepstrum (12 coefficients, without the level) to that of each voice
Prints a Markdown table. Needs NumPy. Nothing is downloaded.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import tempfile
import wave

import numpy as np

CONTEXT = ["The weather is fine today.", "We walk to the station together.", "My brother works in the old town."]
SENTENCES = [
    "Good morning.", "How are you today?", "It is late.", "We must go home now.", "The train is on time.",
    "She reads a book in the garden.", "I have seen the sea.", "Please open the window.", "They work in the city.",
    "The door is closed.", "He likes coffee and bread.", "What is your name?", "The night was long.", "We can wait here.",
    "The water is cold.", "You have a nice house.", "The children play outside.", "I will call you tomorrow.",
    "The road is empty.", "Thank you very much.",
]
SECONDS_KEPT = 1.0
FRAME_RATE = 12.5


def run(csm, *arguments):
    subprocess.run([csm, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def read_wav(path):
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32768
        return samples, file.getframerate()


def read_codes(path):
    data = pathlib.Path(path).read_bytes()
    n_header = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + n_header])["codes"]
    begin, end = entry["data_offsets"]
    values = np.frombuffer(data[8 + n_header + begin:8 + n_header + end], "<i4")
    return values.reshape(entry["shape"])


def write_codes(path, codes):
    payload = codes.astype("<i4").tobytes()
    header = json.dumps({"codes": {"dtype": "I32", "shape": list(codes.shape), "data_offsets": [0, len(payload)]}}).encode()
    header += b" " * (-len(header) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(header)) + header + payload)


def windows(samples, rate, seconds, step):
    size, hop = int(rate * seconds), int(rate * step)
    count = max(0, (len(samples) - size) // hop + 1)
    return np.stack([samples[i * hop:i * hop + size] for i in range(count)]) if count else np.zeros((0, size))


def pitch_hz(samples, rate):
    """Median of the best autocorrelation lag of windows that are loud and periodic."""
    found = []
    loud = 0.1 * np.sqrt(np.mean(samples ** 2) + 1e-12)
    for window in windows(samples, rate, 0.04, 0.01):
        window = window - window.mean()
        energy = np.dot(window, window)
        if np.sqrt(energy / len(window)) < loud:
            continue
        correlation = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * len(window))) ** 2)[:len(window)]
        low, high = int(rate / 350), int(rate / 70)
        lag = low + int(np.argmax(correlation[low:high]))
        if correlation[lag] > 0.5 * correlation[0]:
            found.append(rate / lag)
    return float(np.median(found)) if found else float("nan")


def mel_bank(rate, n_bins, n_bands=26):
    def mel(hz):
        return 2595 * np.log10(1 + hz / 700)

    edges = 700 * (10 ** (np.linspace(mel(80), mel(7600), n_bands + 2) / 2595) - 1)
    bins = np.linspace(0, rate / 2, n_bins)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def envelope(samples, rate):
    """Mean mel cepstrum of the louder half of all windows."""
    frames = windows(samples, rate, 0.03, 0.01)
    energy = (frames ** 2).mean(axis=1)
    frames = frames[energy >= np.median(energy)]
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), axis=1)) ** 2
    bands = np.log(power @ mel_bank(rate, power.shape[1]).T + 1e-10)
    n = bands.shape[1]
    basis = np.cos(np.pi / n * (np.arange(n) + 0.5)[None, :] * np.arange(1, 13)[:, None])
    return (bands @ basis.T).mean(axis=0) / n


def most_varied(codes, n):
    return max(range(max(1, len(codes) - n + 1)), key=lambda i: len(set(codes[i:i + n, 0])))


def compressed(codes, kind):
    n = round(SECONDS_KEPT * FRAME_RATE)
    if kind == "head":
        return codes[:n]
    if kind == "span":
        first = most_varied(codes, n)
        return codes[first:first + n]
    return codes


def write_context(folder, turns, kind):
    listed = []
    for i, (text, codes) in enumerate(turns):
        turn = {"speaker": 0, "text": text}
        if kind != "text":
            write_codes(folder / f"{kind}{i}.safetensors", compressed(codes, kind))
            turn["codes"] = f"{kind}{i}.safetensors"
        listed.append(turn)
    path = folder / f"{kind}.json"
    path.write_text(json.dumps([] if kind == "dropped" else listed))
    return path


def measure(csm, folder, speaker, context, n_sentences):
    pitches, envelopes, audio_seconds = [], [], 0
    for i, text in enumerate(SENTENCES[:n_sentences]):
        path = folder / "out.wav"
        arguments = ["--context", context] if context else []
        run(csm, "speak", text, "--speaker", speaker, "--seed", i, "--min-frames", 6, "--max-seconds", 6, "-o", path, *arguments)
        samples, rate = read_wav(path)
        pitches.append(pitch_hz(samples, rate))
        envelopes.append(envelope(samples, rate))
        audio_seconds += len(samples) / rate
    return np.nanmedian(pitches), np.array(envelopes), audio_seconds / n_sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csm", default="build/csm")
    parser.add_argument("--sentences", type=int, default=len(SENTENCES))
    parser.add_argument("--context-voice", type=int, default=1, help="who is heard in the context: 1 (default) or 0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        turns = []
        for i, text in enumerate(CONTEXT):
            run(options.csm, "speak", text, "--speaker", options.context_voice, "--seed", 100 + i, "-o", folder / "turn.wav")
            run(options.csm, "codec", "encode", folder / "turn.wav", "-o", folder / "turn.safetensors")
            turns.append((text, read_codes(folder / "turn.safetensors")))
        own = measure(options.csm, folder, 0, None, options.sentences)
        other = measure(options.csm, folder, 1, None, options.sentences)
        print("| context of speaker 0 | positions of sound | pitch, Hz | envelope to voice 0 | envelope to voice 1 | seconds a sentence |")
        print("|---|---|---|---|---|---|")

        def row(label, n_positions, result):
            pitch, envelopes, seconds = result
            to_own = np.linalg.norm(envelopes - own[1], axis=1).mean()
            to_other = np.linalg.norm(envelopes - other[1], axis=1).mean()
            print(f"| {label} | {n_positions} | {pitch:.0f} | {to_own:.3f} | {to_other:.3f} | {seconds:.1f} |", flush=True)

        row("none: voice 0 as the number alone makes it", 0, own)
        row("voice 1, for comparison", 0, other)
        for kind in ("whole", "head", "span", "text", "dropped"):
            n_positions = 0 if kind in ("text", "dropped") else sum(len(compressed(c, kind)) + 1 for _, c in turns)
            row(kind, n_positions, measure(options.csm, folder, 0, write_context(folder, turns, kind), options.sentences))


if __name__ == "__main__":
    main()
