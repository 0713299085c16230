"""Training sequences of the language model, exactly as CSM is prompted: text tokens of "[speaker]text" with begin and end
token, the audio frames, one frame of zeros. Some sequences chain several utterances."""
from dataclasses import dataclass

import numpy as np
import torch

from .corpus import HOP, RATE

IGNORED = -100  # phone targets that don't count


@dataclass
class Utterance:
    ids: np.ndarray      # [P] tokens of the prompt
    codes: np.ndarray    # [T, K]
    centres: np.ndarray  # [T] which token (fractional index) is spoken in the middle of each frame
    phones: np.ndarray   # [T, 2] phone of each half frame

    def n_positions(self):
        return len(self.ids) + len(self.codes) + 1


@dataclass
class Batch:
    tokens: torch.Tensor    # [B, N] 0 where there is audio
    codes: torch.Tensor     # [B, N, K] 0 where there is text
    is_audio: torch.Tensor  # [B, N]
    centres: torch.Tensor   # [B, N] -1 where nothing is known
    lengths: torch.Tensor   # [B]
    phones: torch.Tensor    # [B, N, 2]

    def to(self, device):
        return Batch(*(value.to(device) for value in vars(self).values()))


def spoken_characters(clip, text):
    """A piecewise linear map from time to characters of text, as (times, characters), from flite's phone times."""
    words, at = [], len(text) - len(clip["text"])
    for word in clip["text"].split():
        begin = text.index(word, at)
        words.append((begin, begin + len(word)))
        at = begin + len(word)
    n_phones = {}
    for _, _, word in clip["phones"]:
        n_phones[word] = n_phones.get(word, 0) + 1
    times, characters, before, done = [0.0], [3.0], 0.0, {}
    for _, end, word in clip["phones"]:
        if 0 <= word < len(words):
            begin, stop = words[word]
            if word not in done:
                times.append(before)
                characters.append(float(begin))
            done[word] = done.get(word, 0) + 1
            times.append(end)
            characters.append(begin + (stop - begin) * done[word] / n_phones[word])
        before = end
    return times, characters


def make_utterance(corpus, clip, codes, tokenizer):
    text = f"[{clip['speaker']}]{clip['text']}"
    encoded = tokenizer(text, return_offsets_mapping=True)
    middles = np.array([(a + b) / 2 for a, b in encoded["offset_mapping"][1:-1]])
    times = (np.arange(clip["n"] // HOP) + 0.5) * HOP / RATE
    at = np.interp(times, *spoken_characters(clip, text))
    centres = 1 + np.interp(at, middles, np.arange(len(middles)))
    return Utterance(np.array(encoded["input_ids"]), codes.astype(np.int64), centres.astype(np.float32),
                     corpus.phone_track(clip).reshape(-1, 2))


def chain(utterances, n_codebooks):
    """Arrays of one sequence: (tokens, codes, is_audio, centres, phones)."""
    parts, at = [], 0
    for u in utterances:
        p, t = len(u.ids), len(u.codes)
        none = np.full((1, 2), IGNORED)
        parts.append((np.concatenate([u.ids, np.zeros(t + 1, np.int64)]),
                      np.concatenate([np.zeros((p, n_codebooks), np.int64), u.codes, np.zeros((1, n_codebooks), np.int64)]),
                      np.concatenate([np.zeros(p, bool), np.ones(t + 1, bool)]),
                      np.concatenate([np.full(p, -1, np.float32), u.centres + at, [at + p - 1.0]]),  # the end looks at the end token
                      np.concatenate([np.full((p, 2), IGNORED), u.phones, none])))
        at += u.n_positions()
    return [np.concatenate(column) for column in zip(*parts)]


class Sequences:
    def __init__(self, corpus, clips, codes, tokenizer):
        self.utterances = [make_utterance(corpus, clip, c, tokenizer) for clip, c in zip(clips, codes)]

    def batches(self, rng, tokens, chained, max_frames):
        """One epoch: lists of groups of utterance indices, each about `tokens` positions. chained: share of groups with 2 or 3."""
        order = [i for i, u in enumerate(self.utterances) if len(u.codes) <= max_frames]
        rng.shuffle(order)
        groups, at = [], 0
        while at < len(order):
            n = int(rng.integers(2, 4)) if rng.random() < chained else 1
            groups.append(order[at:at + n])
            at += n

        def length(group):
            return sum(self.utterances[i].n_positions() for i in group)
        groups.sort(key=lambda g: length(g) + rng.random() * 6)
        batches, batch = [], []
        for group in groups:
            batch.append(group)
            if len(batch) * length(group) >= tokens:
                batches.append(batch)
                batch = []
        if batch:
            batches.append(batch)
        rng.shuffle(batches)
        return batches

    def collate(self, batch, n_codebooks):
        rows = [chain([self.utterances[i] for i in group], n_codebooks) for group in batch]
        n = max(len(r[0]) for r in rows)
        n = -(-n // 8) * 8 + 1
        b = len(rows)
        out = [np.zeros((b, n), np.int64), np.zeros((b, n, n_codebooks), np.int64), np.zeros((b, n), bool),
               np.full((b, n), -1, np.float32), np.full((b, n, 2), IGNORED, np.int64)]
        lengths = np.zeros(b, np.int64)
        for row, arrays in enumerate(rows):
            lengths[row] = len(arrays[0])
            for target, values in zip(out, arrays):
                target[row, :len(values)] = values
        tokens, codes, is_audio, centres, phones = (torch.from_numpy(x) for x in out)
        return Batch(tokens, codes, is_audio, centres, torch.from_numpy(lengths), phones)
