"""Trains the small byte-level BPE tokenizer (Llama 3's split pattern and order of special tokens) and writes the processor.

Ids: 0..255 bytes, then the merges, then from `base` the special tokens under CSM's names: <|begin_of_text|>,
<|end_of_text|>, <|AUDIO|> (also padding), <|audio_eos|>, reserved ones.
"""
import argparse
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import CsmProcessor, EncodecFeatureExtractor, PreTrainedTokenizerFast

from .corpus import RATE, Corpus

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>", "<|finetune_right_pad_id|>",
            "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>",
            "<|python_tag|>"] + [f"<|reserved_special_token_{i}|>" for i in range(3, 8)]
CHAT_TEMPLATE = (
    "{%- for message in messages -%}{{ '<|begin_of_text|>[' + message['role'] + ']' }}"
    "{%- if message['content'] is string -%}{{ message['content'] + '<|end_of_text|>' }}"
    "{%- else -%}"
    "{%- for c in message['content'] -%}{%- if c['type'] == 'text' -%}{{ c['text'] }}{%- endif -%}{%- endfor -%}"
    "{{ '<|end_of_text|>' }}"
    "{%- for c in message['content'] -%}{%- if c['type'] == 'audio' -%}{{ '<|AUDIO|><|audio_eos|>' }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endfor -%}")


def train(texts, merges):
    """A tokenizer with 256 bytes, the merges, and the special tokens; returns (tokenizer, id of <|begin_of_text|>)."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=256 + merges, show_progress=False, special_tokens=[], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    base = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in SPECIALS])
    begin, end = SPECIALS[:2]
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single=f"{begin} $A {end}", pair=f"{begin} $A {end} {begin}:1 $B:1 {end}:1",
                                      special_tokens=[(begin, base), (end, base + 1)])])
    return tokenizer, base


def processor(tokenizer, base):
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=SPECIALS[0], eos_token=SPECIALS[1], pad_token=SPECIALS[2],
                                   padding_side="left", model_input_names=["input_ids", "attention_mask"],
                                   clean_up_tokenization_spaces=False, model_max_length=2048)
    fast.audio_token, fast.audio_token_id = SPECIALS[2], base + 2
    fast.audio_eos_token, fast.audio_eos_token_id = SPECIALS[3], base + 3
    extractor = EncodecFeatureExtractor(feature_size=1, sampling_rate=RATE, padding_value=0.0)
    return CsmProcessor(extractor, fast, chat_template=CHAT_TEMPLATE)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--merges", type=int, default=200)
    a = parser.parse_args(argv)
    texts = [c["text"] for c in Corpus(a.corpus).clips]  # without "[speaker]", so that no merge holds "]"
    tokenizer, base = train(texts, a.merges)
    processor(tokenizer, base).save_pretrained(a.out)
    some = texts[:2000]
    mean = sum(len(tokenizer.encode(t).ids) for t in some) / len(some)
    print(f"vocabulary {tokenizer.get_vocab_size()} (base {base}); {mean:.1f} tokens a text", flush=True)


if __name__ == "__main__":
    main()
