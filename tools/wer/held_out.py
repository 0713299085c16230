"""Checks that no sentence of sentences.txt was trained on: neither the same words nor nearly the same.

    held_out.py TRAIN_DATA/clips.jsonl.gz      (the texts that the recipe of the bundled model packs)

Nearly the same: all but a quarter of the words, counted as the least number of words to change. Exit code 1 if any is.
"""
import gzip
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NEAR = 0.25  # words to change over words of the sentence


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def distance(a, b, most):
    """Words to change a into b; more than `most` is as good as any."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
        if min(row) > most:
            return most + 1
    return row[-1]


def nearest(sentence, corpus, index):
    """The nearest text of the corpus with its distance, among those that share enough words to count."""
    said = words(sentence)
    most = int(NEAR * len(said))
    shared = {}
    for word in set(said):
        for at in index.get(word, ()):
            shared[at] = shared.get(at, 0) + 1
    best = (most + 1, None)
    for at, n in shared.items():
        if n < len(set(said)) - most:
            continue
        best = min(best, (distance(said, corpus[at], most), at), key=lambda pair: pair[0])
    return best if best[0] <= most else None


def main(path):
    with gzip.open(path, "rt") as file:
        texts = [json.loads(line)["text"] for line in file]
    corpus = [words(text) for text in texts]
    index = {}
    for at, text in enumerate(corpus):
        for word in set(text):
            index.setdefault(word, []).append(at)
    with open(os.path.join(HERE, "sentences.txt")) as file:
        sentences = [line.strip() for line in file]
    found = 0
    for sentence in sentences:
        near = nearest(sentence, corpus, index)
        if near:
            found += 1
            print(f"'{sentence}' is {near[0]} words from '{texts[near[1]]}'")
    print(f"{len(sentences)} sentences, {found} of them in the corpus or near a text of it ({len(texts)} texts)")
    return 1 if found or len(set(sentences)) != len(sentences) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
