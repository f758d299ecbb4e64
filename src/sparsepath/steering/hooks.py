"""Edit neurons of a language model or sparse classifier of transformers in a `with` block.

Read with: `artifacts/edit_text.py` (how edits are written), `trace/edits.py` (what they do).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from sparsepath.artifacts.concept_names import Find, finder
from sparsepath.artifacts.edit import Condition, Edit, Operation, check_reading, on_entry
from sparsepath.artifacts.edit_text import Encode, parse_condition, parse_edit
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.steering import Preset, check_preset
from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.autoencoder import SparseAutoencoder
from sparsepath.steering.latents import (
    LatentEdits,
    check_beside,
    check_latent_strengths,
    check_latents,
)
from sparsepath.steering.sites import body_of, hooker, sites_of
from sparsepath.trace.edits import Program, SiteEdits, Spot, Where, compiled, edited
from sparsepath.trace.ranges import Ranges, check_strengths


@contextmanager
def steer(  # noqa: PLR0913 - an edit has so many parts
    model: PreTrainedModel,
    *neurons: str | Edit | Preset,
    set: float | None = None,
    scale: float | None = None,
    add: float | None = None,
    suppress: bool = False,
    positions: str = "all",
    only_if: str | Condition | None = None,
    encode: Encode | None = None,
    ranges: Ranges | None = None,
    unsafe_strength: bool = False,
    is_dense_allowed: bool = False,
    autoencoder: SparseAutoencoder | None = None,
) -> Iterator[None]:
    """Edit neurons while the block runs; afterwards, also after an error, the model is as before.

    Blocks may be nested; their edits then apply together. The prompt is what the first pass over a
    text reads, the answer what later passes with its cache read. Padding is never edited.

    Args:
        model: a language model of the Llama kind, dense or sparse, or a sparse classifier of texts,
            of which all tokens are the prompt.
        neurons: names such as `L02/117`, with one of the operations below; or whole edits such as
            `L02/117=8`, and presets, without one. For a model that came from a folder with a
            catalogue, a label may stand in place of a name.
        set: value that the neurons take.
        scale: factor.
        add: what is added.
        suppress: set them to 0.
        positions: `all`, `prompt`, `answer` (tokens after the prompt), `last` (of the prompt), or
            a slice such as `3:10`.
        only_if: condition, such as `L01/5 fires`, `L01/5>0.5` or `after the|a`.
        encode: gives the token ids of a word, for conditions on words: a tokenizer's
            `lambda word: tokenizer.encode(word, add_special_tokens=False)`.
        ranges: usual values of the neurons (`Engine.ranges`), beyond which strengths are refused;
            None: they are not checked.
        unsafe_strength: allow any strength all the same.
        is_dense_allowed: also edit what a sparse model leaves dense.
        autoencoder: names and edits are of its latents instead of neurons
            (`models.autoencoder_folder.read_autoencoder` reads one).

    Raises:
        ConfigError: if two edits contradict each other, also those of blocks around this one, or
            one is out of range, or too strong.
        ModelError: if the model cannot be steered, has no such sparse site, or a preset is of
            another one.
    """
    operations = {"set": set, "scale": scale, "add": add, "suppress": 0.0 if suppress else None}
    given = {name: value for name, value in operations.items() if value is not None}
    find = finder(Path(model.name_or_path) if model.name_or_path else None)
    condition = parse_condition(only_if, encode, find) if isinstance(only_if, str) else only_if
    presets = [item for item in neurons if isinstance(item, Preset)]
    others = [item for item in neurons if not isinstance(item, Preset)]
    if given:
        edits = [_edit(item, given, positions, condition, find) for item in others]
    else:
        edits = [
            item if isinstance(item, Edit) else parse_edit(item, encode, find) for item in others
        ]
    if (given and presets) or (not given and (condition is not None or positions != "all")):
        raise _mixed(*presets, *others)
    latents = None
    if autoencoder is not None:
        if presets:
            raise _mixed(*presets)
        check_latents(autoencoder, edits)
        latents, edits = LatentEdits(autoencoder, tuple(edits)), []
    if ranges is not None and not unsafe_strength:
        check_strengths(edits, ranges)
        if latents is not None:
            check_latent_strengths(latents, ranges)
    for preset in presets:
        edits += _of_preset(preset, model)
        is_dense_allowed |= preset.is_dense_allowed
    steered = _STEERED.setdefault(model, _Steered(model))
    steered.enter(edits, is_dense_allowed, latents)
    try:
        yield
    finally:
        steered.leave()


def _edit(
    name: str | Edit,
    given: dict[str, float],
    positions: str,
    condition: Condition | None,
    find: Find,
) -> Edit:
    """Make the edit of one neuron.

    Raises:
        ConfigError: if several things are to be done to it, or it says itself what.
    """
    if isinstance(name, Edit):
        raise _mixed(name)
    if len(given) > 1:
        raise ConfigError(
            f"{name}: {' and '.join(given)} at once", hint="give one of set, scale, add, suppress"
        )
    ((operation, value),) = given.items()
    entry, value = on_entry(find(name), cast(Operation, operation), value)
    return Edit.model_validate(
        {
            "neuron": entry,
            "operation": operation,
            "value": value,
            "positions": positions,
            "only_if": condition,
        }
    )


def _mixed(*items: str | Edit | Preset) -> ConfigError:
    """Say that edits were given whole and in parts at once."""
    return ConfigError(
        f"whole edits ({'; '.join(map(str, items))}) and parts of one beside them",
        hint='write steer(model, "L02/117", set=8.0) or steer(model, "L02/117=8")',
    )


def _of_preset(preset: Preset, model: PreTrainedModel) -> tuple[Edit, ...]:
    """Give a preset's edits, after comparing it with the folder that the model came from.

    Raises:
        ModelError: if it belongs to another model, or the model came from no folder.
    """
    folder = Path(model.name_or_path or "")
    if not model.name_or_path or not folder.is_dir():
        raise ModelError(
            f"the preset {preset.name} belongs to a model in a folder; this one came from none",
            hint="load the model by from_pretrained(FOLDER), or give preset.edits",
        )
    check_preset(preset, weights_sha256(folder))
    return preset.edits


class _Steered:
    """The edits of all blocks around a model, and its hooks."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Take a model, which is left alone until `enter`."""
        self._hook = hooker(model)
        self._body = body_of(model)
        self._sites = sites_of(model)
        self._programs: list[Program] = []
        self._latents: list[LatentEdits | None] = []
        self._handles: list[RemovableHandle] = []
        self._where: Where | None = None

    def enter(self, edits: list[Edit], is_dense_allowed: bool, latents: LatentEdits | None) -> None:
        """Add edits; nothing changes where they do not fit.

        Raises:
            ModelError: if an autoencoder is of a model with other layers or sizes.
        """
        before = self._programs[-1] if self._programs else None
        program = compiled(
            [*(before.edits if before else ()), *edits],
            self._sites,
            is_dense_allowed=is_dense_allowed or (before is not None and before.is_dense_allowed),
        )
        if self._sites.spots:
            check_reading(program.edits)
        if latents is not None:
            self._check_sizes(latents)
        check_beside([one for one in (*self._latents, latents) if one], program.edits)
        self._programs.append(program)
        self._latents.append(latents)
        self._install()

    def leave(self) -> None:
        """Take the last edits away."""
        self._programs.pop()
        self._latents.pop()
        self._install()

    def _check_sizes(self, latents: LatentEdits) -> None:
        """See that the model has what an autoencoder reads; raises as `enter`."""
        layer, site = latents.spot
        width, here = latents.autoencoder.config.width, self._sites.widths[site]
        if layer >= self._sites.n_layers or width != here:
            raise ModelError(
                f"the autoencoder reads layer {layer}, {width} entries at {site}; the model has "
                f"{self._sites.n_layers} layers, {here} entries",
                hint="give the model it was trained over",
            )

    def _install(self) -> None:
        """Put hooks where the last program has something to do, and nowhere else."""
        while self._handles:
            self._handles.pop().remove()
        spots = set(self._programs[-1].spots) if self._programs else set()
        spots |= {latents.spot for latents in self._latents if latents is not None}
        if not spots:
            return
        self._handles.append(self._body.register_forward_pre_hook(self._begin, with_kwargs=True))
        for spot in sorted(spots):
            self._handles.append(self._hook(spot, self._change(spot)))

    def _change(self, spot: Spot) -> Any:
        """Make the function that edits one site."""
        here = self._programs[-1].spots.get(spot, SiteEdits({}, []))
        latents = _together(one for one in self._latents if one and one.spot == spot)

        def change(x: Tensor) -> Tensor:
            assert self._where is not None
            found: Tensor = edited(x, here, self._where)
            return found if latents is None else latents(found, self._where)

        return change

    def _begin(self, _: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        """Find out where a pass stands in its texts."""
        ids = given.get("input_ids", arguments[0] if arguments else None)
        some: Tensor = given["inputs_embeds"] if ids is None else ids
        cache, mask = given.get("past_key_values"), given.get("attention_mask")
        before = 0 if cache is None else int(cache.get_seq_length())
        n = int(some.shape[1])
        if mask is not None and mask.dim() == 2:
            counted = mask.long().cumsum(dim=-1)
            positions = (counted - 1).masked_fill(mask == 0, -1)[:, -n:]
            n_prompt = counted[:, -1:]
            if before:
                n_prompt = counted[:, before - 1 : before]
        else:
            positions = torch.arange(before, before + n, device=some.device).expand(len(some), n)
            n_prompt = torch.full((len(some), 1), before or n, device=some.device)
        if before and self._where is not None and len(self._where.n_prompt) == len(n_prompt):
            n_prompt = self._where.n_prompt
        self._where = Where(positions, ids, n_prompt, {})


def _together(latents: Iterable[LatentEdits]) -> LatentEdits | None:
    """Join edits of one autoencoder, which then all look at the same values."""
    found = list(latents)
    edits = tuple(edit for one in found for edit in one.edits)
    return LatentEdits(found[0].autoencoder, edits) if found else None


_STEERED: WeakKeyDictionary[PreTrainedModel, _Steered] = WeakKeyDictionary()
