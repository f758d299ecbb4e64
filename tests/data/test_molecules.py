"""Molecules become graphs; what is no molecule is left out or named."""

import lzma
from pathlib import Path

import pytest

from sparsepath.data.molecules import ATOM_CATEGORIES, BOND_CATEGORIES, read_molecules
from sparsepath.errors import DataError

TABLE = "smiles,value\nCCO,1.5\nc1ccccc1,-2\nno molecule,3\n[Na+].[Cl-],0\nC#N,7\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ethanol, benzene, salt, hydrogen cyanide, and a line that is no molecule."""
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def test_atoms_and_bonds_of_known_molecules(table: Path) -> None:
    ethanol, benzene, salt, cyanide = read_molecules(str(table))
    assert [m.value for m in (ethanol, benzene, salt, cyanide)] == [1.5, -2.0, 0.0, 7.0]
    assert ethanol.atoms[:, 0].tolist() == [6, 6, 8]
    assert ethanol.atoms[:, 3].tolist() == [3, 2, 1]
    assert ethanol.bonds[:, :, 0].tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert ethanol.bonds[:, :, 1].tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert set(benzene.atoms[:, 5].tolist()) == {1}
    assert benzene.bonds[0, 1, 0] == 4
    assert salt.atoms[:, 2].tolist() == [3, 1]
    assert salt.bonds[0, 1].tolist() == [0, 12]
    assert cyanide.bonds[0, 1, 0] == 3
    for molecule in (ethanol, benzene, salt, cyanide):
        assert (molecule.atoms < ATOM_CATEGORIES).all()
        assert (molecule.bonds < BOND_CATEGORIES).all()


def test_a_packed_table_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.xz"
    path.write_bytes(lzma.compress(TABLE.encode()))
    assert len(read_molecules(str(path))) == 4


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_molecules(str(tmp_path / "none.csv"))
    (tmp_path / "a.csv").write_text("smiles,value\nCC,1\nCC\n")
    with pytest.raises(DataError, match="line 3"):
        read_molecules(str(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text("smiles,value\nnothing,1\n")
    with pytest.raises(DataError, match="no molecule that can be read"):
        read_molecules(str(tmp_path / "b.csv"))
