"""The task of a sparse autoencoder: hidden states of a frozen language model, as few directions.

Each step reads rows of a corpus, runs the model up to the site, and fits the hidden state of every
token. Nothing of them is kept, so a corpus of any size costs no disk.

Read with: `models/autoencoder.py` (the loss).
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sparsepath.artifacts.model_files import locate_language_model, weights_sha256
from sparsepath.errors import ConfigError
from sparsepath.models.autoencoder import AutoencoderConfig, Reconstruction, SparseAutoencoder
from sparsepath.models.language_folder import LANGUAGE_KINDS, load_language_model
from sparsepath.models.sources import find_model
from sparsepath.trace.hidden import SitePlace, dense_places, hidden_at, replaced, watch
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Batch, Evaluation, Task
from sparsepath.train.tokens import held_out_rows, open_tokens


class AutoencoderTask(Task):
    """Saying hidden states of a language model by few directions."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Load the language model, and make or find the tokens.

        Args:
            recipe: what to read.
            folder: where tokens are kept.

        Raises:
            ConfigError: if layer, k or length do not fit the model.
            DataError: if the corpus cannot be read or is too short.
            ModelError: if the language model cannot be read.
        """
        assert recipe.model.base is not None  # `check_recipe` asks for it
        self._recipe, self._parent_folder = recipe, _find(recipe.model.base)
        parent, tokenizer = load_language_model(self._parent_folder)
        self._parent = parent.requires_grad_(False)
        self._place = _place(recipe, parent)
        folder.mkdir(parents=True, exist_ok=True)
        ends: Any = parent.config.eos_token_id
        end = ends[0] if isinstance(ends, list) else ends
        self._train, self._held_out = open_tokens(recipe, tokenizer, folder, end=end)
        self.tokens_a_row = recipe.data.length

    @property
    def source(self) -> str:
        """Where hidden states come from, and on what."""
        where = f"{self._place.site} of layer {self._place.layer} of {self._recipe.model.base}"
        return f"{where}, on {self._recipe.data.source} ({self._train.index.n_tokens:,} tokens)"

    def model(self) -> PreTrainedModel:
        """Make the autoencoder with its first weights, from the hidden states of the first step."""
        settings, place = self._recipe.autoencoder, self._place
        config = AutoencoderConfig(
            width=place.width,
            n_latents=settings.latents,
            k=settings.k,
            layer=place.layer,
            site=place.site,
            parent=str(self._recipe.model.base),
            parent_sha256=weights_sha256(self._parent_folder),
            revive=settings.revive,
            revive_k=settings.revive_k or max(1, place.width // 2),
            dead_after=settings.dead_after,
        )
        found = SparseAutoencoder(config)
        rows = self._hidden(self.batch(0)["rows"]).flatten(0, -2)
        found.begin(rows.cpu(), torch.Generator().manual_seed(self._recipe.seed))
        return found

    def batch(self, step: int) -> Batch:
        """Read rows of tokens."""
        rows = self._train.batch(self._recipe.seed, step, self._recipe.train.batch_size)
        return {"rows": torch.from_numpy(rows)}

    def loss(self, model: torch.nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean squared error in units of the states' size, and what revival adds."""
        found: Tensor = model(self._hidden(batch["rows"])).loss
        return found

    def _hidden(self, rows: Int[Tensor, "rows more"]) -> Float[Tensor, "rows tokens width"]:
        """Run the language model up to the site, on all tokens but the last of each row."""
        parent: torch.nn.Module = self._parent
        parent.to(rows.device)
        return hidden_at(self._parent, self._place, rows[:, :-1])

    @torch.no_grad()
    def evaluate(self, model: torch.nn.Module, part: str) -> Evaluation:
        """Score an autoencoder on the first held-out rows."""
        device = next(model.parameters()).device
        model.eval()
        sums = _Sums(self._place.width, self._recipe.autoencoder.latents)
        for rows in held_out_rows(self._recipe, self._held_out):
            self._score(model, rows.to(device), sums)
        model.train()
        scores = sums.scores()
        return Evaluation(part, 1 - scores["explained_variance"], scores, sums.n)

    def _score(self, model: torch.nn.Module, rows: Tensor, sums: "_Sums") -> None:
        """Add some rows: what is explained, and what the language model says with it."""
        seen: list[Reconstruction] = []

        def instead(hidden: Tensor) -> Tensor:
            seen.append(model(hidden))
            return seen[-1].hidden.to(hidden.dtype)

        kept: list[Tensor] = []
        parent: torch.nn.Module = self._parent
        parent.to(rows.device)
        with watch(self._parent, [self._place], lambda _place, hidden: kept.append(hidden)):
            clean = self._nats(rows)
        with replaced(self._parent, self._place, instead):
            said = self._nats(rows)
        with replaced(self._parent, self._place, torch.zeros_like):
            zero = self._nats(rows)
        sums.add(kept[0], seen[0], _Nats(clean, said, zero))

    def _nats(self, rows: Tensor) -> float:
        """Give the language model's summed loss, in nats."""
        logits = self._parent(input_ids=rows[:, :-1], use_cache=False).logits.float()
        told = functional.cross_entropy(
            logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"
        )
        return float(told)

    def told(self, loss_nats: float) -> str:
        """Say about how much is left unexplained."""
        return f"error {loss_nats:.4f}"

    def save(self, model: PreTrainedModel, folder: Path, card: str) -> None:
        """Write the autoencoder, its directions of length one."""
        assert isinstance(model, SparseAutoencoder)
        model.settle()
        lines = [line for line in card.splitlines() if not line.startswith("- Attention:")]
        plain = "\n".join(lines).replace("library_name: transformers", "library_name: sparsepath")
        super().save(model, folder, plain + "\n")


class _Nats(NamedTuple):
    """Summed losses of the language model."""

    clean: float
    said: float
    """With what the autoencoder says in place of the hidden states."""
    zero: float
    """With zeros there."""


class _Sums:
    """What is summed up over held-out rows."""

    def __init__(self, width: int, n_latents: int) -> None:
        """Begin with nothing."""
        self.n = 0
        self._left, self._square, self._active = 0.0, 0.0, 0
        self._sum = torch.zeros(width, dtype=torch.float64)
        self._fired = torch.zeros(n_latents, dtype=torch.bool)
        self._nats = [0.0, 0.0, 0.0]

    def add(self, hidden: Tensor, found: Reconstruction, nats: _Nats) -> None:
        """Add some rows."""
        rows, made = (x.flatten(0, -2).double().cpu() for x in (hidden, found.hidden))
        fires = (found.latents.flatten(0, -2) != 0).cpu()
        self.n += len(rows)
        self._left += float((rows - made).square().sum())
        self._square += float(rows.square().sum())
        self._sum += rows.sum(dim=0)
        self._active += int(fires.sum())
        self._fired |= fires.any(dim=0)
        self._nats = [a + b for a, b in zip(self._nats, nats, strict=True)]

    def scores(self) -> dict[str, float]:
        """Give the scores.

        `explained_variance` is 1 less the squared error over the squared distance from the mean;
        `loss_recovered` the share of the loss between zeros and the hidden states themselves; left
        out where zeros cost nothing.
        """
        spread = self._square - float(self._sum.square().sum()) / self.n
        clean, said, zero = (value / self.n for value in self._nats)
        recovered = {"loss_recovered": (zero - said) / (zero - clean)} if zero != clean else {}
        return {
            "explained_variance": 1 - self._left / max(spread, 1e-12),
            **recovered,
            "dead": 1 - float(self._fired.double().mean()),
            "l0": self._active / self.n,
            "nats_clean": clean,
            "nats_autoencoder": said,
            "nats_zero": zero,
        }


def _find(base: str) -> Path:
    """Find the language model: a folder, that of a training, or an id."""
    path = Path(base)
    return (
        locate_language_model(path)
        if path.exists()
        else find_model(base, known=LANGUAGE_KINDS).path
    )


def _place(recipe: Recipe, parent: PreTrainedModel) -> SitePlace:
    """Choose the site.

    Raises:
        ConfigError: if layer, k or length do not fit the model.
    """
    settings, config = recipe.autoencoder, parent.config
    n_layers: int = config.num_hidden_layers
    layer = n_layers // 2 if settings.layer is None else settings.layer
    if layer >= n_layers:
        raise ConfigError(
            f"autoencoder.layer = {layer}, {recipe.model.base} has {n_layers} layers",
            hint=f"choose 0 to {n_layers - 1}",
        )
    longest = int(config.max_position_embeddings)
    if recipe.data.length > longest:
        raise ConfigError(
            f"data.length = {recipe.data.length}, {recipe.model.base} reads {longest} tokens",
            hint="choose a shorter data.length",
        )
    return dense_places(parent, (settings.site,))[layer]
