"""The optimiser of the UNet: Muon for matrices and convolutions, AdamW for the rest.

Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the step is
scaled to AdamW's as in "Muon is scalable for LLM training" (Moonshot, 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tools.training.loop import Optimisers, place

OUTER = ("conv_in", "conv_out", "time_embedding")
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalise(update: torch.Tensor) -> torch.Tensor:
    """The nearest matrix with all singular values about one, by five Newton-Schulz iterations."""
    matrix = update.reshape(len(update), -1).bfloat16()
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    scale: float = 0.2 * max(matrix.shape) ** 0.5
    result: torch.Tensor = scale * (x if wide else x.T).float()
    return result.reshape(update.shape)


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is orthogonalised."""

    def __init__(
        self, weights: Sequence[torch.Tensor], rate: float, *, momentum: float = 0.95
    ) -> None:
        """Optimise weights of two or more dimensions."""
        super().__init__(weights, {"lr": rate, "momentum": momentum, "weight_decay": 0.01})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight once. The processes divide the orthogonalising, half of the cost."""
        rank, world = place()
        for group in self.param_groups:
            weights = group["params"]
            updates = torch.zeros(sum(weight.numel() for weight in weights))
            parts = torch.split(updates, [weight.numel() for weight in weights])
            for number, (weight, part) in enumerate(zip(weights, parts, strict=True)):
                ahead = self._ahead(weight, group["momentum"])
                if number % world == rank:
                    part.copy_(orthogonalise(ahead).flatten())
            if world > 1:
                torch.distributed.all_reduce(updates)
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            steps = [part.view_as(weight) for weight, part in zip(weights, parts, strict=True)]
            torch._foreach_add_(weights, steps, alpha=-group["lr"])

    def _ahead(self, weight: torch.Tensor, momentum: float) -> torch.Tensor:
        """Nesterov's look-ahead gradient."""
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        average: torch.Tensor = state["momentum"]
        assert weight.grad is not None
        average.lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(average, momentum)


def muon_adamw(model: torch.nn.Module, rate: float, matrix_rate: float) -> Optimisers:
    """Muon and AdamW over one model, which divide its weights between them."""
    named = list(model.named_parameters())
    inner = [w for name, w in named if w.ndim >= 2 and not name.startswith(OUTER)]
    chosen = {id(weight) for weight in inner}
    rest = [weight for _, weight in named if id(weight) not in chosen]
    return Optimisers(
        Muon(inner, matrix_rate),
        torch.optim.AdamW(rest, rate, betas=(0.9, 0.99), weight_decay=0.01),
    )
