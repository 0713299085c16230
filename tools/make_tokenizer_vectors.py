#!/usr/bin/env python3
"""Writes tests/text/vectors.json: random texts as Hugging Face tokenizers cuts and encodes them.

    pip install tokenizers==0.23.3
    python3.11 tools/make_tokenizer_vectors.py

"splits": byte lengths of the pieces per pattern. "variants": ids (special tokens included) of a tokenizer.json of the
tests changed by a JSON merge patch (RFC 7386). Seeded. Texts hold code points of Unicode 14 only, which PCRE2 of Debian
12 knows, but for those of "new_texts".
"""

import copy
import json
import random
import unicodedata
from pathlib import Path

from tokenizers import Regex, Tokenizer, pre_tokenizers

TESTS = Path(__file__).resolve().parent.parent / "tests"
MARKERS = ["<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", "<|AUDIO|>", "<mask>", "<cut>", "abc", "ab"]
WORDS = [
    "don't",
    "I'LL",
    "we'Ve",
    "it'S",
    "'\u017f",
    "hello",
    "World",
    "na\u00efve",
    "\u6771\u4eac",
    "\u041f\u0440\u0438\u0432\u0435\u0442",
    "123456",
    "\u00b2\u00bd\u2163",
    "the",
    "th",
    "...",
    "!?",
    "\r\n",
    "\n",
    "\t",
    "  ",
    " ",
    "'",
    "\U0001f600",
    "e\u0301",
]
SPACES = [chr(c) for c in range(0x3001) if chr(c).isspace()] + ["\u180e", "\u200b", "\ufeff"]
BLOCKS = [
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0x7F, 0xA0),
    (0xA0, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xEFF),
    (0x1100, 0x11FF),
    (0x1680, 0x180F),
    (0x2000, 0x206F),
    (0x2070, 0x218F),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFE00, 0xFFFF),
    (0x10000, 0x107FF),
    (0x1D400, 0x1D7FF),
    (0x1F1E6, 0x1FAFF),
    (0x20000, 0x2FA1F),
    (0xE0000, 0xE01EF),
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {
    "llama3": LLAMA3,
    "one digit": LLAMA3.replace("{1,3}", ""),
    "cased": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "possessive": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    ),
    "gaps": r"\p{L}+",
    "empty matches": r"\p{L}*",
    "lookaround": r"(?=[A-Z])|(?<=\d)|$|^",
}


def known(text):
    return "".join(c for c in text if unicodedata.category(c) != "Cn")


def random_text(rng, n_parts):
    parts = []
    for _ in range(rng.randint(1, n_parts)):
        kind = rng.random()
        character = chr(rng.randint(*rng.choice(BLOCKS)))
        if kind < 0.3:
            parts.append(character)
        elif kind < 0.4:
            parts.append(character * rng.randint(2, 5))
        elif kind < 0.65:
            parts.append(rng.choice(WORDS))
        elif kind < 0.8:
            parts.append(rng.choice(SPACES) * rng.randint(1, 3))
        elif kind < 0.9:
            marker = rng.choice(MARKERS)
            parts.append(marker[: rng.choice([99, 99, rng.randint(1, 6)])] + rng.choice(["", " ", " \n"]))
        else:
            parts.append(str(rng.randint(0, 10 ** rng.randint(1, 8))))
    return known("".join(parts))


def added(token_id, content, **flags):
    return {
        "id": token_id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
        **flags,
    }


def variants(tiny, n_base):
    split = tiny["pre_tokenizer"]["pretokenizers"][0]
    byte_level = tiny["pre_tokenizer"]["pretokenizers"][1]
    numbers = {**split, "pattern": {"Regex": r"\p{N}{1,3}"}}
    extra = [
        added(n_base, "<mask>", lstrip=True),
        added(n_base + 1, "<cut>", lstrip=True, rstrip=True),
        added(n_base + 2, "ab"),
        added(n_base + 3, "abc"),
        added(n_base + 4, "<|eot_id|>x", normalized=True),
        added(n_base + 5, "hello", normalized=True),
        added(n_base + 6, "\n", rstrip=True),
        added(n_base + 7, "\u0120q", special=False),
    ]
    return {
        "as it is": {},
        "GPT-2 splits": {"pre_tokenizer": {**byte_level, "use_regex": True}},
        "merges first": {"model": {"ignore_merges": False}},
        "merges as strings": {"model": {"merges": [" ".join(pair) for pair in tiny["model"]["merges"]]}},
        "no splits": {"pre_tokenizer": byte_level},
        "two splits": {"pre_tokenizer": {"pretokenizers": [numbers, {**split, "invert": True}, byte_level]}},
        "more tokens": {"added_tokens": tiny["added_tokens"] + extra},
        "nothing around": {"post_processor": None},
    }


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def main():
    assert unicodedata.unidata_version == "14.0.0", "run this with Python 3.11"
    rng = random.Random(3)
    texts = [text for text in (random_text(rng, 14) for _ in range(150)) if text]
    new_texts = [
        "x\U000323af1\U0002ebf0 \u1c89'\U0001e4f01",
        "\U00016d40\U00016d70 \U0001611d\u0301",
    ]  # Unicode 15 and 16
    splits = {
        name: {
            "pattern": pattern,
            "pieces": [
                [
                    len(piece.encode())
                    for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
                ]
                for text in texts + new_texts * (name == "llama3")
            ],
        }
        for name, pattern in PATTERNS.items()
    }
    base = "golden/data/ckpt/csm-tiny-a/tokenizer.json"
    tiny = json.loads((TESTS / base).read_text(encoding="utf-8"))
    n_base = tiny["added_tokens"][-1]["id"] + 1
    encoded = []
    for name, patch in variants(tiny, n_base).items():
        tokenizer = Tokenizer.from_str(json.dumps(merge_patch(copy.deepcopy(tiny), patch)))
        encoded.append(
            {"name": name, "base": base, "patch": patch, "ids": [tokenizer.encode(text).ids for text in texts[:60]]}
        )
    for other in ["golden/data/ckpt/nano/tokenizer.json", "../models/demo/tokenizer.json"]:
        tokenizer = Tokenizer.from_file(str(TESTS / other))
        encoded.append(
            {"name": other, "base": other, "patch": {}, "ids": [tokenizer.encode(text).ids for text in texts[:60]]}
        )
    out = TESTS / "text" / "vectors.json"
    out.write_text(
        json.dumps(
            {"texts": texts, "new_texts": new_texts, "splits": splits, "variants": encoded}, separators=(",", ":")
        )
        + "\n",
        encoding="utf-8",
    )
    print(out.name, out.stat().st_size, "bytes;", len(texts), "texts,", len(encoded), "variants")


if __name__ == "__main__":
    main()
