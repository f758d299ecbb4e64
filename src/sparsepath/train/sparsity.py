"""Sparse hidden states while a model trains: what a step keeps, and which neurons never fire."""

from typing import Any

import torch
from torch import Tensor, nn

from sparsepath.nn.topk import KSchedule, TopK

ALWAYS = 0.999
"""Share of the rows from which a neuron counts as always firing."""


class Sparsity:
    """All sparse sites of a model."""

    def __init__(self, model: nn.Module, schedule: KSchedule, *, revive: float = 0.0) -> None:
        """Find them.

        Args:
            model: may have none.
            schedule: how the number of kept entries falls.
            revive: weight of the loss that brings dead neurons back; 0: none.
        """
        self.sites = {name: m for name, m in model.named_modules() if isinstance(m, TopK)}
        self._schedule, self._revive = schedule, revive
        for site in self.sites.values():
            site.revive(revive > 0)

    def follow(self, step: int, n_steps: int) -> None:
        """Keep what a step keeps.

        Args:
            step: steps done before it.
            n_steps: steps of the whole training.
        """
        for site in self.sites.values():
            width = site.width - site.n_always_on
            site.set_k(self._schedule.at(step, n_steps, k=site.k, width=width))

    def loss(self) -> Tensor | float:
        """Give what the last pass adds to the loss so that dead neurons come back."""
        lacking = [site.revival for site in self.sites.values() if site.revival is not None]
        return self._revive * torch.stack(lacking).mean() if lacking else 0.0

    def neurons(self) -> dict[str, dict[str, Any]]:
        """Tell of each site what it keeps, and the shares of neurons that never or always fired.

        Counted since the last call, and forgotten.
        """
        told = {}
        for name, site in self.sites.items():
            n_rows = max(1.0, float(site.n_rows))
            rate = site.fired / n_rows
            told[name] = {
                "k": site.k_now,
                "dead": float((rate == 0).double().mean()),
                "always": float((rate >= ALWAYS).double().mean()),
            }
            site.forget()
        return told

    def sentence(self, neurons: dict[str, dict[str, Any]]) -> str:
        """Say in a line what `neurons` told."""
        n = len(neurons)
        dead = sum(told["dead"] for told in neurons.values()) / n
        always = sum(told["always"] for told in neurons.values()) / n
        worst = max(neurons, key=lambda name: neurons[name]["dead"])
        return (
            f"{dead:.1%} of the neurons never fired, {always:.1%} always did; most silent: "
            f"{worst} with {neurons[worst]['dead']:.1%}"
        )
