"""The demo voice, stage by stage: python -m csm_training STAGE --work DIR [--smoke] [-- options of the stage]

  corpus           flite reads generated sentences (about 11 minutes)
  tokenizer        byte-level BPE (seconds)
  codec-encoder    Mimi up to its decoder transformer (13 minutes)
  codec-decoder    Mimi's waveform decoder on frozen codes (12 minutes)
  lm               backbone and depth decoder (34 minutes or more)
  export           one Transformers checkpoint: DIR/checkpoint
  evaluate         word error rates on sentences that were held out
  all              all of these, in this order

Every stage goes on where it stopped. Times are for two CPU cores and the default sizes; --device cuda runs the training
stages on a GPU. --smoke: tiny data and sizes, about a minute for all, to see that the stages work together.
"""
import argparse
import os
import sys
import time
from pathlib import Path

STAGES = ["corpus", "tokenizer", "codec-encoder", "codec-decoder", "lm", "export", "evaluate"]
SCOWL = Path("/usr/share/dict/scowl")
SMALL_CODEC = ["--filters", "4", "--hidden", "64", "--layers", "1", "--codebook-size", "32", "--codebook-dim", "16", "--codebooks", "4"]
SMALL_LM = ["--hidden", "128", "--ffn", "128", "--layers", "4", "--depth-hidden", "128", "--depth-ffn", "128", "--depth-layers", "1",
            "--tokens", "600", "--short-until", "0"]


def bible(work):
    """The King James text as Debian's bible-kjv-text prints it, made once; None where the program is missing."""
    import shutil
    import subprocess
    path = work / "bible.txt"
    if not path.exists():
        if not shutil.which("bible"):
            return None
        path.write_bytes(subprocess.run(["bible", "-f", "ge1:1-rev22:21"], capture_output=True, check=True).stdout)
    return path


def corpus_arguments(work, smoke):
    arguments = ["--out", work / "corpus"]
    if smoke:
        return arguments + ["--chunks", "0:1", "--per-chunk", "60"]
    text = bible(work)
    if not SCOWL.is_dir() or text is None:
        raise SystemExit("the corpus takes words from Debian's packages scowl and bible-kjv-text: apt-get install scowl bible-kjv bible-kjv-text")
    return arguments + ["--scowl", SCOWL, "--bible", text]


def arguments_of(stage, work, smoke, asr):
    """The command line of a stage."""
    corpus = ["--corpus", work / "corpus"]
    steps = ["--max-steps", "12"] if smoke else []
    small = steps + SMALL_CODEC + ["--batch", "4", "--frames", "8"] if smoke else []
    if stage == "corpus":
        return corpus_arguments(work, smoke)
    if stage == "tokenizer":
        return corpus + ["--out", work / "tokenizer"] + (["--merges", "40"] if smoke else [])
    if stage == "codec-encoder":
        return corpus + ["--out", work / "codec", "--stage", "encoder", "--minutes", 13,
                         "--warmup-steps", 4 if smoke else 400, "--lr", "2e-3"] + small
    if stage == "codec-decoder":
        return corpus + ["--out", work / "codec-decoder", "--init", work / "codec" / "state.pt", "--stage", "decoder",
                         "--minutes", 12] + small
    if stage == "lm":
        return corpus + ["--codec", work / "codec-decoder" / "hf", "--tokenizer", work / "tokenizer", "--out", work / "lm",
                         "--minutes", 34] + (steps + SMALL_LM if smoke else [])
    if stage == "export":
        return ["--lm", work / "lm" / "hf", "--codec", work / "codec-decoder" / "hf", "--tokenizer", work / "tokenizer",
                "--out", work / "checkpoint"]
    return corpus + ["--checkpoint", work / "checkpoint", "--asr", asr, "--out", work / "evaluation"] + (
        ["--n", "2", "--max-frames", "8"] if smoke else [])


def run_stage(stage, arguments):
    from importlib import import_module
    module = {"corpus": "build_corpus", "tokenizer": "train_tokenizer", "codec-encoder": "train_codec", "codec-decoder": "train_codec",
              "lm": "train_lm", "export": "export", "evaluate": "evaluate"}[stage]
    start = time.monotonic()
    print(f"== {stage}", flush=True)
    import_module(f".{module}", __package__).main([str(argument) for argument in arguments])
    print(f"== {stage}: {time.monotonic() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="csm_training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES + ["all"])
    parser.add_argument("--work", required=True, type=Path, help="working directory, outside the repository")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for the training stages")
    parser.add_argument("--asr", default="none", help="directory of a CTranslate2 Whisper model, for evaluate")
    parser.add_argument("options", nargs="*", help="after --: further options of the one stage")
    a = parser.parse_args()
    if a.options and a.stage == "all":
        parser.error("options belong to one stage: name it")
    a.work.mkdir(parents=True, exist_ok=True)
    # Training makes and drops large arrays: keeping them in the heap saves most page faults.
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "100000000000")
    for stage in STAGES if a.stage == "all" else [a.stage]:
        arguments = arguments_of(stage, a.work.absolute(), a.smoke, a.asr) + a.options
        if stage in ("codec-encoder", "codec-decoder", "lm"):
            arguments += ["--device", a.device]
        run_stage(stage, arguments)


if __name__ == "__main__":
    sys.exit(main())
