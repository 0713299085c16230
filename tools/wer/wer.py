"""Word error rate of csm's speech and of Transformers' on 200 fixed sentences. See README.md beside this file.

    wer.py run --who csm --label default --runs 0,1,2 --out results --asr whisper-directory
    wer.py report --out results
"""
import argparse
import json
import os
import shlex

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
DRAWS = 2000  # of the bootstrap
MAX_FRAMES = 125  # 10 s for sentences of 2 to 4: both programs stop here


def sentences(limit):
    with open(os.path.join(HERE, "sentences.txt")) as file:
        return dict(enumerate(line.strip() for line in list(file)[:limit]))


def read_rows(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file]


def run(args):
    from hearing import Listener
    from speaking import Csm, Transformers
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, f"{args.who}.{args.label}.jsonl")
    done = {(row["run"], row["index"]) for row in read_rows(path)}
    settings = {"speaker": args.speaker, "temperature": args.temperature, "greedy": args.greedy}
    if args.who == "csm":
        flags = shlex.split(args.flags) + ["--max-seconds", str(MAX_FRAMES * 0.08)]
        speaker = Csm(args.csm, args.model, settings, flags)
    else:
        speaker = Transformers(args.model, settings, MAX_FRAMES)
    listener = Listener(args.asr, os.path.join(args.out, "heard.jsonl"))
    for number in [int(text) for text in args.runs.split(",")]:
        left = {i: text for i, text in sentences(args.limit).items() if (number, i) not in done}
        for index, samples, rate, said in speaker.speak(left, number):
            row = {"run": number, "index": index, **said, **listener.judge(left[index], samples, rate)}
            with open(path, "a") as file:
                file.write(json.dumps(row) + "\n")
        print(summary(f"{args.who} {args.label}", read_rows(path)), flush=True)


def by_sentence(rows):
    """[sentences, 2]: errors and words of each sentence, all runs together. A sentence is what the bootstrap draws."""
    table = {}
    for row in rows:
        entry = table.setdefault(row["index"], [0, 0])
        entry[0] += row["errors"]
        entry[1] += row["words"]
    return table


def rate(table, draw):
    chosen = table[draw].sum(axis=0)
    return 100 * chosen[0] / chosen[1]


def interval(values):
    return np.quantile(values, [0.025, 0.975])


def bootstrap(rows):
    table = np.array([entry for _, entry in sorted(by_sentence(rows).items())], float)
    generator = np.random.default_rng(0)
    draws = [rate(table, generator.integers(0, len(table), len(table))) for _ in range(DRAWS)]
    return rate(table, np.arange(len(table))), interval(draws)


def difference(rows, others):
    """WER of rows less that of others, with its interval; both over the same sentences, drawn together."""
    a, b = by_sentence(rows), by_sentence(others)
    common = sorted(set(a) & set(b))
    first, second = (np.array([table[i] for i in common], float) for table in (a, b))
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        draw = generator.integers(0, len(common), len(common))
        draws.append(rate(first, draw) - rate(second, draw))
    everything = np.arange(len(common))
    return rate(first, everything) - rate(second, everything), interval(draws)


def summary(label, rows):
    error_rate, (low, high) = bootstrap(rows)
    n, words = len(rows), sum(row["words"] for row in rows)
    runs = sorted({row["run"] for row in rows})
    each = ", ".join(f"{bootstrap([row for row in rows if row['run'] == run])[0]:.1f}" for run in runs)
    ended = 100 * sum(row["ended"] for row in rows) / n
    seconds = sum(row["seconds"] for row in rows) / words
    loops, retried = (sum(map(test, rows)) for test in (lambda row: row["loop"], lambda row: row["attempts"] > 1))
    return (f"| {label} | {n} | {error_rate:.1f} % | {low:.1f} to {high:.1f} | {each} | {ended:.1f} % | "
            f"{seconds:.3f} | {loops} | {retried} |")


HEAD = """
| what | clips | words wrong | 95 % interval | each run | ended by itself | seconds a word | loops | retried |
|---|---|---|---|---|---|---|---|---|"""


def report(args):
    print(HEAD)
    names = sorted(name[:-6] for name in os.listdir(args.out) if name.endswith(".jsonl") and name != "heard.jsonl")
    for name in names:
        print(summary(name.replace(".", " ", 1), read_rows(os.path.join(args.out, name + ".jsonl"))))
    pairs = [name for name in names if name.startswith("csm.") and name.replace("csm.", "transformers.", 1) in names]
    for name in pairs:
        other = name.replace("csm.", "transformers.", 1)
        both = [read_rows(os.path.join(args.out, each + ".jsonl")) for each in (name, other)]
        value, (low, high) = difference(*both)
        print(f"\ncsm less transformers, {name[4:]}: {value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--out", default="wer-results", help="folder of results; a run that was cut off goes on")
    parser.add_argument("--who", choices=["csm", "transformers"], default="csm")
    parser.add_argument("--label", default="default", help="name of the setting; csm and transformers are paired by it")
    parser.add_argument("--csm", default="build/csm", help="the program")
    parser.add_argument("--model", default="models/demo")
    parser.add_argument("--flags", default="", help="more flags for csm speak, as --flags='--quantize q8_0'")
    parser.add_argument("--speaker", type=int, default=0)
    parser.add_argument("--temperature", type=float, help="of both parts of the model; default: the model's own")
    parser.add_argument("--greedy", action="store_true")
    parser.add_argument("--runs", default="0", help="numbers of the runs, each with seeds of its own: 0,1,2")
    parser.add_argument("--limit", type=int, help="only the first sentences")
    parser.add_argument("--asr", default="pocketsphinx", help="a CTranslate2 Whisper directory, or pocketsphinx")
    args = parser.parse_args()
    run(args) if args.what == "run" else report(args)


if __name__ == "__main__":
    main()
