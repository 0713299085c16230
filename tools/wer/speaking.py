"""The two programs that are compared: `csm`, and Transformers' CsmForConditionalGeneration, with the same settings."""
import json
import subprocess
import tempfile

import numpy as np
import soundfile

SEEDS_APART = 1000  # sentence i of run s is drawn with seed s * SEEDS_APART + i: no two clips share their chance
BATCH = 25


class Csm:
    """One process of the program for each sentence, as a user runs it."""

    def __init__(self, program, model, settings, flags):
        self.command = [program, "speak", "--model", model, "--threads", "1", "--quiet", "--json"] + flags
        if settings.get("greedy"):
            self.command.append("--greedy")
        elif settings.get("temperature") is not None:
            self.command += ["--temperature", str(settings["temperature"])]
        self.speaker = settings["speaker"]

    def speak(self, texts, run):
        """texts: {index: sentence}; yields (index, samples, rate, what the program says of it)."""
        for index, text in texts.items():
            with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                seed = str(run * SEEDS_APART + index)
                command = self.command + [text, "--speaker", str(self.speaker), "--seed", seed, "-o", file.name]
                result = subprocess.run(command, capture_output=True, text=True)
                if result.returncode != 0:
                    raise SystemExit(f"{' '.join(command)}\nfailed: {result.stderr.strip()}")
                samples, rate = soundfile.read(file.name, dtype="float32")
            said = json.loads(result.stdout)
            yield index, samples, rate, {"ended": said["finish_reason"] == "end", "finish": said["finish_reason"],
                                         "attempts": said.get("attempts", 1)}


class Transformers:
    def __init__(self, model, settings, max_frames):
        import torch
        from transformers import AutoTokenizer, CsmForConditionalGeneration
        torch.set_num_threads(1)
        self.torch = torch
        self.model = CsmForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.speaker, self.max_frames = settings["speaker"], max_frames
        self.sampling = {}  # none given: generation_config.json, as in csm
        if settings.get("greedy"):
            self.sampling = {"do_sample": False, "depth_decoder_do_sample": False}
        elif settings.get("temperature") is not None:
            self.sampling = {"do_sample": True, "temperature": settings["temperature"],
                             "depth_decoder_do_sample": True, "depth_decoder_temperature": settings["temperature"]}

    def speak(self, texts, run):
        items = list(texts.items())
        for at in range(0, len(items), BATCH):
            part = items[at:at + BATCH]
            self.torch.manual_seed(run * SEEDS_APART + part[0][0])
            inputs = self.tokenizer([f"[{self.speaker}]{text}" for _, text in part], return_tensors="pt", padding=True)
            with self.torch.no_grad():
                codes = self.model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                                            max_new_tokens=self.max_frames, output_audio=False, **self.sampling)
                for (index, _), rows in zip(part, codes):
                    samples, ended = self.decode(rows)
                    yield index, samples, 24000, {"ended": ended, "finish": "end" if ended else "max_length",
                                                  "attempts": 1}

    def decode(self, rows):
        end = (rows == 0).all(-1).nonzero()
        ended = len(end) > 0
        rows = rows[:end[0, 0]] if ended else rows
        if len(rows) == 0:
            return np.zeros(0, np.float32), ended
        samples = self.model.codec_model.decode(rows.T[None]).audio_values[0, 0].numpy()
        as_file = np.round(np.clip(samples, -1, 1) * 32767) / 32768  # csm's clips went through a 16-bit file
        return as_file.astype(np.float32), ended
