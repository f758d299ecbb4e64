"""`sparsepath doctor`: measured, complete, readable by machines."""

import json

import pytest
from click.testing import CliRunner

from sparsepath.cli.main import main
from sparsepath.evaluate.doctor import advise, missing_packages

PLENTY = 10**12


def test_json_holds_what_was_measured() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert 0.1 < found["matmul_gflops"] < 10_000
    assert found["memory_free_bytes"] > 0
    assert "sparsepath" in found["versions"]
    assert found["native"] in {"plain", "avx2", "avx512"}
    assert set(found["extras"]) == {"train", "demo"}


def test_text_names_processor_memory_disk_and_speed() -> None:
    output = CliRunner().invoke(main, ["doctor"]).output
    for word in ("cpu", "flags", "memory free", "disk free here", "GFLOP/s", "extra [train]"):
        assert word in output


def test_an_extra_lists_its_own_packages_only() -> None:
    assert missing_packages("no such extra") == []


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"avx2", "avx512", "avx512_vnni"}, "VNNI"),
        ({"avx2", "avx512"}, "AVX-512"),
        ({"avx2"}, "AVX2"),
        ({"neon"}, "NEON"),
        (set(), "slow"),
    ],
)
def test_advice_follows_from_the_instruction_sets(flags: set[str], word: str) -> None:
    assert word in advise(flags, PLENTY, PLENTY, {})[0]


def test_advice_warns_of_little_memory_little_disk_and_missing_packages() -> None:
    advice = "\n".join(advise({"avx2"}, 10**9, 10**8, {"train": ["torch"], "demo": ["x"]}))
    for words in ("1.0 GB of memory", "0.1 GB of disk", "sparsepath[train]", "sparsepath[demo]"):
        assert words in advice


def test_advice_says_what_a_missing_library_costs() -> None:
    told = "\n".join(advise({"avx2"}, PLENTY, PLENTY, {}, has_native=False))
    assert "native library is missing" in told


def test_nothing_to_warn_of_leaves_what_is_fast_and_when_to_subsample() -> None:
    (_, told) = advise({"avx2"}, PLENTY, PLENTY, {"train": [], "demo": []})
    assert "subsampled attention pays" in told
