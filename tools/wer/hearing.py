"""The recogniser and the count of wrong words. Text is compared in lower case, without punctuation, numbers and
spellings brought to one form (the English normaliser that belongs to Whisper)."""
import hashlib
import json
import os
import subprocess
import tempfile

import numpy as np
import soundfile
import soxr
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

HEARING_RATE = 16000
PADDING_S = 0.25  # of silence around a clip: recognisers were not trained on speech that starts with the first sample


def word_errors(said, heard):
    """Least number of words to insert, remove or replace; words are lists."""
    row = np.arange(len(heard) + 1)
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return int(row[-1])


def repeats(words):
    """How many words repeat what stands right before them: a single word counts from its third time on."""
    count = 0
    for length in range(1, len(words) // 2 + 1):
        least = 2 if length > 1 else 3
        for at in range(len(words) - length * least + 1):
            part = words[at:at + length]
            if all(words[at + k * length:at + (k + 1) * length] == part for k in range(least)):
                count += length * (least - 1)
    return count


def has_loop(said, heard):
    """Repeats that the sentence itself does not have."""
    return repeats(heard) > repeats(said)


class Whisper:
    """A directory of Whisper weights in CTranslate2's layout, int8, greedy."""

    def __init__(self, path):
        from faster_whisper import WhisperModel
        self.model = WhisperModel(path, device="cpu", compute_type="int8", cpu_threads=1)

    def __call__(self, samples):
        segments, _ = self.model.transcribe(samples, language="en", beam_size=1, temperature=0.0,
                                            without_timestamps=True, condition_on_previous_text=False)
        return " ".join(segment.text.strip() for segment in segments)


class PocketSphinx:
    """Debian's pocketsphinx with pocketsphinx-en-us. It hears far worse than Whisper: compare it with itself."""

    def __call__(self, samples):
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, samples, HEARING_RATE, subtype="PCM_16")
            result = subprocess.run(["pocketsphinx_continuous", "-infile", file.name, "-logfn", os.devnull],
                                    capture_output=True, text=True, check=True)
        return " ".join(result.stdout.split())


class Listener:
    """Hears each sound once: what was heard is kept in a file by the sound's digest."""

    def __init__(self, recogniser, cache_path):
        self.recogniser = PocketSphinx() if recogniser == "pocketsphinx" else Whisper(recogniser)
        self.normalise = EnglishTextNormalizer({})
        self.cache_path, self.cache = cache_path, {}
        if os.path.exists(cache_path):
            with open(cache_path) as file:
                self.cache = dict(json.loads(line) for line in file)

    def heard(self, samples, rate_hz):
        samples = np.asarray(samples, np.float32)
        key = hashlib.sha256(samples.tobytes()).hexdigest()[:32]
        if key not in self.cache:
            padded = np.pad(samples, int(PADDING_S * rate_hz))
            self.cache[key] = self.recogniser(soxr.resample(padded, rate_hz, HEARING_RATE))
            with open(self.cache_path, "a") as file:
                file.write(json.dumps([key, self.cache[key]]) + "\n")
        return self.cache[key]

    def judge(self, text, samples, rate_hz):
        """What a row of results says about one clip."""
        heard = self.heard(samples, rate_hz) if len(samples) else ""
        said_words, heard_words = self.normalise(text).split(), self.normalise(heard).split()
        # One clip that goes on and on must not outweigh all others: at most twice its words count.
        errors = min(word_errors(said_words, heard_words), 2 * len(said_words))
        return {"text": text, "heard": heard, "errors": errors, "words": len(said_words),
                "seconds": round(len(samples) / rate_hz, 3), "loop": has_loop(said_words, heard_words)}
