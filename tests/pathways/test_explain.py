"""Explanations name what decides, and test themselves honestly."""

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer

from sparsepath.errors import ConfigError, DataError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.pathways.attribution import (
    Question,
    attribute_tokens,
    attribute_units,
    log_odds,
    margin,
)
from sparsepath.pathways.explain import Explanation, explain_text
from sparsepath.pathways.selection import Case, choose_pathway, run_sets, top_units
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import gated, unit_means

TEXTS = [
    "w10 key2 w20 w30 w11",
    "w12 flip w20 key0 w39",
    "key1 w21 w22 w23 flip w24",
    "w31 w32 w33 key3 w34 w35",
    "flip key3 w17 w18",
]
IDS = torch.tensor([1, 9, 5, 4, 20, 2])


def explain(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans, text: str, **given: object
) -> Explanation:
    generator = torch.Generator().manual_seed(0)
    return explain_text(trained, tokenizer, text, means=means, generator=generator, **given)  # type: ignore[arg-type]


def test_unit_scores_add_up_to_what_all_units_do(
    trained: PathwayClassifier, means: UnitMeans
) -> None:
    question = Question(2, 0)
    by_margin, by_odds = attribute_units(trained, IDS, question, means=means, n_steps=64)
    ends = []
    for level in (0.0, 1.0):
        gates = torch.full((3, 4), level), torch.full((3, 64), level)
        with torch.no_grad(), gated(trained, heads=gates[0], neurons=gates[1], means=means):
            ends.append(trained(IDS.unsqueeze(0)).logits[0])
    for found, objective in ((by_margin, margin), (by_odds, log_odds)):
        total = float(found.heads.sum() + found.neurons.sum())
        want = float(objective(ends[1], question) - objective(ends[0], question))
        assert total == pytest.approx(want, rel=0.02, abs=0.02)


def test_log_odds_are_those_of_the_softmax() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5]])
    p = logits.softmax(-1)[0, 1]
    torch.testing.assert_close(log_odds(logits, Question(1, 0))[0], (p / (1 - p)).log())


def test_token_scores_add_up_and_special_tokens_get_none(trained: PathwayClassifier) -> None:
    special = torch.tensor([True, False, False, False, False, True])
    found = attribute_tokens(trained, IDS, special, Question(1, 0), n_steps=256)
    embedding = trained.get_input_embeddings()
    blank = embedding.weight.mean(dim=0)
    values = torch.where(special.unsqueeze(-1), embedding(IDS), blank)
    with torch.no_grad():
        whole = margin(trained(IDS.unsqueeze(0)).logits, Question(1, 0))
        nothing = margin(trained(inputs_embeds=values.unsqueeze(0)).logits, Question(1, 0))
    assert float(found.sum()) == pytest.approx(float(whole - nothing), rel=0.03, abs=0.03)
    assert found[0] == found[-1] == 0


def test_the_deciding_words_score_highest(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    for text in TEXTS:
        found = explain(trained, tokenizer, means, text)
        strongest = max(found.tokens, key=lambda token: abs(token.score)).text
        assert strongest.startswith("key") or strongest == "flip"


def test_the_pathway_keeps_the_margin_and_random_sets_do_not(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    kept, chance, removed = [], [], []
    for text in TEXTS:
        found = explain(trained, tokenizer, means, text, share=0.25)
        assert found.n_units_kept == 3 + 48
        assert found.share_units_kept == pytest.approx(0.25)
        kept.append(found.test.margin_kept)
        chance.append(sum(found.test.random_margin_kept) / 20)
        removed.append(found.test.margin_when_removed)
    assert all(value > 0.8 for value in kept)
    assert max(chance) < 0.6
    assert sum(chance) / 5 < 0.3
    assert sum(removed) / 5 < 0.5


def test_the_test_measures_real_forward_passes(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    whole = explain(trained, tokenizer, means, TEXTS[0], share=1.0)
    assert whole.test.margin_kept == pytest.approx(1.0, abs=1e-4)
    assert whole.test.margin_when_removed == pytest.approx(0.0, abs=1e-4)
    assert whole.test.confidence_kept == pytest.approx(whole.probability, abs=1e-5)
    assert whole.test.random_margin_kept == pytest.approx([1.0] * 20, abs=1e-4)
    found = explain(trained, tokenizer, means, TEXTS[0])
    ids = torch.tensor(tokenizer.encode(TEXTS[0]).ids)
    question = Question(*(int(name[-1]) for name in (found.target, found.against)))
    with torch.no_grad():
        logits = trained(ids.unsqueeze(0)).logits[0]
    case = Case(trained, ids, means, question, logits)
    by_units = attribute_units(trained, ids, question, means=means)
    pathway = choose_pathway(case, by_units, 0.1)
    small = extract(trained, pathway, means=means)
    if pathway.kept_layers == [0, 1, 2]:  # a layer that keeps nothing would lose its norms too
        with torch.no_grad():
            physical = small(ids.unsqueeze(0)).logits[0]
        assert found.test.confidence_kept == pytest.approx(
            float(physical.softmax(-1)[question.target]), abs=1e-4
        )
    none = UnitMask.full(trained).without(UnitMask.full(trained))
    gated_none = run_sets(case, [none])[0]
    nothing = float(margin(gated_none, question))
    assert found.test.margin_of_nothing == pytest.approx(nothing, abs=1e-5)
    kept_raw = found.test.margin_kept_raw * found.margin
    share = (kept_raw - nothing) / (found.margin - nothing)
    assert found.test.margin_kept == pytest.approx(share, abs=1e-4)


def test_random_sets_are_drawn_by_the_generator_and_nothing_else_is_random(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    first, again = (explain(trained, tokenizer, means, TEXTS[1]) for _ in range(2))
    assert first == again
    other = explain_text(
        trained,
        tokenizer,
        TEXTS[1],
        means=means,
        n_random=7,
        generator=torch.Generator().manual_seed(9),
    )
    assert len(other.test.random_margin_kept) == len(other.test.random_confidence_kept) == 7
    assert other.test.random_margin_kept != first.test.random_margin_kept[:7]
    assert (other.units, other.tokens, other.edges) == (first.units, first.tokens, first.edges)


def test_another_question_can_be_asked(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    plain = explain(trained, tokenizer, means, TEXTS[0])
    assert (plain.target, plain.against) == (plain.predicted, plain.runner_up)
    turned = explain(
        trained, tokenizer, means, TEXTS[0], target=plain.against, against=plain.target
    )
    assert turned.margin == pytest.approx(-plain.margin, abs=1e-5)
    assert turned.predicted == plain.predicted
    by_number = explain(trained, tokenizer, means, TEXTS[0], target=0, against="label 3")
    assert (by_number.target, by_number.against) == ("label 0", "label 3")


def test_wrong_questions_are_named(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    with pytest.raises(ConfigError, match="no label 'sad'"):
        explain(trained, tokenizer, means, TEXTS[0], target="sad")
    with pytest.raises(ConfigError, match="both labels"):
        explain(trained, tokenizer, means, TEXTS[0], target=1, against="label 1")
    with pytest.raises(ConfigError, match=r"share = 0\.0"):
        explain(trained, tokenizer, means, TEXTS[0], share=0.0)
    with pytest.raises(DataError, match="no words"):
        explain(trained, tokenizer, means, "  ")


def test_tokens_are_pieces_of_the_text_and_places_are_those_of_edges(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    text = " w10  key2, w20"
    found = explain(trained, tokenizer, means, text)
    assert [token.text for token in found.tokens] == ["[CLS]", "w10", "key2", ",", "w20", "[SEP]"]
    assert [token.is_special for token in found.tokens] == [True, *[False] * 4, True]
    assert [token.marked for token in found.tokens][2:5] == ["key2", "##,", "w20"]
    assert all(text[t.start : t.end] == t.text for t in found.tokens if not t.is_special)
    for edge in found.edges:
        source, target = edge.name.partition("@")[0].split(">")
        assert 0 <= int(source) < 6
        assert 0 <= int(target) < 6


def test_what_the_model_never_read_is_counted(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    limit = trained.config.max_length
    trained.config.max_length = 6
    try:
        found = explain(trained, tokenizer, means, TEXTS[3])
    finally:
        trained.config.max_length = limit
    assert len(found.tokens) == 6
    assert found.n_tokens_cut == 2
    assert tokenizer.truncation is None


def test_a_cut_model_names_units_by_their_first_numbers(
    trained: PathwayClassifier, tokenizer: Tokenizer, fit_rows: list[Batch]
) -> None:
    keep = UnitMask.full(trained)
    keep.heads[0] = False
    keep.neurons[0] = False
    keep.heads[1, :3] = False
    small = extract(trained, keep)
    found = explain(small, tokenizer, unit_means(small, fit_rows), TEXTS[0], share=1.0)
    heads = {unit.name for unit in found.units if ".H" in unit.name}
    assert heads
    assert heads <= {"L01.H03", "L02.H00", "L02.H01", "L02.H02", "L02.H03"}
    assert found.n_units == 5 + 128


def test_a_model_without_units_is_explained_by_its_words(
    trained: PathwayClassifier, tokenizer: Tokenizer, fit_rows: list[Batch]
) -> None:
    none = UnitMask.full(trained).without(UnitMask.full(trained))
    small = extract(trained, none)
    found = explain(small, tokenizer, unit_means(small, fit_rows), TEXTS[0])
    assert found.n_units == found.n_units_kept == 0
    assert found.test.margin_kept == 1.0
    assert found.units == found.edges == []
    assert any(token.score for token in found.tokens)


def test_every_family_is_explained(
    model: PathwayClassifier, tokenizer: Tokenizer, fit_rows: list[Batch]
) -> None:
    means = unit_means(model, fit_rows[:1])
    found = explain(model, tokenizer, means, TEXTS[2])
    assert found.n_units_kept == 1 + 19
    assert found.edges
    assert replace(found) == explain(model, tokenizer, means, TEXTS[2])


def test_the_model_is_left_as_it_was(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    trained.train()
    explain(trained, tokenizer, means, TEXTS[0])
    assert trained.training
    trained.eval()
    assert all(p.grad is None for p in trained.parameters())
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())


def test_the_pathway_answers_like_the_model_and_does_not_shout(
    trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans
) -> None:
    closer = 0
    for text in TEXTS:
        ids = torch.tensor(tokenizer.encode(text).ids)
        with torch.no_grad():
            logits = trained(ids.unsqueeze(0)).logits[0]
        target, against = logits.topk(2).indices.tolist()
        case = Case(trained, ids, means, Question(target, against), logits)
        by_units = attribute_units(trained, ids, case.question, means=means)
        chosen = choose_pathway(case, by_units, 0.25)
        full = UnitMask.full(trained)
        only_for = UnitMask(
            top_units(full.heads, by_units[0].heads, 3),
            top_units(full.neurons, by_units[0].neurons, 48),
        )
        margins = margin(run_sets(case, [chosen, only_for]), case.question)
        off = (margins - case.margin).abs()
        closer += bool(off[0] < off[1])
        assert off[0] < 0.35 * abs(case.margin)
        by_margin, by_odds = by_units
        speaks_against = torch.lerp(by_margin.neurons, by_odds.neurons, 0.75) < 0
        assert (chosen.neurons & speaks_against).any()
    assert closer >= 4
