"""CSM's backbone and depth decoder for training: a lean forward on the parameters of Transformers' own modules (see
check()), with the losses.

Losses: cross-entropy of codebook 0 at every frame (the end frame too) and of the other codebooks on a random part of the
frames; on a few attention heads a guided-attention loss (Tachibana et al. 2017) towards the text position that is being
spoken; phone prediction from a middle layer. Inputs are corrupted a little, so that the model relies on the text and
survives its own mistakes.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import CsmConfig

GUIDED_HEADS = {2: 1, 3: 1}  # layer: number of guided heads
PHONE_LAYER = 3              # its output also predicts the phones of the two halves of the coming frame (training only)
CORRUPTED_CODEBOOKS = 0.6    # share of a corrupted frame's codes that are another frame's


def make_config(a, codec_config, n_text, base):
    """base: id of <|begin_of_text|>."""
    def rope(high, low, original):
        return {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "high_freq_factor": high, "low_freq_factor": low,
                "original_max_position_embeddings": original}
    n_codebooks, n_audio = codec_config.num_quantizers, codec_config.codebook_size + 3
    depth = dict(num_codebooks=n_codebooks, backbone_hidden_size=a.hidden, vocab_size=n_audio, hidden_size=a.depth_hidden,
                 intermediate_size=a.depth_ffn, num_hidden_layers=a.depth_layers, num_attention_heads=a.depth_hidden // 64,
                 num_key_value_heads=max(1, a.depth_hidden // 128), head_dim=64, max_position_embeddings=33,
                 rope_parameters=rope(0.0078125, 0.001953125, 16))
    return CsmConfig(num_codebooks=n_codebooks, vocab_size=n_audio, text_vocab_size=n_text, hidden_size=a.hidden,
                     intermediate_size=a.ffn, num_hidden_layers=a.layers, num_attention_heads=a.hidden // 64,
                     num_key_value_heads=a.hidden // 128, head_dim=64, max_position_embeddings=2048,
                     rope_parameters=rope(0.5, 0.125, 1024), pad_token_id=base + 2, bos_token_id=base, audio_token_id=base + 2,
                     audio_eos_token_id=base + 3, codebook_pad_token_id=n_audio - 1, codebook_eos_token_id=0,
                     depth_decoder_config=depth, codec_config=codec_config.to_dict())


def rope_tables(rotary, n, device):
    angles = torch.arange(n, device=device)[:, None].float() * rotary.inv_freq.to(device)
    angles = torch.cat([angles, angles], 1)
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def norm(x, module):
    """RMSNorm of the f32 residual stream; under autocast the result is cast once for the matrix products."""
    y = F.rms_norm(x, (x.shape[-1],), module.weight, module.variance_epsilon)
    return y.to(torch.get_autocast_dtype(x.device.type)) if torch.is_autocast_enabled(x.device.type) else y


def decoder_layer(module, x, tables, n_guided=0):
    """One layer, causal without padding mask (padding is on the right). Returns (x, attention logits of the guided heads)."""
    b, n, _ = x.shape
    attention, y = module.self_attn, norm(x, module.input_layernorm)
    q, k, v = (w(y).view(b, n, -1, attention.head_dim).transpose(1, 2) for w in (attention.q_proj, attention.k_proj, attention.v_proj))
    cos, sin = (t.to(v.dtype) for t in tables)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + attention.o_proj(mixed.transpose(1, 2).reshape(b, n, -1))
    y = norm(x, module.post_attention_layernorm)
    x = x + module.mlp.down_proj(F.silu(module.mlp.gate_proj(y)) * module.mlp.up_proj(y))
    if not n_guided:
        return x, None
    return x, (q[:, :n_guided] @ k[:, :n_guided].transpose(2, 3)) * attention.head_dim ** -0.5


@dataclass
class LossOptions:
    depth_ratio: float = 0.25     # share of the frames whose other codebooks are trained
    corrupt: float = 0.0          # share of the input frames
    label_smoothing: float = 0.0
    guide_sigma: float = 1.0      # tokens


class SpeechLosses(torch.nn.Module):
    """The model under training with its phone head."""

    def __init__(self, model, n_phones):
        super().__init__()
        self.model = model
        self.phone_head = torch.nn.Linear(model.config.hidden_size, 2 * n_phones)
        self.n_codebooks, self.n_audio = model.config.num_codebooks, model.config.vocab_size

    def _offsets(self, device):
        return torch.arange(self.n_codebooks, device=device) * self.n_audio

    def backbone(self, tokens, codes, is_audio):
        """-> (states [B, N, D] after the final norm, guided attention logits, states of PHONE_LAYER)"""
        model = self.model
        b, n = tokens.shape
        x = F.embedding(tokens, model.embed_text_tokens.weight).reshape(b * n, -1)
        rows = is_audio.reshape(-1).nonzero()[:, 0]
        table = model.depth_decoder.model.embed_tokens.weight
        audio = F.embedding_bag(codes.reshape(b * n, -1)[rows] + self._offsets(codes.device), table, mode="sum")
        x = x.index_copy(0, rows, audio.to(x.dtype)).view(b, n, -1)
        tables = rope_tables(model.backbone_model.rotary_emb, n, x.device)
        maps, middle = [], None
        for i, module in enumerate(model.backbone_model.layers):
            x, attention = decoder_layer(module, x, tables, GUIDED_HEADS.get(i, 0))
            if attention is not None:
                maps.append(attention)
            if i == PHONE_LAYER:
                middle = x
        return norm(x, model.backbone_model.norm), maps, x if middle is None else middle

    def depth(self, states, codes):
        """states [N, D] of the backbone, codes [N, K] -> logits [K - 1, N, V]"""
        decoder = self.model.depth_decoder
        embedded = F.embedding(codes[:, :-1] + self._offsets(codes.device)[:-1], decoder.model.embed_tokens.weight)
        x = decoder.model.inputs_embeds_projector(torch.cat([states[:, None].to(embedded.dtype), embedded], 1)).float()
        tables = rope_tables(decoder.model.rotary_emb, self.n_codebooks, x.device)
        for module in decoder.model.layers:
            x, _ = decoder_layer(module, x, tables)
        x = norm(x, decoder.model.norm)[:, 1:].transpose(0, 1)
        return torch.bmm(x, decoder.codebooks_head.weight.to(x.dtype))

    def _corrupted(self, codes, is_audio, share):
        """Some frames hold codes of other frames."""
        b, n, k = codes.shape
        bad = (torch.rand(b, n, 1, device=codes.device) < share) & (torch.rand(b, n, k, device=codes.device) < CORRUPTED_CODEBOOKS)
        pool = codes[is_audio]
        others = pool[torch.randint(len(pool), (b, n), device=codes.device)]
        return torch.where(bad & (codes.sum(-1, keepdim=True) > 0), others, codes)

    def _guide(self, maps, batch, sigma):
        """Cross-entropy of the guided heads against a Gaussian around the spoken token."""
        n = batch.tokens.shape[1] - 1
        centres = batch.centres[:, 1:]
        known = (centres >= 0).reshape(-1).nonzero()[:, 0]
        position = torch.arange(n, device=centres.device).float()
        causal = torch.ones(n, n, dtype=torch.bool, device=centres.device).tril()
        is_text = (~batch.is_audio[:, :-1]) & (position[None] < batch.lengths[:, None])
        want = torch.exp(-0.5 * ((position[None, None] - centres[:, :, None]) / sigma) ** 2) * is_text[:, None] * causal
        want = want / want.sum(-1, keepdim=True).clamp(min=1e-6)
        loss = 0.0
        for logits in maps:
            log_attention = logits.float().masked_fill(~causal, -1e9).log_softmax(-1)  # [B, heads, N, N]
            loss = loss - (want[:, None] * log_attention).sum(-1).mean(1).reshape(-1)[known].mean() / len(maps)
        return loss

    def forward(self, batch, rng, options):
        """-> (losses by name, predictions for statistics())"""
        codes = batch.codes
        inputs = self._corrupted(codes, batch.is_audio, options.corrupt)[:, :-1] if options.corrupt > 0 else codes[:, :-1]
        states, maps, middle = self.backbone(batch.tokens[:, :-1], inputs, batch.is_audio[:, :-1])
        b, n = inputs.shape[:2]
        rows = batch.is_audio[:, 1:].reshape(-1).nonzero()[:, 0]  # positions whose next item is a frame
        want = codes[:, 1:].reshape(b * n, -1)[rows]
        states = states.reshape(b * n, -1)[rows]
        logits = self.model.lm_head(states).float()
        picked = torch.from_numpy(rng.permutation(len(rows))[:max(1, int(len(rows) * options.depth_ratio))]).to(rows.device)
        depth_logits = self.depth(states[picked], want[picked]).float()
        middle = middle.reshape(b * n, -1)[rows]
        phones = batch.phones[:, 1:].reshape(b * n, 2)[rows].reshape(-1)
        phone_logits = self.phone_head(F.rms_norm(middle, (middle.shape[-1],))).float().view(len(phones), -1)
        losses = {
            "c0": F.cross_entropy(logits, want[:, 0], label_smoothing=options.label_smoothing),
            "depth": F.cross_entropy(depth_logits.reshape(-1, self.n_audio), want[picked][:, 1:].T.reshape(-1),
                                     label_smoothing=options.label_smoothing),
            "phone": F.cross_entropy(phone_logits, phones, ignore_index=-100),
        }
        if maps:
            losses["guide"] = self._guide(maps, batch, options.guide_sigma)
        return losses, (logits, want, depth_logits, want[picked], phone_logits, phones)


def statistics(predictions):
    """Accuracies of one batch, by name."""
    logits, want, depth_logits, depth_want, phone_logits, phones = predictions
    best = logits.argmax(1)
    return {
        "c0_accuracy": (best == want[:, 0]).float().mean().item(),
        "c0_top10": (logits.topk(10, 1).indices == want[:, :1]).any(1).float().mean().item(),
        "depth_accuracy": (depth_logits.argmax(-1).T == depth_want[:, 1:]).float().mean().item(),
        "phone_accuracy": (phone_logits.argmax(1) == phones)[phones >= 0].float().mean().item(),
        "end_recall": (best == 0)[want[:, 0] == 0].float().mean().item(),
    }


@torch.no_grad()
def check(losses, batch):
    """Largest differences between this forward and Transformers' modules: (backbone, depth decoder)."""
    model = losses.model
    states, _, _ = losses.backbone(batch.tokens, batch.codes, batch.is_audio)
    embedded = model.embed_text_tokens(batch.tokens)
    embedded[batch.is_audio] = model.backbone_model.embed_tokens(batch.codes[batch.is_audio][None])[0]
    reference = model.backbone_model(inputs_embeds=embedded).last_hidden_state
    ours = losses.depth(states[0, -4:], batch.codes[0, -4:])
    ids = F.pad(batch.codes[0, -4:, :-1], (1, 0))
    theirs = model.depth_decoder(input_ids=ids, backbone_last_hidden_state=states[0, -4:]).logits
    return (states - reference).abs().max().item(), (ours.transpose(0, 1) - theirs).abs().max().item()
