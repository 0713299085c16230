"""The training state of Mimi's split residual quantiser: EMA codebooks (van den Oord et al. 2017) with restart of dead
entries and straight-through gradients. It writes itself into a MimiModel's buffers.

Entry 0 of codebook 0 is never used (its centroid ends up far away), so that no real frame can be CSM's all-zero end frame.
"""
import math

import torch
import torch.nn.functional as F

DECAY = 0.99
DEAD_USAGE = 0.03     # entries used less than this (average count a step) start anew
RESTART_USAGE = 0.2
KMEANS_ITERATIONS = 12


class Quantiser:
    def __init__(self, config, device):
        shape = (config.num_quantizers, config.codebook_size, config.codebook_dim)
        self.centroids = torch.zeros(shape, device=device)
        self.sums = torch.zeros(shape, device=device)
        self.usage = torch.ones(shape[:2], device=device)
        self.ready = False

    def state(self):
        return {"e": self.centroids, "usage": self.usage, "sum": self.sums, "ready": self.ready}

    def load(self, state):
        self.centroids, self.usage, self.sums, self.ready = state["e"], state["usage"], state["sum"], state["ready"]

    def nearest(self, k, x):
        """x [n, d] -> entries [n] of codebook k"""
        distance = self.centroids[k].pow(2).sum(1) - 2 * x @ self.centroids[k].T
        if k == 0:
            distance[:, 0] = math.inf
        return distance.argmin(1)

    def _count(self, x, entries):
        """How often each entry was chosen [codebook_size], and the sum of what chose it [codebook_size, d]."""
        n = self.centroids.shape[1]
        counts = torch.zeros(n, device=x.device).index_add_(0, entries, torch.ones(len(entries), device=x.device))
        return counts, torch.zeros(n, x.shape[1], device=x.device).index_add_(0, entries, x)

    @torch.no_grad()
    def start_from(self, semantic, acoustic):
        """k-means on the inputs [n, d] of the two branches."""
        residual = acoustic.clone()
        for k in range(len(self.centroids)):
            x = semantic if k == 0 else residual
            picks = torch.randint(len(x), (self.centroids.shape[1],), device=x.device)
            self.centroids[k] = x[picks] + 1e-3 * torch.randn_like(self.centroids[k])
            for _ in range(KMEANS_ITERATIONS):
                counts, sums = self._count(x, self.nearest(k, x))
                live = counts > 0
                self.centroids[k][live] = sums[live] / counts[live, None]
                dead = (~live).nonzero()[:, 0]
                self.centroids[k][dead] = x[torch.randint(len(x), (len(dead),), device=x.device)]
            if k > 0:
                residual = residual - self.centroids[k][self.nearest(k, x)]
            self.usage[k] = 1.0
            self.sums[k] = self.centroids[k]
        self.ready = True

    def branch(self, x, codebooks, update):
        """x [n, d] -> (quantised, gradients straight through; codes [len(codebooks), n]; commitment loss)"""
        residual, quantised, codes, commitment = x, torch.zeros_like(x), [], 0.0
        for k in codebooks:
            detached = residual.detach()
            entries = self.nearest(k, detached)
            chosen = self.centroids[k][entries]
            if update:
                self._learn(k, detached, entries)
            commitment = commitment + (residual - chosen).pow(2).mean()
            codes.append(entries)
            quantised = quantised + chosen
            residual = residual - chosen
        return x + (quantised - x).detach(), torch.stack(codes), commitment / len(codes)

    @torch.no_grad()
    def _learn(self, k, x, entries):
        counts, sums = self._count(x, entries)
        self.usage[k].mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.sums[k].mul_(DECAY).add_(sums, alpha=1 - DECAY)
        dead = self.usage[k] < DEAD_USAGE
        if k == 0:
            dead[0] = False
        dead = dead.nonzero()[:, 0]
        if len(dead):
            picks = torch.randint(len(x), (len(dead),), device=x.device)
            self.sums[k][dead] = x[picks] * RESTART_USAGE
            self.usage[k][dead] = RESTART_USAGE
        self.centroids[k] = self.sums[k] / self.usage[k].clamp(min=1e-5)[:, None]

    def export(self, mimi):
        far = 30 * self.centroids[0].abs().max()
        quantizer = mimi.quantizer
        layers = list(quantizer.semantic_residual_vector_quantizer.layers) + list(quantizer.acoustic_residual_vector_quantizer.layers)
        for k, layer in enumerate(layers):
            codebook = layer.codebook
            codebook.embed_sum.copy_(self.centroids[k])
            if k == 0:
                codebook.embed_sum[0] = far / math.sqrt(self.centroids.shape[2])
            codebook.cluster_usage.fill_(1.0)
            codebook._embed = None

    def used(self):
        """How many entries of each codebook are in use, as text."""
        return "/".join(str(int((usage > 0.05).sum())) for usage in self.usage)


def project_in(mimi, z):
    """z [B, T, hidden] -> inputs [B * T, d] of the semantic and of the acoustic branch"""
    quantizer = mimi.quantizer
    flat = z.reshape(-1, z.shape[-1])
    return tuple(F.linear(flat, branch.input_proj.weight[:, :, 0])
                 for branch in (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer))


def quantise(mimi, quantiser, z, update):
    """z [B, T, hidden] -> (quantised latent, commitment loss, semantic vectors [B * T, d]). Before the quantiser is
    ready nothing is quantised."""
    semantic, acoustic = project_in(mimi, z)
    commitment = torch.zeros((), device=z.device)
    if quantiser.ready:
        semantic, _, loss0 = quantiser.branch(semantic, [0], update)
        acoustic, _, loss1 = quantiser.branch(acoustic, range(1, len(quantiser.centroids)), update)
        commitment = loss0 + loss1
    quantizer = mimi.quantizer
    out = (F.linear(semantic, quantizer.semantic_residual_vector_quantizer.output_proj.weight[:, :, 0])
           + F.linear(acoustic, quantizer.acoustic_residual_vector_quantizer.output_proj.weight[:, :, 0]))
    return out.view(z.shape), commitment, semantic
