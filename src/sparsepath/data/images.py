"""Small labelled images, all in memory."""

import zipfile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from sparsepath.errors import DataError

DIGITS = "digits"
"""The source that needs no file: scikit-learn's 1,797 digits of 8 by 8 pixels."""


class Images(NamedTuple):
    """Labelled images."""

    pixels: NDArray[np.float32]
    """[images, channels, height, width]; each channel with mean 0 and deviation 1."""
    labels: NDArray[np.int64]
    """Class of each, from 0."""

    @property
    def n_labels(self) -> int:
        """Classes."""
        return int(self.labels.max()) + 1

    def some(self, places: NDArray[np.int64]) -> "Images":
        """Give the images at some places."""
        return Images(self.pixels[places], self.labels[places])


class ImageParts(NamedTuple):
    """Images by what they are for."""

    train: Images
    """Weights are fitted on these."""
    held_out: Images
    """Choices may look at these."""
    test: Images
    """Only the last evaluation sees these."""


def read_images(source: str) -> Images:
    """Read images.

    Args:
        source: `digits`, or the path of an .npz file with `images`, unsigned bytes [N, H, W] or
            [N, H, W, C], and `labels` [N].

    Raises:
        DataError: if they cannot be read.
    """
    if source == DIGITS:
        digits = load_digits()
        return _scaled(digits.images[..., None], digits.target)
    try:
        with np.load(source, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as err:
        raise DataError(
            f"{source} cannot be read as images ({err})",
            hint=f"give an .npz file with arrays images and labels, or {DIGITS!r}",
        ) from err
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(labels):
        raise DataError(
            f"{source}: images have shape {images.shape}, labels {labels.shape}",
            hint="images are [N, H, W] or [N, H, W, C], labels [N]",
        )
    return _scaled(images, labels)


def split_images(images: Images, n_train: int, n_held_out: int, *, seed: int) -> ImageParts:
    """Split images at random.

    Raises:
        DataError: if nothing is left to test on.
    """
    n = len(images.labels)
    if n_train + n_held_out >= n:
        raise DataError(
            f"{n} images are too few for {n_train} to train on and {n_held_out} held out",
            hint="lower data.train_rows or data.held_out_rows",
        )
    order = np.random.default_rng(seed).permutation(n)
    parts = np.split(order, [n_train, n_train + n_held_out])
    return ImageParts(*(images.some(part) for part in parts))


def _scaled(images: NDArray[np.generic], labels: NDArray[np.generic]) -> Images:
    """Put channels first and scale them."""
    pixels = np.moveaxis(images.astype(np.float32), -1, 1)
    mean = pixels.mean(axis=(0, 2, 3), keepdims=True)
    deviation = pixels.std(axis=(0, 2, 3), keepdims=True)
    return Images((pixels - mean) / np.maximum(deviation, 1e-6), labels.astype(np.int64))
