"""Muon (Jordan et al. 2024): momentum, orthogonalised by a quintic Newton-Schulz iteration. Convolution kernels count as
matrices [out, rest]."""
import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalise(x):
    """x [n, rows, columns] -> nearest (roughly) orthogonal matrices, in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = x.bfloat16()
    flip = x.shape[1] > x.shape[2]
    if flip:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if flip else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.05):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}  # matrices of one shape are handled together
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault((p.shape[0], p[0].numel()), []).append(p)
            for shape, params in by_shape.items():
                self._step_shape(group, shape, params)

    def _step_shape(self, group, shape, params):
        gradients = []
        for p in params:
            state = self.state[p]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            gradients.append(p.grad.lerp(state["momentum"], group["momentum"]).reshape(shape))
        updates = orthogonalise(torch.stack(gradients))
        scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
        for p, update in zip(params, updates):
            p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.to(p.dtype).view(p.shape), alpha=-scale)
