"""The task of naming what an image shows."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification

from sparsepath.data.images import Images, read_images, split_images
from sparsepath.data.order import places_of_step
from sparsepath.errors import ConfigError
from sparsepath.models.topk_vit import TopKViTConfig, TopKViTForImageClassification
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Batch, Evaluation, Outputs, Task

EVALUATED_AT_ONCE = 256
"""Images of a batch that is only scored."""

SHIFT_SHARE = 8
"""Images move by up to this part of their height and width."""


class ImageTask(Task):
    """Classifying images with a ViT."""

    parts = ("held-out", "test")

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        """Read and split the images.

        Args:
            recipe: what to read.
            folder: not needed: images stay where they are.

        Raises:
            ConfigError: if patches do not fit.
            DataError: if images cannot be read, or are too few.
        """
        self._recipe = recipe
        images = read_images(recipe.data.source)
        self._n_labels, (self._side, width) = images.n_labels, images.pixels.shape[2:]
        patch, data = recipe.model.patch, recipe.data
        if self._side != width or self._side % patch:
            raise ConfigError(
                f"images of {self._side} by {width} pixels, model.patch = {patch}",
                hint="use square images whose side is a multiple of model.patch",
            )
        self._images = split_images(images, data.train_rows, data.held_out_rows, seed=recipe.seed)
        self.tokens_a_row = (self._side // patch) ** 2 + 1

    @property
    def source(self) -> str:
        """Where images are from, and how many."""
        return f"{self._recipe.data.source}, {len(self._images.train.labels):,} images"

    def model(self) -> PreTrainedModel:
        """Make a ViT with fresh weights.

        Raises:
            ConfigError: if its layers do not have what is to be sparse.
        """
        shape = self._recipe.model
        sparse = self._recipe.topk.keywords
        config = (TopKViTConfig if sparse else ViTConfig)(
            **sparse,
            image_size=self._side,
            patch_size=shape.patch,
            num_channels=self._images.train.pixels.shape[1],
            hidden_size=shape.d_model,
            num_hidden_layers=shape.n_layers,
            num_attention_heads=shape.n_heads,
            intermediate_size=shape.d_mlp,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=0.0,
        )
        config.num_labels = self._n_labels
        with torch.random.fork_rng():
            torch.manual_seed(self._recipe.seed)
            if isinstance(config, TopKViTConfig):
                return TopKViTForImageClassification(config)
            return ViTForImageClassification(config)

    def batch(self, step: int) -> Batch:
        """Read images, moved and mirrored where the recipe says so."""
        recipe, train = self._recipe, self._images.train
        places = places_of_step(step, recipe.train.batch_size, len(train.labels), recipe.seed)
        chosen = train.some(places)
        pixels = torch.from_numpy(chosen.pixels)
        if recipe.data.augment != "none":
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            is_flipped = recipe.data.augment == "shift-flip"
            pixels = _moved(pixels, generator, is_flipped=is_flipped)
        return {"pixels": pixels, "labels": torch.from_numpy(chosen.labels)}

    def loss(self, model: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """Give the mean loss of naming an image, in nats."""
        logits_BC = model(pixel_values=batch["pixels"]).logits
        return functional.cross_entropy(logits_BC.float(), batch["labels"])

    @torch.no_grad()
    def outputs(self, model: nn.Module, part: str) -> Outputs:
        """Let a model answer held-out or test images."""
        images: Images = self._images.held_out if part == "held-out" else self._images.test
        device = next(model.parameters()).device
        logits = [
            model(pixel_values=pixels.to(device)).logits.float().cpu()
            for pixels in torch.from_numpy(images.pixels).split(EVALUATED_AT_ONCE)
        ]
        return Outputs(torch.cat(logits), torch.from_numpy(images.labels))

    def evaluate(self, model: nn.Module, part: str) -> Evaluation:
        """Score a model on held-out or test images."""
        model.eval()
        logits_NC, labels_N = self.outputs(model, part)
        model.train()
        accuracy = float((logits_NC.argmax(dim=-1) == labels_N).double().mean())
        loss = float(functional.cross_entropy(logits_NC, labels_N))
        return Evaluation(part, loss, {"accuracy": accuracy}, len(labels_N))


def _moved(
    pixels: Float[Tensor, "images channels height width"],
    generator: torch.Generator,
    *,
    is_flipped: bool,
) -> Float[Tensor, "images channels height width"]:
    """Move each image by a few pixels, and mirror half of them."""
    n, _, height, width = pixels.shape
    most = max(1, height // SHIFT_SHARE)
    padded = functional.pad(pixels, (most, most, most, most))
    starts = torch.randint(2 * most + 1, (n, 2), generator=generator).tolist()
    moved = torch.stack(
        [
            image[:, y : y + height, x : x + width]
            for image, (y, x) in zip(padded, starts, strict=True)
        ]
    )
    if not is_flipped:
        return moved
    is_mirrored = torch.rand(n, generator=generator) < 0.5
    return torch.where(is_mirrored.view(n, 1, 1, 1), moved.flip(-1), moved)
