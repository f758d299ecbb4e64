"""The model card of a converted classifier, and the lines that tell what the conversion cost."""

from sparsepath.artifacts.healing import HEALING_FILE, HealingFile

STAGES = {
    "parent": "parent, dense",
    "unhealed": "sparse, before healing",
    "healed": "sparse, after healing",
}
"""How stages are called."""

CARD = """---
library_name: sparsepath
pipeline_tag: text-classification
---
# {name}

A sparse text classifier, made by `sparsepath convert`: of a hidden state each token keeps only the
largest entries at the sites below. `recipe.json` describes the training completely, `{file}` has
these figures, and `neurons.json` says what each neuron of these sites stands for.

- Parent: {parent}
- Kept: {kept}
- Healed on {n_train:,} training rows in {n_steps:,} steps

## What it cost

On {n_test:,} test rows, which nothing was fitted to or chosen by:

| model | accuracy | 95 % interval | loss, nats | parent's label |
|---|---|---|---|---|
{stages}

Accuracy changed by {change} points (95 % interval, paired: {low} to {high}).

## Healing

Looks at held-out rows while k fell:

| step | kept at {site} | accuracy | loss, nats |
|---|---|---|---|
{looks}
"""


def healing_card(healing: HealingFile, name: str) -> str:
    """Write the model card.

    Args:
        healing: what is told.
        name: of the model.
    """
    site = next(iter(healing.kept), "no site")
    low, high = healing.accuracy_change_ci95
    stages = [
        f"| {STAGES[s.name]} | {s.accuracy:.2%} | {s.accuracy_ci95[0]:.1%} to "
        f"{s.accuracy_ci95[1]:.1%} | {s.loss_nats:.4f} | {s.agreement:.1%} |"
        for s in healing.stages
    ]
    looks = [
        f"| {look.step} | {look.kept.get(site, 0)} | {look.accuracy:.2%} | {look.loss_nats:.4f} |"
        for look in healing.looks
    ]
    return CARD.format(
        name=name,
        file=HEALING_FILE,
        parent=healing.parent,
        kept=", ".join(f"{k} at {place}" for place, k in healing.kept.items()),
        n_train=healing.n_train,
        n_steps=healing.n_steps,
        n_test=healing.n_test,
        stages="\n".join(stages),
        change=f"{100 * healing.accuracy_change:+.2f}",
        low=f"{100 * low:+.2f}",
        high=f"{100 * high:+.2f}",
        site=site,
        looks="\n".join(looks),
    )


def healing_lines(healing: HealingFile) -> list[str]:
    """Tell in a line each what the models get right, and what was lost."""
    low, high = healing.accuracy_change_ci95
    return [
        *(
            f"{STAGES[s.name]}: accuracy {s.accuracy:.2%}, loss {s.loss_nats:.4f} nats, "
            f"the parent's label on {s.agreement:.1%}"
            for s in healing.stages
        ),
        f"{100 * healing.accuracy_change:+.2f} points of accuracy (95 % interval "
        f"{100 * low:+.2f} to {100 * high:+.2f}) on {healing.n_test:,} test rows",
    ]
