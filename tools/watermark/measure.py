"""Measures the watermark: survival of attacks beside the goals, and quality. The tables of docs/watermark.md come from here.

    python3 -m venv venv && venv/bin/pip install -r tools/watermark/requirements.txt
    apt-get install lame opus-tools vorbis-tools ffmpeg sox libsox-fmt-all flite espeak-ng pocketsphinx-testdata
    venv/bin/python tools/watermark/measure.py --csm build/csm --work WORK survive --clips 50
    venv/bin/python tools/watermark/measure.py --csm build/csm --work WORK quality --clips 60
    venv/bin/python tools/watermark/measure.py --csm build/csm --work WORK sounds     # unmarked files for watermark_trials

Clips are cut, with a fixed seed, in turn from natural speech (pocketsphinx-testdata: LibriVox and others, 16 kHz), flite voices
and the bundled model; espeak-ng, the harsh case, is a group of its own (--group espeak). Codec delay is not compensated: the
detector has to find it. A cell counts clips whose payload is verified (it is known) and clips whose payload is read.
"""
import argparse
import concurrent.futures
import json
import pathlib
import random
import subprocess

import numpy as np
import soundfile

RATE = 24000
TEXTS = [
    "The birch canoe slid on the smooth planks while the boys glued the sheet to the dark blue background, and nobody said "
    "a word about the weather that afternoon.",
    "Yesterday we walked along the river until it became dark; then somebody remembered that the last train leaves at half "
    "past nine, so we ran all the way back.",
    "A large size in stockings is hard to sell, but the shop on the corner keeps them in a box behind the counter, next to "
    "the candles and the string.",
]
MODEL_TEXTS = ["It is going to rain, so take an umbrella with you.", "We should leave before the traffic gets any worse.",
               "Nobody knows why the old clock in the hall has stopped again.", "Please put the books back where you found them."]
FLITE = ["slt", "rms", "awb"]
ESPEAK = ["en-us+m1", "en-us+f3", "en-gb+f2", "en-gb+m2", "en-gb-scotland+m3", "en-029+f4", "en-gb-x-rp+m4", "en-us+m7"]
POCKETSPHINX = pathlib.Path("/usr/share/pocketsphinx/test/data")

LAME = "lame --quiet -b {0} {{w}} {{t}}.mp3 && lame --quiet --decode {{t}}.mp3 {{o}}"
OPUS = "opusenc --quiet --bitrate {0} {{w}} {{t}}.opus && opusdec --quiet --rate 24000 {{t}}.opus {{o}}"
AAC = "ffmpeg -v error -y -i {{w}} -c:a aac -b:a {0}k {{t}}.m4a && ffmpeg -v error -y -i {{t}}.m4a {{o}}"

# Attack -> command; a callable gets samples and a random generator. None of them knows where the clip began.
ATTACKS = {
    "none": "cp {w} {o}",
    "gain +12 dB": lambda x, r: 4 * x,
    "gain -12 dB": "sox -v 0.25 {w} {o}",
    "16 kHz": "sox {w} -r 16000 {o}",
    "44.1 kHz": "sox {w} -r 44100 {o}",
    "48 kHz": "sox {w} -r 48000 {o}",
    "FLAC": "sox {w} {t}.flac && cp {t}.flac {o}",
    "MP3 128": LAME.format(128),
    "MP3 64": LAME.format(64),
    "AAC 64": AAC.format(64),
    "Vorbis q3": "oggenc --quiet -q 3 {w} -o {t}.ogg && cp {t}.ogg {o}",
    "MP3 32": LAME.format(32),
    "AAC 32": AAC.format(32),
    "Opus 32": OPUS.format(32),
    "Opus 24": OPUS.format(24),
    "Opus 16": OPUS.format(16),
    "8 kHz": "sox {w} -r 8000 {o}",
    "G.711": "sox {w} -r 8000 -e mu-law {t}.wav && sox {t}.wav -e signed -b 16 {o}",
    "lowpass 4k": "sox {w} {o} sinc -4000",
    "highpass 500": "sox {w} {o} sinc 500",
    "EQ +-10 dB": "sox -G {w} {o} equalizer 1000 1q 10 equalizer 3000 1q -10",
    "8 bit": "sox -D {w} -b 8 -e unsigned {o}",
    "noise 30 dB": lambda x, r: noisy(x, r, 30),
    "noise 20 dB": lambda x, r: noisy(x, r, 20),
    "crop to half": lambda x, r: crop(x, r),
    "silence before": lambda x, r: np.concatenate([np.zeros(r.integers(1, 2 * RATE)), x]),
    "echo 100 ms": "sox -G {w} {o} echo 0.8 0.9 100 0.3",
    "reverb": "sox -G {w} {o} reverb 30",
    "speed +3 %": "sox -G {w} {o} speed 1.03",
    "speed -3 %": "sox -G {w} {o} speed 0.97",
    "noise 10 dB": lambda x, r: noisy(x, r, 10),
    "GSM": "sox {w} -r 8000 {t}.gsm && sox {t}.gsm -e signed -b 16 {o}",
    "tempo +2 %": "sox -G {w} {o} tempo -s 1.02",
    "pitch +50 cents": "sox -G {w} {o} pitch 50",
}
# Rows of the goals: attacks, then (verified, read) in percent by seconds; None: only reported.
GOALS = [
    (["none", "gain +12 dB", "gain -12 dB", "16 kHz", "44.1 kHz", "48 kHz", "FLAC"],
     {2: (99, None), 3: (99.5, 99), 5: (100, 99.5), 10: (None, 100)}),
    (["MP3 128", "MP3 64", "AAC 64", "Vorbis q3"], {2: (98, None), 3: (99, 98), 5: (99.5, 99), 10: (None, 100)}),
    (["MP3 32", "AAC 32", "Opus 32", "Opus 24"], {2: (90, None), 3: (97, 85), 5: (99, 97), 10: (None, 99)}),
    (["Opus 16"], {2: (None, None), 3: (85, None), 5: (97, 80), 10: (None, 97)}),
    (["8 kHz", "G.711", "lowpass 4k", "highpass 500", "EQ +-10 dB", "8 bit"],
     {2: (95, None), 3: (98, 95), 5: (99, 98), 10: (None, 99)}),
    (["noise 30 dB"], {2: (90, None), 3: (97, 90), 5: (99, 97), 10: (None, 99)}),
    (["noise 20 dB"], {2: (None, None), 3: (60, None), 5: (95, 60), 10: (None, 95)}),
    (["crop to half", "silence before"], {2: (95, None), 3: (97, 95), 5: (99, 98), 10: (None, 99)}),
    (["echo 100 ms", "reverb"], {2: (95, None), 3: (98, 88), 5: (99, 97), 10: (None, 99)}),
    (["speed +3 %", "speed -3 %"], {2: (None, None), 3: (90, 80), 5: (97, 95), 10: (None, 98)}),
    (["noise 10 dB", "GSM", "tempo +2 %", "pitch +50 cents"], {d: (None, None) for d in (2, 3, 5, 10)}),
]


def noisy(x, generator, snr_db):
    noise = generator.standard_normal(len(x))
    return x + noise * np.sqrt(np.mean(x**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)


def crop(x, generator):
    begin = generator.integers(0, len(x) - len(x) // 2)
    return x[begin:begin + len(x) // 2]


def shell(command):
    subprocess.run(command, shell=True, check=True, stdin=subprocess.DEVNULL)


def load(path):
    samples, rate = soundfile.read(path)
    assert rate == RATE, path
    return samples


def store(path, samples):
    soundfile.write(path, np.clip(samples, -1, 1), RATE, subtype="PCM_16")


def sources(args):
    """Recordings by group, made once: {group: [samples, ...]}."""
    folder = args.work / "sources"
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name, make):
        path = folder / f"{name}.wav"
        if not path.exists():
            raw = folder / "raw.wav"
            make(raw)
            shell(f"sox -G {raw} -r {RATE} -b 16 -c 1 {path} norm -3")
            raw.unlink()
        return load(path)

    natural = []
    for path in sorted([*POCKETSPHINX.glob("librivox/*.wav"), *POCKETSPHINX.glob("cards/*.wav")]):
        natural.append(keep(path.stem, lambda raw, p=path: shell(f"cp {p} {raw}")))
    for name in ("goforward", "numbers", "something"):
        path = POCKETSPHINX / f"{name}.raw"
        natural.append(keep(name, lambda raw, p=path: shell(f"sox -t raw -r 16000 -e signed -b 16 -c 1 {p} {raw}")))
    flite = [np.concatenate([keep(f"flite_{voice}_{i}", lambda raw, v=voice, t=text: shell(f'flite -voice {v} -t "{t}" -o {raw}'))
                             for i, text in enumerate(TEXTS)]) for voice in FLITE]
    espeak = [np.concatenate([keep(f"espeak_{voice.replace('+', '_')}_{i}",
                                   lambda raw, v=voice, t=text: shell(f'espeak-ng -v {v} -s 160 -w {raw} "{t}"'))
                              for i, text in enumerate(TEXTS[:2])]) for voice in ESPEAK]
    groups = {"natural": [np.concatenate(natural)], "flite": flite, "espeak": espeak}
    if args.group != "espeak":
        groups["model"] = [np.concatenate([keep(f"model_{i}", lambda raw, s=i, t=text: shell(
            f'{args.csm} speak "{t}" --seed {s + 1} --no-watermark --quiet -o {raw}')) for i, text in enumerate(MODEL_TEXTS)])]
    return groups


def marked_clips(args, seconds):
    """Cuts, marks; returns [(clean path, marked path, payload), ...]."""
    groups = sources(args)
    names = ["espeak"] if args.group == "espeak" else ["natural", "flite", "model"]
    chance = random.Random(int(seconds * 1000) + 7)
    folder = args.work / f"{args.group}-{seconds:g}s-{args.preset}"
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for i in range(args.clips):
        recording = chance.choice(groups[names[i % len(names)]])
        n = int(seconds * RATE)
        while len(recording) <= n:
            recording = np.concatenate([recording, recording])
        begin = chance.randrange(len(recording) - n)
        clip = recording[begin:begin + n]
        clean, marked, payload = folder / f"clean{i}.wav", folder / f"marked{i}.wav", f"{chance.getrandbits(32):08X}"
        store(clean, clip * 0.7 / max(1e-6, np.max(np.abs(clip))))
        clips.append((clean, marked, payload))
        shell(f"{args.csm} watermark add {clean} -o {marked} --watermark-payload {payload} --watermark-preset {args.preset} "
              f"2>/dev/null")
    return clips


def attacked(name, marked, index):
    attack = ATTACKS[name]
    slug = "".join(c if c.isalnum() else "_" for c in name)
    out = marked.with_name(f"{slug}{index}.wav")
    if callable(attack):
        soundfile.write(out, attack(load(marked), np.random.default_rng(index)), RATE, subtype="FLOAT")  # may exceed full scale
    else:
        shell(attack.format(w=marked, o=out, t=marked.with_name(f"{slug}{index}_t")))
    return out


def find(args, path, payload, speeds):
    """(verified, read, wrong payload)"""
    extra = ["--speeds"] if speeds else []

    def run(*what):
        done = subprocess.run([args.csm, "watermark", *what, str(path), "--json", *extra], capture_output=True, text=True)
        return json.loads(done.stdout)["files"][0]["keys"][0]

    known = run("detect", "--payload", payload)
    read = run("read")
    verified = known["found"] and known["payload"] == payload
    return verified, read["payload"] == payload, any(k["payload"] not in (payload, None) for k in (known, read))


def survive(args):
    wrong = 0
    cells = {}
    chosen = [name for names, _ in GOALS for name in names if not args.attacks or name in args.attacks]
    for seconds in args.seconds:
        clips = marked_clips(args, seconds)
        for name in chosen:
            def one(item):
                index, (_, marked, payload) = item
                return find(args, attacked(name, marked, index), payload, name.startswith("speed"))
            with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
                found = list(pool.map(one, enumerate(clips)))
            cells[name, seconds] = tuple(100 * float(np.mean([f[k] for f in found])) for k in (0, 1))
            wrong += sum(f[2] for f in found)
            print(f"# {seconds:g} s, {name}: verified {cells[name, seconds][0]:.1f} %, read {cells[name, seconds][1]:.1f} %", flush=True)
    print(f"\n{args.group}, preset {args.preset}, {args.clips} clips in each cell: verified / read in percent; goal below; ! missed\n")
    print("| attack | " + " | ".join(f"{s:g} s" for s in args.seconds) + " |")
    print("|---|" + "---|" * len(args.seconds))
    for names, goals in GOALS:
        names = [name for name in names if name in chosen]
        if not names:
            continue
        for name in names:
            row = []
            for seconds in args.seconds:
                values, wanted = cells[name, seconds], goals.get(int(seconds), (None, None))
                missed = any(w is not None and v < w for v, w in zip(values, wanted))
                row.append(f"{values[0]:.0f} / {values[1]:.0f}{' !' if missed else ''}")
            print(f"| {name} | " + " | ".join(row) + " |")
        shown = lambda v: "-" if v is None else f"{v:g}"
        print("| *goal* | " + " | ".join(f"*{shown(goals.get(int(s), (None, None))[0])} / {shown(goals.get(int(s), (None, None))[1])}*"
                                         for s in args.seconds) + " |")
    print(f"\nwrong payloads accepted: {wrong}")


def quality(args):
    from pesq import pesq
    from pystoi import stoi
    from scipy.signal import resample_poly
    figures = []
    for clean, marked, _ in marked_clips(args, args.seconds[0]):
        a, b = load(clean), load(marked)
        a16, b16 = resample_poly(a, 2, 3), resample_poly(b, 2, 3)
        snr = 10 * np.log10(np.sum(a**2) / np.sum((b - a)**2))
        level = 10 * np.log10(np.sum(b**2) / np.sum(a**2))
        figures.append((pesq(16000, a16, b16, "wb"), stoi(a16, b16, 16000), snr, log_spectral_distance(a, b), level))
    table = np.array(figures)
    print(f"{args.group}, preset {args.preset}, {len(figures)} clips of {args.seconds[0]:g} s")
    for i, (name, worst, goal) in enumerate([("PESQ-WB", np.min, "4.45 (4.2)"), ("STOI", np.min, "0.995 (0.985)"), ("SNR dB", np.min, "-"),
                                             ("log-spectral distance dB", np.max, "1.0"), ("level change dB", lambda v: v[np.argmax(np.abs(v))], "0.05")]):
        print(f"{name}: mean {table[:, i].mean():.4f}, worst {worst(table[:, i]):.4f}, goal {goal}")


def log_spectral_distance(a, b, n=960):
    window = np.hanning(n)
    frames = [np.array([x[i:i + n] * window for i in range(0, len(x) - n, n // 2)]) for x in (a, b)]
    power = [np.abs(np.fft.rfft(f, axis=1))**2 + 1e-7 for f in frames]
    return float(np.mean(np.sqrt(np.mean((10 * np.log10(power[0] / power[1]))**2, axis=1))))


def sounds(args):
    """Unmarked and foreign sound for the trials with wrong keys."""
    folder = args.work / "sounds"
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    t = np.arange(5 * RATE) / RATE
    notes = 220 * 2 ** (np.array([0, 4, 7, 12, 7, 4, 2, 5, 9, 14])[(t * 4).astype(int) % 10] / 12)
    music = sum(np.sin(2 * np.pi * np.cumsum(notes) * k / RATE) / k for k in range(1, 9)) * (1 - (t * 4) % 1) ** 2
    store(folder / "music.wav", 0.3 * music)
    store(folder / "noise.wav", 0.1 * generator.standard_normal(len(t)))
    store(folder / "silence.wav", 0 * t)
    store(folder / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * t))
    rows, columns = np.array([697, 770, 852, 941]), np.array([1209, 1336, 1477])
    digit = (t * 10).astype(int)
    tones = np.sin(2 * np.pi * rows[digit % 4] * t) + np.sin(2 * np.pi * columns[digit % 3] * t)
    store(folder / "dtmf.wav", 0.3 * tones * ((t * 10) % 1 < 0.6))
    args.clips = 35
    for i, (clean, marked, _) in enumerate(marked_clips(args, 5)):
        store(folder / f"speech{i}.wav", load(clean if i % 2 else marked))
    print("\n".join(str(p) for p in sorted(folder.glob("*.wav"))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csm", required=True, help="the program")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for clips")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("what", choices=["survive", "quality", "sounds"])
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--seconds", type=float, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--attacks", nargs="+", default=[], help="only these (default: all)")
    parser.add_argument("--group", choices=["speech", "espeak"], default="speech")
    parser.add_argument("--preset", default="normal")
    args = parser.parse_args()
    {"survive": survive, "quality": quality, "sounds": sounds}[args.what](args)


if __name__ == "__main__":
    main()
