"""Edits as the native code takes them: structures of `kernels/native/decode.c`."""

import ctypes
from typing import NamedTuple

import numpy as np

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import IN_ORDER
from sparsepath.trace.edits import Program


class _Edit(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("index", "slot", "is_watch", "first", "stop")),
        *((name, ctypes.c_float) for name in ("factor", "shift", "above")),
        ("after", ctypes.c_void_p),
        ("n_after", ctypes.c_int64),
    )


class Addresses(NamedTuple):
    """Where the native code finds edits; None: there are none."""

    edits: int | None
    starts: int | None


class NativeEdits:
    """The edits of one text."""

    def __init__(self, program: Program | None, n_prompt: int, n_layers: int) -> None:
        """Write edits down.

        Args:
            program: None or without edits: nothing happens.
            n_prompt: tokens of the prompt.
            n_layers: of the model.
        """
        self._program, self._n_prompt = program, n_prompt
        self._tokens: list[ctypes.Array[ctypes.c_int32]] = []
        rows: list[_Edit] = []
        starts = [0]
        spots = {} if program is None else program.spots
        for layer in range(n_layers):
            for site in IN_ORDER:
                if (here := spots.get((layer, site))) is not None:
                    rows += [_Edit(i, slot, 1) for slot, i in here.watched.items()]
                    rows += [self._row(*edit) for edit in here.edits]
                starts.append(len(rows))
        self._rows = (_Edit * len(rows))(*rows)
        self._starts = np.array(starts, np.int64)
        self.n_slots = 0 if program is None else program.n_slots

    @property
    def addresses(self) -> Addresses:
        """Where they are, as long as this object lives."""
        if not len(self._rows):
            return Addresses(None, None)
        return Addresses(ctypes.addressof(self._rows), self._starts.ctypes.data)

    def are_of(self, program: Program | None, n_prompt: int) -> bool:
        """Say whether these are the edits of a program and prompt; without a program any fit."""
        return program is self._program and (program is None or n_prompt == self._n_prompt)

    def _row(self, edit: Edit, index: int, slot: int | None) -> _Edit:
        """Write one edit down."""
        condition = edit.only_if
        after = (ctypes.c_int32 * len(condition.after))(*condition.after) if condition else None
        if after is not None:
            self._tokens.append(after)
        return _Edit(
            index,
            -1 if slot is None else slot,
            0,
            *edit.reach(self._n_prompt),
            edit.factor,
            edit.shift,
            condition.above if condition else 0.0,
            None if after is None else ctypes.addressof(after),
            0 if after is None else len(after),
        )


NO_EDITS = NativeEdits(None, 0, 0)
"""What an unsteered text has."""
