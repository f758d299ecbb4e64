"""Where the sites of a language model of transformers are, and hooks there.

Shape letters: B texts, T tokens, W width of a site.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sparsepath.artifacts.neuron import Site

Change = Callable[[Tensor], Tensor | None]
"""Takes a hidden state after TopK, [B, T, W]; gives what takes its place, or None to leave it."""

PARTS: dict[Site, str] = {
    "block_out": "",
    "attn_in": "input_layernorm",
    "mlp_in": "post_attention_layernorm",
    "attn_out": "self_attn.o_proj",
    "mlp_hidden": "mlp.down_proj",
}
"""Part of a block that gives a site, or, of the last two, that is given it."""


def hook_site(block: nn.Module, site: Site, change: Change) -> RemovableHandle:
    """Let a function see, and change, the hidden state of a site, after its TopK.

    Args:
        block: a layer of the model.
        site: of it.
        change: called at every forward pass.

    Returns:
        What takes the function away again.
    """
    part = block.get_submodule(PARTS[site])
    if site not in ("attn_out", "mlp_hidden"):
        return part.register_forward_hook(lambda _module, _inputs, output: change(output))
    # A sparse map keeps the largest entries of its input itself.
    topk = dict(part.named_children()).get("topk")
    if topk is not None:
        return topk.register_forward_hook(lambda _module, _inputs, output: change(output))

    def before(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        instead = change(inputs[0])
        return None if instead is None else (instead, *inputs[1:])

    return part.register_forward_pre_hook(before)


def keeps_few(block: nn.Module, site: Site) -> bool:
    """Say whether a site of a block keeps its largest entries only."""
    name = "block_out" if site == "block_out" else "topk"
    return getattr(block.get_submodule(PARTS[site]), name, None) is not None
