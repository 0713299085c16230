"""Word error rates on the held-out sentences: flite's own audio, its codec reconstruction, and the model's speech through
Transformers. (tools/wer measures the shipped checkpoint through csm.)

The recogniser is a CTranslate2 Whisper directory for faster-whisper: config.json, model.bin, tokenizer.json,
vocabulary.txt. Without one (--asr none), lengths and ends are reported, and no words.
"""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from transformers import AutoTokenizer, CsmForConditionalGeneration
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from .corpus import HOP, RATE, Corpus, as_float

RECOGNISER_RATE = 16000
PADDING = RATE // 4  # silence around a clip for the recogniser


def word_errors(reference, heard):
    """(edit distance in words, number of reference words)"""
    reference, heard = reference.split(), heard.split()
    distances = np.arange(len(heard) + 1)
    for i, word in enumerate(reference, 1):
        before, distances[0] = distances[0], i
        for j, other in enumerate(heard, 1):
            before, distances[j] = distances[j], min(distances[j] + 1, distances[j - 1] + 1, before + (word != other))
    return int(distances[-1]), len(reference)


class Recogniser:
    def __init__(self, path, threads):
        from faster_whisper import WhisperModel
        self.model = WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=threads)
        self.normalise = EnglishTextNormalizer({})

    def hear(self, x):
        x = soxr.resample(np.pad(np.asarray(x, np.float32), PADDING), RATE, RECOGNISER_RATE)
        segments, _ = self.model.transcribe(x, language="en", beam_size=1, temperature=0.0, without_timestamps=True,
                                            condition_on_previous_text=False)
        return " ".join(s.text.strip() for s in segments)

    def rate(self, name, pairs):
        """pairs: [(text, samples)]. Prints and returns the word error rate; a clip counts at most twice its words."""
        rows = []
        for text, x in pairs:
            heard = self.hear(x)
            wrong, words = word_errors(self.normalise(text), self.normalise(heard))
            rows.append({"text": text, "heard": heard, "errors": min(wrong, 2 * words), "words": words})
        wrong, words = (sum(r[key] for r in rows) for key in ("errors", "words"))
        exact = sum(r["errors"] == 0 for r in rows)
        print(f"WER {name}: {100 * wrong / words:.1f} % ({wrong}/{words} words, {exact}/{len(rows)} sentences exact)", flush=True)
        return {"wer": wrong / words, "exact": exact, "rows": rows}


@torch.no_grad()
def reconstruct(codec, x):
    codes = codec.encode(torch.from_numpy(x)[None, None]).audio_codes
    return codec.decode(codes).audio_values[0, 0].numpy()


@torch.no_grad()
def generate(model, tokenizer, clips, a):
    """Samples of each clip, and how many clips ended by themselves."""
    encoded = tokenizer([f"[{c['speaker']}]{c['text']}" for c in clips], return_tensors="pt", padding=True)
    sampling = dict(do_sample=False, depth_decoder_do_sample=False) if a.greedy else dict(
        do_sample=True, temperature=a.temperature, top_k=a.top_k, depth_decoder_do_sample=True,
        depth_decoder_temperature=a.temperature, depth_decoder_top_k=a.top_k)
    rows = model.generate(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], max_new_tokens=a.max_frames,
                          output_audio=False, **sampling)
    speech, ended = [], 0
    for row in rows:
        ends = (row == 0).all(-1).nonzero()
        ended += len(ends) > 0
        row = (row[:ends[0, 0]] if len(ends) else row).clamp(max=model.codec_model.config.codebook_size - 1)
        speech.append(model.codec_model.decode(row.T[None]).audio_values[0, 0].numpy() if len(row) else np.zeros(HOP, np.float32))
    return speech, ended


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, type=Path)
    parser.add_argument("--corpus", required=True, type=Path, help="holds held_out.* (stage corpus)")
    parser.add_argument("--asr", required=True, help="directory of the recogniser, or none")
    parser.add_argument("--out", required=True, type=Path, help="directory for wav files and result.json")
    parser.add_argument("--n", type=int, default=40, help="sentences")
    parser.add_argument("--temperature", type=float, default=0.4)
    parser.add_argument("--top-k", type=int, default=50)
    parser.add_argument("--greedy", action="store_true")
    parser.add_argument("--max-frames", type=int, default=90)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args(argv)
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    a.out.mkdir(parents=True, exist_ok=True)
    clips = Corpus(a.corpus, "held_out").clips[:a.n]
    model = CsmForConditionalGeneration.from_pretrained(a.checkpoint, dtype=torch.float32).eval()
    original = [as_float(c["audio"]) for c in clips]
    start = time.monotonic()
    speech, ended = generate(model, AutoTokenizer.from_pretrained(a.checkpoint), clips, a)
    seconds = sum(len(x) for x in speech) / RATE
    ratio = np.quantile([len(x) / len(o) for x, o in zip(speech, original)], [0.1, 0.5, 0.9])
    print(f"generated {seconds:.1f} s of speech in {time.monotonic() - start:.1f} s; {ended}/{len(speech)} clips ended by themselves; "
          f"length against flite: median {ratio[1]:.2f}, 10 % {ratio[0]:.2f}, 90 % {ratio[2]:.2f}", flush=True)
    result = {"ended": ended / len(speech), "length_quantiles": ratio.tolist()}
    kinds = {"flite": original, "codec": [reconstruct(model.codec_model, x) for x in original], "generated": speech}
    for kind, sounds in kinds.items():
        for i, x in enumerate(sounds):
            soundfile.write(a.out / f"{kind}_{i:02d}.wav", np.clip(x, -1, 1), RATE, "PCM_16")
    if a.asr != "none":
        recogniser = Recogniser(a.asr, a.threads)
        for kind, sounds in kinds.items():
            result[kind] = recogniser.rate(kind, [(c["text"], x) for c, x in zip(clips, sounds)])
    (a.out / "result.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
