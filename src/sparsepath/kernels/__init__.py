"""Tensors in, tensors out: attention over few sources, the largest entries, sparse products.

`reference.py` says what is right; the other files are faster twins. Names are imported when first
asked for, so that the native library can be loaded without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsepath.kernels.largest import topk

__all__ = ["topk"]


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name == "topk":
        from sparsepath.kernels.largest import topk

        return topk
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
