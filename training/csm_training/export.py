"""Puts the trained parts together: one Transformers directory for CsmForConditionalGeneration and CsmProcessor, which csm
opens as it is. Reads it back, and stops if any value changed."""
import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import CsmForConditionalGeneration, MimiModel

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def replace_codec(model, codec):
    """The codec with a further trained decoder; its codes must be those that the language model learned."""
    old = model.codec_model.state_dict()
    for name, value in codec.state_dict().items():
        makes_codes = name.startswith("encoder.") or "input_proj" in name or "codebook" in name
        if makes_codes and not torch.equal(value, old[name]):
            raise SystemExit(f"the codec's {name} is not what the language model was trained on: its codes would mean something else")
    model.codec_model = codec


def set_sampling(model, temperature, top_k):
    for config in (model.generation_config, model.depth_decoder.generation_config):
        config.do_sample, config.temperature, config.top_k = True, temperature, top_k
    model.generation_config.depth_decoder_temperature, model.generation_config.depth_decoder_top_k = temperature, top_k


def forget_paths(directory):
    """No paths of the training machine in the product."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    for part in (config, *(v for v in config.values() if isinstance(v, dict))):
        part.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2))


def check_same(model, directory):
    again = CsmForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    stored = dict(again.named_parameters())
    for name, value in model.named_parameters():
        if not torch.equal(value.float(), stored[name]):
            raise SystemExit(f"{directory}: {name} reads back otherwise than it was written")
    codebooks = sum(b.numel() for name, b in again.state_dict().items() if "codebook" in name)
    return sum(p.numel() for p in stored.values()) + codebooks


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm", required=True, type=Path, help="hf/ written by train_lm.py")
    parser.add_argument("--codec", type=Path, help="hf/ written by train_codec.py, when its decoder was trained further")
    parser.add_argument("--tokenizer", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--dtype", choices=DTYPES, default="f16")
    parser.add_argument("--temperature", type=float, default=0.4)
    parser.add_argument("--top-k", type=int, default=50)
    a = parser.parse_args(argv)
    model = CsmForConditionalGeneration.from_pretrained(a.lm, dtype=torch.float32)
    if a.codec:
        replace_codec(model, MimiModel.from_pretrained(a.codec, dtype=torch.float32))
    set_sampling(model, a.temperature, a.top_k)
    model.to(DTYPES[a.dtype])
    model.save_pretrained(a.out)
    forget_paths(a.out)
    for file in a.tokenizer.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copy(file, a.out)
    n_values = check_same(model, a.out)
    print(f"{a.out}: {n_values / 1e6:.2f} M values, {(a.out / 'model.safetensors').stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
