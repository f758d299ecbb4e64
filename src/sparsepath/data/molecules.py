"""Molecules as graphs: categories of atoms and of pairs of atoms, and one number each.

Needs RDKit, the extra `molecules`. Atoms carry element, degree, charge, hydrogens, hybridisation
and whether they are aromatic; pairs carry the bond between them and the length of the shortest way.
"""

import csv
import io
import lzma
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.errors import DataError, needs_extra

NCI = "nci"
"""The source that RDKit brings along: 5,000 molecules of the NCI and their polar surface area."""

MAX_ATOMIC_NUMBER, MAX_DEGREE, MAX_HYDROGENS, MAX_CHARGE = 118, 6, 4, 2
N_HYBRIDS, N_BONDS, MAX_DISTANCE = 9, 5, 12

ATOM_CATEGORIES = (
    MAX_ATOMIC_NUMBER + 1,
    MAX_DEGREE + 1,
    2 * MAX_CHARGE + 1,
    MAX_HYDROGENS + 1,
    N_HYBRIDS,
    2,
)
"""Values of each feature of an atom."""

BOND_CATEGORIES = (N_BONDS, MAX_DISTANCE + 1)
"""Values of each feature of a pair: no bond, single, double, triple, aromatic; the distance, where
the last value stands for all farther and for unconnected atoms."""


class Molecule(NamedTuple):
    """One graph."""

    atoms: NDArray[np.int64]
    """[atoms, features]."""
    bonds: NDArray[np.int64]
    """[atoms, atoms, features]."""
    value: float
    """What is predicted."""


def read_molecules(source: str) -> list[Molecule]:
    """Read molecules with a number each; those that RDKit cannot read are left out.

    Args:
        source: `nci`, or the path of a csv file (also .xz) whose columns are SMILES and a number.

    Raises:
        DataError: if the file cannot be read, or holds no molecule.
        MissingExtraError: if RDKit is not installed.
    """
    rows = _nci() if source == NCI else _table(Path(source))
    found = [graph for smiles, value in rows if (graph := _graph(smiles, value)) is not None]
    if not found:
        raise DataError(
            f"{source} holds no molecule that can be read",
            hint="give a csv file with SMILES in the first column and a number in the second",
        )
    return found


def _table(path: Path) -> list[tuple[str, float]]:
    """Read SMILES and numbers."""
    try:
        raw = path.read_bytes()
        text = (lzma.decompress(raw) if path.suffix == ".xz" else raw).decode("utf-8")
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as err:
        raise DataError(
            f"{path} cannot be read ({err})", hint=f"give a csv file, also as .xz, or {NCI!r}"
        ) from err
    rows = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        try:
            rows.append((row[0], float(row[1])))
        except (IndexError, ValueError) as err:
            if number == 1:
                continue  # the header
            raise DataError(
                f"line {number} of {path} is no molecule and number: {row}",
                hint="write SMILES in the first column and a number in the second",
            ) from err
    return rows


def _nci() -> list[tuple[str, float]]:
    """Read the molecules that RDKit brings, with the surface area it computes for them."""
    with needs_extra("molecules", "reading molecules"):
        from rdkit import Chem, RDConfig
        from rdkit.Chem.rdMolDescriptors import CalcTPSA
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    if not path.exists():
        raise DataError(
            f"this RDKit comes without {path}", hint="give data.source the path of a csv file"
        )
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        smiles = line.split()[0] if line.split() else ""
        molecule = Chem.MolFromSmiles(smiles) if smiles else None
        if molecule is not None:
            rows.append((smiles, float(CalcTPSA(molecule))))
    return rows


def _graph(smiles: str, value: float) -> Molecule | None:
    """Turn a molecule into categories; None where it cannot be read."""
    with needs_extra("molecules", "reading molecules"):
        from rdkit import Chem, rdBase
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    atoms = [
        (
            min(atom.GetAtomicNum(), MAX_ATOMIC_NUMBER),
            min(atom.GetDegree(), MAX_DEGREE),
            max(-MAX_CHARGE, min(MAX_CHARGE, atom.GetFormalCharge())) + MAX_CHARGE,
            min(atom.GetTotalNumHs(), MAX_HYDROGENS),
            min(int(atom.GetHybridization()), N_HYBRIDS - 1),
            int(atom.GetIsAromatic()),
        )
        for atom in molecule.GetAtoms()
    ]
    distances = np.minimum(Chem.GetDistanceMatrix(molecule), MAX_DISTANCE).astype(np.int64)
    bonds = np.zeros((len(atoms), len(atoms), 2), np.int64)
    bonds[:, :, 1] = distances
    for bond in molecule.GetBonds():
        one, two = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        kind = 4 if bond.GetIsAromatic() else min(int(bond.GetBondTypeAsDouble()), 3)
        bonds[one, two, 0] = bonds[two, one, 0] = kind
    return Molecule(np.array(atoms, np.int64), bonds, value)
