"""Trains a small MimiModel (Transformers format) on the corpus, without adversarial losses.

--stage encoder: everything up to the decoder transformer, by log-mel regression of its inner 25 Hz layers and by phone
prediction from codebook 0: no waveform, so a step is three times faster and its signal far stronger. First some steps
without quantisation, then k-means, then EMA codebooks. --stage decoder: encoder and codebooks are frozen and the waveform
decoder goes on, so codes, and a language model trained on them, stay valid. --stage joint: all of it at once.
"""
import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import MimiConfig, MimiModel

from . import fast_mimi
from .corpus import HOP, RATE, Corpus, as_float
from .muon import Muon
from .quantiser import Quantiser, project_in, quantise
from .run_state import Run, save_whole
from .spectra import MelTarget, SpectralLoss

POOL_STEPS = 40  # the last steps before k-means, whose latents it sees
FROZEN = {
    "joint": (),
    "encoder": ("decoder.decoder_seanet",),
    "decoder": ("encoder.", "quantizer.semantic_residual_vector_quantizer.input",
                "quantizer.acoustic_residual_vector_quantizer.input"),
}


def make_config(a):
    heads = a.hidden // 64
    return MimiConfig(num_filters=a.filters, hidden_size=a.hidden, codebook_dim=a.codebook_dim,
                      vector_quantization_hidden_dimension=a.codebook_dim, codebook_size=a.codebook_size,
                      num_quantizers=a.codebooks, num_semantic_quantizers=1, upsample_groups=a.hidden,
                      num_hidden_layers=a.layers, intermediate_size=4 * a.hidden, num_attention_heads=heads,
                      num_key_value_heads=heads, head_dim=64, layer_scale_initial_scale=0.1,
                      max_position_embeddings=8000, sliding_window=250)


class Crops:
    """Random crops of the corpus at any phase of the frame grid, and the phones of their half frames."""

    def __init__(self, corpus, batch, frames, rng):
        self.corpus, self.batch, self.frames, self.rng = corpus, batch, frames, rng
        self.clips = [c for c in corpus.clips if c["n"] >= 4 * HOP]

    def next(self, device):
        """(samples [B, T], phones [B, T / 960])"""
        n = self.frames * HOP
        x = np.zeros((self.batch, n), np.float32)
        phones = np.zeros((self.batch, self.frames * 2), np.int64)
        for row in range(self.batch):
            clip = self.clips[self.rng.integers(len(self.clips))]
            offset = max(int(self.rng.integers(-HOP, max(1, clip["n"] - n + HOP))), -HOP)
            source = as_float(clip["audio"][max(0, offset):offset + n])
            begin = max(0, -offset)
            x[row, begin:begin + len(source)] = source * self.rng.uniform(0.7, 1.2)
            phones[row] = self.corpus.phones_at(clip, offset / RATE + (np.arange(self.frames * 2) + 0.5) * 0.04)
        return torch.from_numpy(x).to(device), torch.from_numpy(phones).to(device)


class CodecTrainer:
    """Model, auxiliary heads, losses and optimisers of one stage."""

    def __init__(self, a, corpus, device):
        self.a, self.device, self.stage = a, device, a.stage
        self.mimi = MimiModel(make_config(a)).to(device)
        with torch.no_grad():  # start near silence
            self.mimi.decoder.decoder_seanet.layers[-1].conv.weight.mul_(0.03)
            self.mimi.decoder.decoder_seanet.layers[-1].conv.bias.zero_()
        self.phone_names = corpus.phone_names
        self.phone_head = torch.nn.Linear(a.codebook_dim, 2 * len(self.phone_names)).to(device)
        self.mel_heads = torch.nn.ModuleList([torch.nn.Linear(a.hidden, MelTarget.WIDTH) for _ in range(2)]).to(device)
        self.quantiser = Quantiser(self.mimi.config, device)
        self.mel = MelTarget(device)
        self.spectral = SpectralLoss(device)
        self.pool = []
        self._make_optimisers()

    def _make_optimisers(self):
        frozen = FROZEN[self.stage]
        matrices, rest = [], list(self.phone_head.parameters()) + list(self.mel_heads.parameters())
        for name, p in self.mimi.named_parameters():
            p.requires_grad_(not (frozen and name.startswith(frozen)))
            if p.requires_grad:
                (matrices if p.ndim >= 2 and min(p.shape[0], p[0].numel()) > 4 else rest).append(p)
        self.clipped = rest
        self.optimisers = [(Muon(matrices, self.a.muon_lr, weight_decay=0.01), self.a.muon_lr),
                           (torch.optim.AdamW(rest, lr=self.a.lr, betas=(0.9, 0.98), weight_decay=1e-3), self.a.lr)]

    def state(self):
        return {"model": self.mimi.state_dict(), "head": self.phone_head.state_dict(), "quantizer": self.quantiser.state(),
                "phones": self.phone_names, "mel_heads": self.mel_heads.state_dict(), "mel_stats": (self.mel.mean, self.mel.std)}

    def load(self, state):
        self.mimi.load_state_dict(state["model"])
        self.quantiser.load(state["quantizer"])
        self.mel_heads.load_state_dict(state["mel_heads"])
        self.mel.mean, self.mel.std = state["mel_stats"]
        if state["phones"] == self.phone_names:  # a corpus with other phones starts that head anew
            self.phone_head.load_state_dict(state["head"])

    def _encode(self, x, warming):
        """Latent [B, frames, hidden] and the encoder's 25 Hz output; starts the codebooks at the end of the warm-up."""
        with torch.autocast(self.device.type, torch.bfloat16), torch.set_grad_enabled(self.stage != "decoder"):
            z, mid = fast_mimi.encode_latent(self.mimi, x, with_mid=True)
        z = z.float()
        if not self.quantiser.ready and warming <= POOL_STEPS:
            with torch.no_grad():
                self.pool.append(project_in(self.mimi, z))
            if warming <= 0:
                self.quantiser.start_from(*(torch.cat(side) for side in zip(*self.pool)))
                self.pool = []
        return z, mid

    def losses(self, x, phones, warming):
        """warming: steps until the codebooks start. Returns (loss, figures)."""
        a = self.a
        z, mid = self._encode(x, warming)
        latent, commitment, semantic = quantise(self.mimi, self.quantiser, z, update=self.stage != "decoder")
        figures = {}
        with torch.autocast(self.device.type, torch.bfloat16):
            decoded_mid = fast_mimi.decode_mid(self.mimi, latent)
            want = self.mel(x)
            figures["dec_mel"] = inner = (self.mel_heads[1](decoded_mid).float() - want).abs().mean()
            if self.stage != "decoder":
                figures["enc_mel"] = (self.mel_heads[0](mid).float() - want).abs().mean()
                inner = inner + 0.5 * figures["enc_mel"]
        loss = inner if self.stage == "encoder" else a.mid_weight * inner
        if self.stage != "encoder":
            with torch.autocast(self.device.type, torch.bfloat16):
                output = fast_mimi.decode_latent(self.mimi, None, decoded_mid)
            output = output.float()
            figures["mel"], figures["lin"] = self.spectral(output, x)
            figures["wave"] = (output - x).abs().mean()
            loss = loss + figures["mel"] + 0.5 * figures["lin"] + a.wave_weight * figures["wave"]
        if self.stage != "decoder":
            logits = self.phone_head(semantic).view(-1, len(self.phone_names))
            figures["phone"] = F.cross_entropy(logits, phones.reshape(-1))
            figures["phone_acc"] = (logits.argmax(1) == phones.reshape(-1)).float().mean()
            figures["commit"] = commitment
            loss = loss + a.phone_weight * figures["phone"] + a.commit_weight * commitment
        return loss, figures

    def step(self, loss, rate):
        for optimiser, lr in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr * rate
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.clipped, 2.0)
        for optimiser, _ in self.optimisers:
            optimiser.step()


def restore(trainer, run, init):
    """Goes on from the run's own state, else starts from the weights of another."""
    source = run.state_path if run.state_path.exists() else init
    if not source:
        return
    state = torch.load(source, map_location=trainer.device, weights_only=True)
    trainer.load(state)
    if source == run.state_path:
        run.resume_at(state["step"], state["spent"])
    elif trainer.stage != "decoder":
        trainer.quantiser.ready = False  # new codebooks after a warm-up


def save(trainer, run):
    save_whole({**trainer.state(), "step": run.step, "spent": run.minutes_in_all()}, run.state_path)
    trainer.quantiser.export(trainer.mimi)
    trainer.mimi.save_pretrained(run.out / "hf")


def add_arguments(parser):
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="working directory: state.pt, hf/ (the MimiModel), log.txt")
    parser.add_argument("--stage", choices=list(FROZEN), default="joint")
    parser.add_argument("--init", type=Path, help="state.pt to start from (weights only)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--max-steps", type=int, default=0, help="0: as many as the minutes allow")
    parser.add_argument("--save-minutes", type=float, default=5)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--frames", type=int, default=16, help="frames of 80 ms per training crop")
    parser.add_argument("--lr", type=float, default=1e-3, help="of AdamW")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--warmup-steps", type=int, default=150, help="steps before the quantiser is switched on")
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--codebooks", type=int, default=8)
    parser.add_argument("--codebook-size", type=int, default=512)
    parser.add_argument("--codebook-dim", type=int, default=64)
    parser.add_argument("--phone-weight", type=float, default=0.3)
    parser.add_argument("--wave-weight", type=float, default=1.0)
    parser.add_argument("--commit-weight", type=float, default=0.1)
    parser.add_argument("--mid-weight", type=float, default=0.3, help="log-mel regression from the inner 25 Hz layers")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    a = parser.parse_args(argv)
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    run = Run(a.out, a.minutes, a.max_steps, a.save_minutes)
    corpus = Corpus(a.corpus)
    trainer = CodecTrainer(a, corpus, torch.device(a.device))
    crops = Crops(corpus, a.batch, a.frames, np.random.default_rng(a.seed + len(a.stage)))
    run.say(f"{len(crops.clips)} clips, {corpus.hours():.2f} h, {len(corpus.phone_names)} phones, stage {a.stage}")
    restore(trainer, run, a.init)
    if a.device == "cpu":
        encoder, decoder = fast_mimi.check(trainer.mimi)
        run.say(f"fast forward against MimiModel: encoder {encoder:.1e}, decoder {decoder:.1e} (relative)")
    while run.going():
        rate = min(1.0, (run.steps_here() + 1) / 50) * min(1.0, 0.02 + 1.4 * (1 - run.fraction()))
        loss, figures = trainer.losses(*crops.next(trainer.device), a.warmup_steps - run.steps_here())
        trainer.step(loss, rate)
        run.add(**{name: value.detach() for name, value in figures.items()})
        run.log_every(20, f"lr x{rate:.2f} used {trainer.quantiser.used()}")
        if run.time_to_save():
            save(trainer, run)
    if trainer.stage != "decoder" and not trainer.quantiser.ready:
        raise SystemExit(f"stopped after {run.steps_here()} steps, before the codebooks started at {a.warmup_steps}: more minutes, or fewer "
                         "warm-up steps")
    save(trainer, run)
    run.say(f"saved at step {run.step}")


if __name__ == "__main__":
    main()
