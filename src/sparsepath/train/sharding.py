"""A model spread over processes: each holds a part of every weight, its gradient and its moments.

PyTorch's FSDP2 (`fully_shard`) brings a block's weights together while it works and lets them go
afterwards. Every tensor is cut along its first axis, as `torch.chunk` cuts it; that is all a reader
of checkpoints has to know to go on with another number of processes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor


def shard(model: nn.Module, *, n_processes: int, is_bf16: bool) -> None:
    """Spread a model over all processes, in place; called by all of them.

    Args:
        model: on its device; blocks in lists of modules are spread one by one.
        n_processes: all of them.
        is_bf16: whether blocks compute in bf16; weights, and sums of gradients, stay fp32.
    """
    device = next(model.parameters()).device
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if is_bf16 else None, reduce_dtype=torch.float32
    )
    settings: dict[str, Any] = {
        "mesh": init_device_mesh(device.type, (n_processes,)),
        "mp_policy": policy,
    }
    for blocks in [m for m in model.modules() if isinstance(m, nn.ModuleList)]:
        for block in blocks:
            fully_shard(block, **settings)
    fully_shard(model, **settings)


def local_part(value: Tensor) -> Tensor | None:
    """Give the part of a tensor that this process writes; None where another one writes it."""
    if isinstance(value, DTensor):
        return value.to_local()
    is_first = not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
    return value if is_first else None


def whole(value: Tensor) -> Tensor:
    """Bring a tensor together; all processes must call it."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def put(value: Tensor, kept: Tensor) -> None:
    """Copy a whole tensor into one that may be spread."""
    if isinstance(value, DTensor):
        value.to_local().copy_(_own_chunk(kept, value))
    else:
        value.copy_(kept)


def spread_like(kept: Tensor, like: Tensor) -> Tensor:
    """Spread a whole tensor as another of the same shape is; others stay as they are."""
    if not isinstance(like, DTensor) or kept.shape != like.shape:
        return kept
    local = _own_chunk(kept, like).to(like.device)
    return DTensor.from_local(
        local, like.device_mesh, like.placements, shape=like.shape, stride=like.stride()
    )


def _own_chunk(kept: Tensor, like: DTensor) -> Tensor:
    """Cut out this process's part."""
    mesh = like.device_mesh
    parts, place = kept.chunk(mesh.size()), mesh.get_local_rank()
    return parts[place] if place < len(parts) else kept[:0]
