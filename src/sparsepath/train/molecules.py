"""The task of predicting a number for a molecule."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from sparsepath.data.molecules import (
    ATOM_CATEGORIES,
    BOND_CATEGORIES,
    MAX_DISTANCE,
    Molecule,
    read_molecules,
)
from sparsepath.data.order import places_of_step
from sparsepath.errors import DataError
from sparsepath.models.graph_transformer import GraphConfig, GraphTransformer
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Batch, Evaluation, Outputs, Task

EVALUATED_AT_ONCE = 64
"""Molecules of a batch that is only scored."""


class MoleculeTask(Task):
    """Regression on graphs of atoms with a graph transformer."""

    parts = ("held-out", "test")

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Read and split the molecules.

        Args:
            recipe: what to read.
            folder: not needed: molecules stay where they are.

        Raises:
            DataError: if molecules cannot be read, or are too few.
        """
        self._recipe, data = recipe, recipe.data
        found = read_molecules(data.source)
        n_train, n_held_out = data.train_rows, data.held_out_rows
        if n_train + n_held_out >= len(found):
            raise DataError(
                f"{len(found)} molecules are too few for {n_train} to train on and {n_held_out} "
                "held out",
                hint="lower data.train_rows or data.held_out_rows",
            )
        order = np.random.default_rng(recipe.seed).permutation(len(found))
        shuffled = [found[i] for i in order]
        self._train = shuffled[:n_train]
        self._held_out = shuffled[n_train : n_train + n_held_out]
        self._test = shuffled[n_train + n_held_out :]
        values = np.array([molecule.value for molecule in self._train])
        self._mean, self._deviation = float(values.mean()), max(float(values.std()), 1e-6)
        self.tokens_a_row = max(len(molecule.atoms) for molecule in found)

    @property
    def source(self) -> str:
        """Where molecules are from, and how many."""
        return f"{self._recipe.data.source}, {len(self._train):,} molecules"

    def model(self) -> PreTrainedModel:
        """Make a graph transformer with fresh weights.

        Raises:
            ConfigError: if its layers do not have what is to be sparse.
        """
        shape = self._recipe.model
        config = GraphConfig(
            atom_categories=ATOM_CATEGORIES,
            bond_categories=BOND_CATEGORIES,
            d_model=shape.d_model,
            d_edge=shape.d_edge,
            n_layers=shape.n_layers,
            n_heads=shape.n_heads,
            d_mlp=shape.d_mlp,
            dropout=shape.dropout,
            **self._recipe.topk.keywords,
        )
        with torch.random.fork_rng():
            torch.manual_seed(self._recipe.seed)
            return GraphTransformer(config)

    def batch(self, step: int) -> Batch:
        """Read molecules, padded to the largest of them."""
        recipe = self._recipe
        places = places_of_step(step, recipe.train.batch_size, len(self._train), recipe.seed)
        return self._padded([self._train[place] for place in places])

    def loss(self, model: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean squared error, in squared standard deviations of the training values."""
        values = model(batch["atoms"], batch["bonds"], batch["is_real"]).values
        return functional.mse_loss(values.float(), batch["values"])

    @torch.no_grad()
    def outputs(self, model: nn.Module, part: str) -> Outputs:
        """Let a model answer held-out or test molecules."""
        molecules = self._held_out if part == "held-out" else self._test
        device = next(model.parameters()).device
        found, truth = [], []
        for start in range(0, len(molecules), EVALUATED_AT_ONCE):
            batch = self._padded(molecules[start : start + EVALUATED_AT_ONCE])
            inputs = (batch[name].to(device) for name in ("atoms", "bonds", "is_real"))
            found.append(model(*inputs).values.float().cpu())
            truth.append(batch["values"])
        return Outputs(torch.cat(found).unsqueeze(-1), torch.cat(truth))

    def evaluate(self, model: nn.Module, part: str) -> Evaluation:
        """Score a model on held-out or test molecules."""
        model.eval()
        values_N1, truth_N = self.outputs(model, part)
        model.train()
        error_N = values_N1.squeeze(-1) - truth_N
        scores = {
            "mean_absolute_error": float(error_N.abs().mean()) * self._deviation,
            "root_mean_squared_error": float(error_N.square().mean().sqrt()) * self._deviation,
        }
        return Evaluation(part, float(error_N.square().mean()), scores, len(error_N))

    def told(self, loss_nats: float) -> str:
        """Say a loss in squared standard deviations."""
        return f"squared error {loss_nats:.3f} (1 is the mean for all)"

    def save(self, model: PreTrainedModel, folder: Path, card: str) -> None:
        """Write the model; how its numbers are scaled stands in its configuration."""
        model.config.value_mean, model.config.value_deviation = self._mean, self._deviation
        super().save(model, folder, card)

    def _padded(self, molecules: list[Molecule]) -> Batch:
        """Put molecules into tensors."""
        most = max(len(molecule.atoms) for molecule in molecules)
        n = len(molecules)
        atoms = torch.zeros(n, most, len(ATOM_CATEGORIES), dtype=torch.int64)
        bonds = torch.zeros(n, most, most, len(BOND_CATEGORIES), dtype=torch.int64)
        bonds[..., 1] = MAX_DISTANCE
        is_real = torch.zeros(n, most, dtype=torch.bool)
        for row, molecule in enumerate(molecules):
            size = len(molecule.atoms)
            atoms[row, :size] = torch.from_numpy(molecule.atoms)
            bonds[row, :size, :size] = torch.from_numpy(molecule.bonds)
            is_real[row, :size] = True
        values = torch.tensor([molecule.value for molecule in molecules])
        scaled = (values - self._mean) / self._deviation
        return {"atoms": atoms, "bonds": bonds, "is_real": is_real, "values": scaled}
