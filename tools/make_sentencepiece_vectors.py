#!/usr/bin/env python3
"""Writes tests/text/sentencepiece: small SentencePiece models, trained on this repository's pages, and ids of random texts.

    pip install sentencepiece==0.2.3 tokenizers==0.23.3
    python3.11 tools/make_sentencepiece_vectors.py

vectors.json: "texts" without control pieces have the ids that the sentencepiece package gives ("sentencepiece") and those of a
tokenizer.json built from the same model ("json"), which must be equal. "marked" texts hold control pieces, which only the
tokenizer.json form recognises. Seeded.
"""

import json
import random
import tempfile
from pathlib import Path

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "text" / "sentencepiece"
CONTROL = ["<ctl>"]
RULES = {"\ufb01": "fi", "\u2163": "IV", "\uff21": "A", "\u3000": " ", "\t": " ", "\n": " ", "e\u0301": "\u00e9", "\u2026": "..."}
WORDS = ["hello", "World", "don't", "the", "speech", "tokens", "na\u00efve", "\u6771\u4eac", "\u041f\u0440\u0438", "123", "4.5", "[0]",
         "[1]", "<sep>", "[laugh]", "\ufb01sh", "\u2163", "\uff21", "e\u0301", "\u2026", "\U0001f600", "\u2581", "a", "\u00a0", "\u3000",
         "\t", "\n", "\u0000", "model", "codes", "...", "!?"]
MODELS = {
    "unigram": {"model_type": "unigram", "vocab_size": 480, "byte_fallback": True, "rules": True,
                "user_defined_symbols": ["<sep>", "[laugh]"], "control_symbols": CONTROL},
    "bpe": {"model_type": "bpe", "vocab_size": 500, "byte_fallback": True, "remove_extra_whitespaces": False,
            "control_symbols": CONTROL},
    "plain": {"model_type": "unigram", "vocab_size": 200, "byte_fallback": False, "add_dummy_prefix": False,
              "control_symbols": CONTROL},
    "suffix": {"model_type": "bpe", "vocab_size": 220, "byte_fallback": False, "treat_whitespace_as_suffix": True},
}


def corpus(path):
    pages = [ROOT / "README.md", ROOT / "HACKING.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(p.read_text(encoding="utf-8") for p in pages)
    path.write_text("\n".join(line[:400] for line in text.splitlines() if line.strip()), encoding="utf-8")


def train(name, options, folder):
    options = dict(options)
    if options.pop("rules", False):
        rules = folder / "rules.tsv"
        lines = [" ".join(f"{ord(c):X}" for c in k) + "\t" + " ".join(f"{ord(c):X}" for c in v) for k, v in RULES.items()]
        rules.write_text("\n".join(lines) + "\n")
        options["normalization_rule_tsv"] = str(rules)
    else:
        options["normalization_rule_name"] = "identity"
    corpus(folder / "corpus.txt")
    spm.SentencePieceTrainer.train(input=str(folder / "corpus.txt"), model_prefix=str(folder / name), num_threads=1, minloglevel=2,
                                   hard_vocab_limit=False, character_coverage=0.999, **options)
    model = pb.ModelProto()
    model.ParseFromString((folder / f"{name}.model").read_bytes())
    model.trainer_spec.ClearField("input")
    model.trainer_spec.ClearField("model_prefix")
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    (OUT / f"{name}.model").write_bytes(model.SerializeToString())
    return model


def merges_of(model):
    ids = {p.piece: i for i, p in enumerate(model.pieces)}
    score = {p.piece: p.score for p in model.pieces}
    found = []
    for piece in ids:
        local = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in ids and piece[i:] in ids]
        found += [(score[piece], a, b) for a, b in sorted(local, key=lambda x: (ids[x[0]], ids[x[1]]))]
    return [(a, b) for _, a, b in sorted(found, key=lambda x: -x[0])]


def json_form(model):
    """The tokenizer.json of a model, put together from the parts of tokenizers as converters do."""
    unk = next(i for i, p in enumerate(model.pieces) if p.type == 2)
    fallback = model.trainer_spec.byte_fallback
    if model.trainer_spec.model_type == 1:
        core = models.Unigram([(p.piece, p.score) for p in model.pieces], unk_id=unk, byte_fallback=fallback)
    else:
        core = models.BPE({p.piece: i for i, p in enumerate(model.pieces)}, merges_of(model), unk_token=model.pieces[unk].piece,
                          fuse_unk=True, byte_fallback=fallback)
    tokenizer = Tokenizer(core)
    steps = []
    if model.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap))
    if model.normalizer_spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    scheme = "first" if model.normalizer_spec.add_dummy_prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme=scheme, split=False)
    tokenizer.add_special_tokens([AddedToken(p.piece, normalized=False, special=True) for p in model.pieces if p.type in (2, 3)])
    return tokenizer


def texts(rng, words, n):
    made = ["", " ", "  ", "a", " a", "a ", "[0]Hello there.", "[1] Hello  there. "]
    for _ in range(n):
        made.append("".join(rng.choice(words) + rng.choice(["", " ", " ", "  "]) for _ in range(rng.randint(1, 14))))
    return made


def main():
    rng = random.Random(20261127)
    OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, options in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            model = train(name, options, Path(folder))
        native = spm.SentencePieceProcessor(model_proto=model.SerializeToString())
        plain = texts(rng, WORDS, 60)
        row = {"name": name, "texts": plain, "sentencepiece": [native.encode(t) for t in plain]}
        if name != "suffix":
            form = json_form(model)
            encode = lambda t: form.encode(t, add_special_tokens=False).ids
            # The two differ in blanks (of any kind) at the ends of a text only; there the package's ids stand.
            differing = [t for i, t in enumerate(plain) if encode(t) != row["sentencepiece"][i]]
            assert all(t != t.strip() or t[0] == "\u2581" or t[-1] == "\u2581" for t in differing), differing
            print(name, len(model.pieces), "pieces", len(plain), "texts", len(differing), "differ in blanks at their ends")
            marked_words = ["hello", "World", "the", "tokens", "<s>", "</s>", "<ctl>", "<unk>"]
            row["marked"] = [t.strip() for t in texts(rng, marked_words, 40)]
            row["json"] = [encode(t) for t in row["marked"]]
        rows.append(row)
    (OUT / "vectors.json").write_text(json.dumps({"models": rows}, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
