"""Splits are stratified, repeatable, and never have duplicates on both sides."""

import random
import time
from collections import Counter

import numpy as np
import pytest

from sparsepath.data.duplicates import connected, normal_form
from sparsepath.data.split import Split, split_table
from sparsepath.data.tables import Table
from sparsepath.errors import DataError

WORDS = [f"{start}{end}" for start in ("ka", "ri", "to", "me", "su") for end in ("", "ren", "mol")]
"""Random sequences of these have few n-grams of four characters in common."""


def table_of(texts: list[str], labels: list[str], groups: list[str] | None = None) -> Table:
    return Table(
        texts=texts,
        labels=labels,
        row_ids=list(range(len(texts))),
        text_column="text",
        label_column="label",
        how_found="",
        has_header=True,
        n_rows_seen=len(texts),
        sampled=False,
        sha256="",
        group_column=None if groups is None else "case",
        groups=groups,
    )


def random_table(n: int, seed: int = 0, labels: str = "abcd") -> Table:
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=14)) for _ in range(n)]
    return table_of(texts, [labels[at % len(labels)] for at in range(n)])


def part_of(split: Split) -> dict[int, str]:
    named = {"train": split.train, "valid": split.valid, "test": split.test}
    return {int(at): name for name, rows in named.items() for at in rows}


def test_every_row_is_in_exactly_one_part_and_labels_keep_their_shares() -> None:
    split = split_table(random_table(400))
    together = np.sort(np.concatenate([split.train, split.valid, split.test]))
    np.testing.assert_array_equal(together, np.arange(400))
    for rows, n in ((split.train, 70), (split.valid, 10), (split.test, 20)):
        assert Counter(split.label_ids[rows].tolist()) == dict.fromkeys(range(4), n)
    assert [split.label_names[at] for at in split.label_ids] == split.labels
    assert split.notes == []


def test_the_seed_decides() -> None:
    table = random_table(100)
    first, again, other = (split_table(table, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.test, again.test)
    assert first.test.tolist() != other.test.tolist()


def test_equal_texts_stay_together_whatever_their_case_width_and_spaces() -> None:
    table = random_table(200)
    for at in range(40):
        table.texts[at + 100] = (
            "  "
            + table.texts[at].upper().replace("K", "\N{FULLWIDTH LATIN CAPITAL LETTER K}")
            + " "
        )
    split = split_table(table)
    part = part_of(split)
    assert all(part[at] == part[at + 100] for at in range(40))
    assert 0 < split.n_exact_moved <= 40
    assert split.n_near_moved == 0
    assert f"{split.n_exact_moved} rows moved" in split.notes[0]


def test_nearly_equal_english_texts_stay_together() -> None:
    table = random_table(200)
    for at in range(40):
        table.texts[at + 100] = table.texts[at].replace(" ", " so ", 1)
    part = part_of(split := split_table(table))
    assert all(part[at] == part[at + 100] for at in range(40))
    assert 0 < split.n_near_moved <= 40


def test_nearly_equal_japanese_texts_stay_together_and_different_ones_do_not() -> None:
    draw = random.Random(0)
    kana = [chr(code) for code in range(0x3042, 0x3090)]
    texts = ["".join(draw.choices(kana, k=30)) for _ in range(120)]
    for at in range(60):
        changed = draw.randrange(30)
        texts[at + 60] = texts[at][:changed] + "犬" + texts[at][changed + 1 :]
    split = split_table(table_of(texts, ["赤", "青"] * 60))
    part = part_of(split)
    assert all(part[at] == part[at + 60] for at in range(60))
    assert {part[at] for at in range(60)} == {"train", "valid", "test"}


def test_a_chain_of_near_duplicates_stays_together() -> None:
    table = random_table(300)
    words = table.texts[0].split()
    for at in range(8):
        words[at] = "changed"[: at + 2]
        table.texts[200 + at] = " ".join(words)
    assert len({part_of(split_table(table))[at] for at in (0, *range(200, 208))}) == 1


def test_a_large_family_of_copies_goes_to_training() -> None:
    table = random_table(400)
    for at in range(60):
        table.texts[at * 4] = f"out of office reply, number {at}"
    for seed in range(6):
        part = part_of(split_table(table, seed=seed))
        assert {part[at * 4] for at in range(60)} == {"train"}


def test_texts_made_from_few_templates_are_still_split_and_it_is_said() -> None:
    texts = [f"the order with number {at:05d} was shipped to the customer" for at in range(300)]
    split = split_table(table_of(texts, ["a", "b", "c"] * 100))
    assert len(split.test) > 20
    assert any("variations of one another" in note for note in split.notes)


def test_labels_with_fewer_than_three_rows_are_refused_by_name() -> None:
    table = random_table(40)
    table.labels[7] = "lonely"
    with pytest.raises(DataError, match=r'1 of 5 labels[\s\S]*"lonely" \(1\)[\s\S]*other'):
        split_table(table)


def test_labels_with_fewer_than_three_rows_can_be_left_out() -> None:
    table = random_table(40)
    table.labels[7] = "lonely"
    split = split_table(table, drop_rare=True)
    assert "lonely" not in split.label_names
    assert split.label_ids[7] == -1
    assert 7 not in part_of(split)
    assert any("left out (1 rows)" in note for note in split.notes)


def test_a_label_with_three_rows_is_in_every_part() -> None:
    table = random_table(60)
    table.labels[10] = table.labels[20] = table.labels[30] = "rare"
    part = part_of(split_table(table))
    assert {part[at] for at in (10, 20, 30)} == {"train", "valid", "test"}


def test_a_label_of_copies_only_is_learnt_and_its_missing_test_rows_are_noted() -> None:
    table = random_table(60)
    for at in (10, 20, 30):
        table.labels[at], table.texts[at] = "copy", "always the same sentence here"
    for seed in range(5):
        split = split_table(table, seed=seed)
        assert {part_of(split)[at] for at in (10, 20, 30)} == {"train"}
        assert any("no test row" in note for note in split.notes)


def test_a_table_of_copies_of_one_text_is_refused() -> None:
    with pytest.raises(DataError, match="only 1 different texts"):
        split_table(table_of(["same text"] * 30, ["a", "b"] * 15))


def test_contradicting_labels_are_noted() -> None:
    table = random_table(100)
    table.texts[1] = table.texts[0]
    assert any("1 texts come up with different labels" in n for n in split_table(table).notes)


def test_a_separate_test_table_is_used_whole_and_its_copies_leave_the_training_rows() -> None:
    table, test = random_table(200, seed=1), random_table(50, seed=2)
    table.texts[3] = test.texts[10].upper()
    table.texts[4] = test.texts[11].replace(" ", " so ", 1)
    split = split_table(table, test=test)
    assert split.has_own_test
    assert split.test.tolist() == list(range(200, 250))
    assert split.row_ids[200:] == test.row_ids
    assert {3, 4}.isdisjoint(part_of(split))
    assert len(split.train) + len(split.valid) == 198
    assert (split.n_exact_moved, split.n_near_moved) == (1, 1)
    assert "1 exactly, 1 nearly" in split.notes[0]


def test_a_test_table_with_unseen_labels_is_refused_by_name() -> None:
    test = random_table(20, seed=2)
    test.labels[5] = test.labels[6] = "zebra"
    with pytest.raises(DataError, match=r'1 labels[\s\S]*"zebra" \(2\)'):
        split_table(random_table(100), test=test)


def test_the_training_table_as_its_own_test_table_is_refused() -> None:
    table = random_table(60)
    with pytest.raises(DataError, match="4 of 4 labels repeat rows of the test"):
        split_table(table, test=table)


def test_rows_of_a_group_stay_together_and_rows_without_one_are_free() -> None:
    table = random_table(400)
    groups = [f"case {at % 130}" if at < 390 else "" for at in range(400)]
    split = split_table(table_of(table.texts, table.labels, groups))
    part = part_of(split)
    parts: dict[str, set[str]] = {}
    for at, group in enumerate(groups[:390]):
        parts.setdefault(group, set()).add(part[at])
    assert {len(found) for found in parts.values()} == {1}
    assert Counter(part.values())["test"] in range(50, 115)
    assert split.n_group_moved > 100
    assert any('the same "case" are on one side of the split: 130 groups' in n for n in split.notes)
    free = [split_table(table_of(table.texts, table.labels, [""] * 400)), split_table(table)]
    assert part_of(free[0]) == part_of(free[1])


def test_a_group_and_near_duplicates_join() -> None:
    table = random_table(60)
    texts = [*table.texts, table.texts[0] + " x"]
    groups = [""] * 60 + ["late"]
    groups[1] = "late"
    for seed in range(8):
        split = split_table(
            table_of(texts, [*table.labels, table.labels[0]], groups), seed=seed, test_share=0.4
        )
        part = part_of(split)
        assert part[0] == part[60] == part[1]


def test_rows_that_share_a_group_with_a_test_row_are_not_learnt_from() -> None:
    own, other = random_table(200), random_table(80, seed=1)
    split = split_table(
        table_of(own.texts, own.labels, [f"g{at % 50}" for at in range(200)]),
        test=table_of(other.texts, other.labels, ["g7"] * 79 + [""]),
    )
    part = part_of(split)
    assert [at for at in range(200) if at not in part] == list(range(7, 200, 50))
    assert split.n_group_moved >= 4


def test_too_few_groups_are_refused_by_their_column() -> None:
    table = random_table(90)
    with pytest.raises(DataError, match='the groups of column "case" are too few') as caught:
        split_table(table_of(table.texts, table.labels, ["one"] * 90))
    assert "--group-column" in str(caught.value.hint)


def test_connected_finds_the_components() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.integers(0, 300, (2, 200))
    root = connected(300, first, second)
    want = list(range(300))  # the slow way: repaint until nothing changes
    for _ in range(300):
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            want[one] = want[other] = min(want[one], want[other])
    assert root.tolist() == want


def test_normal_form_ignores_case_width_and_spaces() -> None:
    assert normal_form(" \N{FULLWIDTH LATIN CAPITAL LETTER A}b\u3000 C\n") == "ab c"


def test_twenty_thousand_rows_are_split_in_seconds() -> None:
    table = random_table(20_000)
    start = time.process_time()
    split_table(table)
    assert time.process_time() - start < 20
