"""Spectral targets and losses of codec training."""
import math

import numpy as np
import torch
import torch.nn.functional as F

from .corpus import RATE


def mel_bands(n_fft, n_bands, low_hz=30, high_hz=9000):
    """Triangular mel filters [n_fft / 2 + 1, bands], each with sum 1; bands without a bin are left out."""
    def mel(hz):
        return 2595 * np.log10(1 + hz / 700)
    hz = np.linspace(0, RATE / 2, n_fft // 2 + 1)
    edges = 700 * (10 ** (np.linspace(mel(low_hz), mel(high_hz), n_bands + 2) / 2595) - 1)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    weights = weights[weights.sum(1) > 0]
    return torch.tensor((weights / weights.sum(1, keepdims=True)).T, dtype=torch.float32)


def magnitudes(x, n_fft, hop, window):
    """x [B, T] -> [B, bins, frames]"""
    spectrum = torch.stft(x, n_fft, hop, window=window, return_complex=True)
    return torch.sqrt(spectrum.real ** 2 + spectrum.imag ** 2 + 1e-8) / math.sqrt(n_fft)


class SpectralLoss:
    """Mean absolute differences of log-mel bands and of log magnitudes, over several window lengths."""

    def __init__(self, device, sizes=(256, 512, 1024, 2048), bands=(24, 40, 64, 80)):
        self.scales = [(n, torch.hann_window(n, device=device), mel_bands(n, b).to(device)) for n, b in zip(sizes, bands)]

    def __call__(self, output, target):
        """[B, T] each -> (log-mel L1, log-magnitude L1)"""
        mel = linear = 0.0
        for n, window, bands in self.scales:
            out, want = magnitudes(torch.cat([output, target]), n, n // 4, window).chunk(2)
            mel = mel + (torch.log(out.transpose(1, 2) @ bands + 2e-3) - torch.log(want.transpose(1, 2) @ bands + 2e-3)).abs().mean()
            linear = linear + (torch.log(out + 1e-2) - torch.log(want + 1e-2)).abs().mean()
        return mel / len(self.scales), linear / len(self.scales)


class MelTarget:
    """Log-mel features of every 40 ms (4 frames of 10 ms, two window lengths), standardised per band by the first batch."""

    SIZES, BANDS = (1024, 256), (80, 40)
    WIDTH = 4 * 120  # values per 40 ms

    def __init__(self, device):
        self.scales = [(n, torch.hann_window(n, device=device), mel_bands(n, b).to(device)) for n, b in zip(self.SIZES, self.BANDS)]
        self.mean = self.std = None

    def __call__(self, x):
        """x [B, T] -> [B, T / 960, WIDTH]"""
        parts = []
        for n, window, bands in self.scales:
            mag = magnitudes(F.pad(x[:, 120:], (0, 120)), n, 240, window)
            parts.append(torch.log(mag.transpose(1, 2) @ bands + 1e-3)[:, :-1])
        y = torch.cat(parts, -1)
        y = y.reshape(y.shape[0], y.shape[1] // 4, -1)
        if self.mean is None:
            self.mean, self.std = y.mean((0, 1)), y.std((0, 1)) + 0.1
        return (y - self.mean) / self.std
