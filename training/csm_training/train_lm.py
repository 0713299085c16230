"""Trains a small CsmForConditionalGeneration (backbone and depth decoder) on codes of the frozen codec.

Matrices are trained with Muon, the rest with Adam. What is exported are the exponentially averaged weights (--ema 0: the
last ones). Sequences and losses: sequences.py and lm.py.
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, CsmForConditionalGeneration, GenerationConfig, MimiModel

from . import codes as codec_codes
from .corpus import Corpus
from .lm import LossOptions, SpeechLosses, check, make_config, statistics
from .muon import Muon
from .run_state import Run, save_whole
from .sequences import Sequences

N_VALIDATION = 200       # clips, the last of the corpus
VALIDATION_TOKENS = 2400
SHORT_FRAMES = 24        # clips up to here come first
SHORT_BATCHES = 200


def load_codec(path, device):
    """A MimiModel directory, or a whole CSM checkpoint."""
    if (path / "generation_config.json").exists():
        codec = CsmForConditionalGeneration.from_pretrained(path, dtype=torch.float32).codec_model
    else:
        codec = MimiModel.from_pretrained(path, dtype=torch.float32)
    return codec.to(device).eval()


def make_model(a, codec, tokenizer):
    model = CsmForConditionalGeneration(make_config(a, codec.config, len(tokenizer), tokenizer.bos_token_id))
    model.codec_model = codec
    model.tie_weights()
    with torch.no_grad():
        model.embed_text_tokens.weight.normal_(0, 0.7)
        model.depth_decoder.model.embed_tokens.weight.normal_(0, 0.3)
    if a.init:
        old = CsmForConditionalGeneration.from_pretrained(a.init, dtype=torch.float32)
        model.load_state_dict(language_model_weights(old), strict=False)
    return model


def language_model_weights(model):
    return {name: value for name, value in model.state_dict().items() if not name.startswith("codec_model.")}


class LmTrainer:
    def __init__(self, a, model, n_phones, device):
        self.a, self.device = a, device
        self.losses = SpeechLosses(model, n_phones).to(device)
        matrices, rest = [], list(self.losses.phone_head.parameters())
        for name, p in model.named_parameters():
            if name.startswith("codec_model."):
                p.requires_grad_(False)
            else:
                (matrices if p.ndim == 2 and "layers." in name else rest).append(p)
        self.clipped = rest
        self.optimisers = [(Muon(matrices, a.lr), a.lr),
                           (torch.optim.AdamW(rest, lr=a.adam_lr, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01, fused=True), a.adam_lr)]
        self.average = {name: value.clone() for name, value in language_model_weights(model).items()} if a.ema else None

    def step(self, batch, rng, rate, guide):
        options = LossOptions(self.a.depth_ratio, self.a.corrupt, self.a.label_smoothing)
        with torch.autocast(self.device.type, torch.bfloat16):
            losses, _ = self.losses(batch.to(self.device), rng, options)
            loss = losses["c0"] + losses["depth"] + self.a.phone_weight * losses["phone"] + guide * losses.get("guide", 0.0)
        for optimiser, lr in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr * rate
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.clipped, 1.0)
        for optimiser, _ in self.optimisers:
            optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def update_average(self, step):
        """Exponential moving average of the weights; short at first, so that it leaves the start behind."""
        if self.average is None:
            return
        decay = min(self.a.ema, (1 + step) / (10 + step))
        for name, value in language_model_weights(self.losses.model).items():
            self.average[name].lerp_(value, 1 - decay)

    def state(self):
        return {"model": language_model_weights(self.losses.model), "phone_head": self.losses.phone_head.state_dict(),
                "average": self.average, "optimisers": [o.state_dict() for o, _ in self.optimisers]}

    def load(self, state):
        self.losses.model.load_state_dict(state["model"], strict=False)
        self.losses.phone_head.load_state_dict(state["phone_head"])
        if self.average is not None and state["average"]:
            self.average = state["average"]
        for (optimiser, _), stored in zip(self.optimisers, state["optimisers"]):
            optimiser.load_state_dict(stored)

    def use_average(self):
        if self.average is not None:
            self.losses.model.load_state_dict(self.average, strict=False)


@torch.no_grad()
def validate(trainer, sequences):
    """Mean figures over the validation clips, as text."""
    rng, sums, n = np.random.default_rng(0), {}, 0
    for groups in sequences.batches(rng, VALIDATION_TOKENS, 0.0, 10 ** 6):
        batch = sequences.collate(groups, trainer.losses.n_codebooks).to(trainer.device)
        with torch.autocast(trainer.device.type, torch.bfloat16):
            losses, predictions = trainer.losses(batch, rng, LossOptions(depth_ratio=1.0))
        for name, value in {**{k: v.item() for k, v in losses.items()}, **statistics(predictions)}.items():
            sums[name] = sums.get(name, 0.0) + value
        n += 1
    return " ".join(f"{name} {value / n:.3f}" for name, value in sums.items())


def schedule(run, flat):
    """Learning rate factor: 60 steps up, flat, then down to 2 % over the rest of the time."""
    falling = 1.0 if run.fraction() < flat else max(0.02, (1 - run.fraction()) / (1 - flat))
    return min(1.0, (run.steps_here() + 1) / 60) * falling


def train(a, run, trainer, sequences, validation):
    rng = np.random.default_rng(a.seed + run.step)
    queue = []
    while run.going():
        if not queue:
            short = run.minutes_before == 0 and not a.init and run.fraction() < a.short_until
            queue = sequences.batches(rng, a.tokens, 0.0 if short else a.chain, SHORT_FRAMES if short else 10 ** 6)
            queue = queue[:SHORT_BATCHES] if short else queue
        batch = sequences.collate(queue.pop(), trainer.losses.n_codebooks)
        rate = schedule(run, a.flat)
        run.add(**trainer.step(batch, rng, rate, a.guide * max(0.1, 1 - 1.5 * run.fraction())))
        trainer.update_average(run.step)
        run.log_every(30, f"lr x{rate:.2f}")
        if run.time_to_save():
            run.say(f"  valid at {run.step}: " + validate(trainer, validation))
            save(trainer, run)


def save(trainer, run):
    save_whole({**trainer.state(), "step": run.step, "spent": run.minutes_in_all()}, run.state_path)


def set_generation(model, base):
    """CSM's defaults; export.py sets what the checkpoint shall sample with."""
    n = model.config.num_codebooks
    model.generation_config = GenerationConfig(
        max_new_tokens=125, do_sample=True, temperature=0.9, top_k=50, pad_token_id=base + 2, bos_token_id=base,
        depth_decoder_do_sample=True, depth_decoder_temperature=0.9, depth_decoder_top_k=50,
        depth_decoder_min_new_tokens=n - 1, depth_decoder_max_new_tokens=n - 1)
    depth = model.depth_decoder.generation_config
    depth.do_sample, depth.temperature, depth.top_k, depth.min_new_tokens, depth.max_new_tokens = True, 0.9, 50, n - 1, n - 1


def add_arguments(parser):
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--codec", required=True, type=Path, help="MimiModel directory, or a CSM checkpoint with it")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True, type=Path, help="working directory: codes.npz, state.pt, hf/, log.txt")
    parser.add_argument("--init", type=Path, help="CSM checkpoint to start from")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--max-steps", type=int, default=0, help="0: as many as the minutes allow")
    parser.add_argument("--save-minutes", type=float, default=5)
    parser.add_argument("--tokens", type=int, default=1800, help="positions per batch")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--ffn", type=int, default=768)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--depth-hidden", type=int, default=256)
    parser.add_argument("--depth-ffn", type=int, default=512)
    parser.add_argument("--depth-layers", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.02, help="of Muon")
    parser.add_argument("--adam-lr", type=float, default=3e-3)
    parser.add_argument("--ema", type=float, default=0.998, help="decay of the averaged weights a step; 0: none")
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--depth-ratio", type=float, default=0.25)
    parser.add_argument("--guide", type=float, default=0.5, help="weight of the guided-attention loss at the start")
    parser.add_argument("--phone-weight", type=float, default=0.5, help="of phone prediction from a middle layer")
    parser.add_argument("--corrupt", type=float, default=0.08, help="share of input frames with other frames' codes")
    parser.add_argument("--chain", type=float, default=0.08, help="share of sequences with 2 or 3 utterances")
    parser.add_argument("--short-until", type=float, default=0.15, help="share of the time with short utterances only")
    parser.add_argument("--flat", type=float, default=0.5, help="share of the time before the learning rate starts to fall")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    a = parser.parse_args(argv)
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    device = torch.device(a.device)
    run = Run(a.out, a.minutes, a.max_steps, a.save_minutes)
    tokenizer = AutoTokenizer.from_pretrained(a.tokenizer)
    codec = load_codec(a.codec, device)
    corpus = Corpus(a.corpus)
    codes = codec_codes.load_or_encode(a.out / "codes.npz", codec, corpus.clips, device)
    cut = len(codes) - min(N_VALIDATION, max(1, len(codes) // 10))
    sequences = Sequences(corpus, corpus.clips[:cut], codes[:cut], tokenizer)
    validation = Sequences(corpus, corpus.clips[cut:], codes[cut:], tokenizer)
    model = make_model(a, codec, tokenizer).to(device)
    trainer = LmTrainer(a, model, len(corpus.phone_names), device)
    if run.state_path.exists():
        state = torch.load(run.state_path, map_location=device, weights_only=True)
        trainer.load(state)
        run.resume_at(state["step"], state["spent"])
    backbone, depth = check(trainer.losses, validation.collate([[0]], trainer.losses.n_codebooks).to(device))
    run.say(f"forward against Transformers: backbone {backbone:.1e}, depth decoder {depth:.1e}")
    train(a, run, trainer, sequences, validation)
    save(trainer, run)
    trainer.use_average()
    run.say(f"  valid at {run.step}, as exported: " + validate(trainer, validation))
    set_generation(model, tokenizer.bos_token_id)
    model.save_pretrained(a.out / "hf")
    run.say(f"saved at step {run.step}")


if __name__ == "__main__":
    main()
