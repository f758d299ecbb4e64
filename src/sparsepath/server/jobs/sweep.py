"""A sweep over strengths as a job: which options a request may give, and the command of them."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.artifacts.steering_sweep import Goal

KIND: Final = "steering-sweep"

RESULT: Final = "sweep.json"
"""Its file in the job's run folder."""

WORDS: Final = "words.txt"
"""Words by which outputs are judged, one a line, in the job's folder."""

TableFormat = Literal["csv", "tsv", "jsonl"]

_Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00\r\n]+$")]
_Label = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]


class SweepAsked(BaseModel):
    """What is measured; of a language model by words, of a classifier on a labelled table."""

    model_config = ConfigDict(extra="forbid")

    neurons: list[_Word] = Field(
        min_length=1, max_length=8, description="Names or labels; all get the same strength."
    )
    operation: Literal["set", "add", "scale"] = "set"
    strengths: str = Field(
        default="0.5x,1x,2x,3x,4x",
        max_length=100,
        description="Numbers with commas; `2x` is twice the neuron's usual largest value.",
    )
    goal: Goal = "more"
    random_neurons: int = Field(default=1, ge=0, le=3, description="Other neurons, to compare.")
    seed: int = Field(default=0, ge=0, lt=2**31)
    use: str | None = Field(default=None, max_length=64, description="As a policy names it.")
    dense_sites: bool = False
    positions: str = Field(default="all", max_length=24)
    words: list[_Word] = Field(
        default=[], max_length=100, description="That carry the concept; `fire*` begins so."
    )
    samples: int = Field(default=2, ge=1, le=10, description="Outputs of each of ten prompts.")
    tokens: int = Field(default=40, ge=1, le=200, description="Of an output, at most.")
    neutral_texts: int = Field(default=50, ge=10, le=500, description="For side effects, at most.")
    target: _Label | None = Field(
        default=None, description="Label of a classifier to which rows are to turn."
    )
    sources: list[_Label] = Field(
        default=[], max_length=100, description="Labels of these rows; none: all others."
    )
    table: str | None = Field(
        default=None, description="Labelled rows, as a file of this format holds them."
    )
    format: TableFormat = "csv"


def write_inputs(asked: SweepAsked, folder: Path) -> None:
    """Write words or table into a job's folder, which is made.

    Raises:
        OSError: if that is not possible.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if asked.table is not None:
        clean = asked.table.encode("utf-8", "replace")
        (folder / f"table.{asked.format}").write_bytes(clean)
    else:
        clean = "\n".join(asked.words).encode("utf-8", "replace")
        (folder / WORDS).write_bytes(clean)


def options_of(asked: SweepAsked, neurons: list[str], model: Path, form: str) -> dict[str, Any]:
    """Give what the database keeps of a request: all but its texts, which are in the job's folder.

    Args:
        asked: the request.
        neurons: by their names.
        model: folder of the model.
        form: how a language model's weights are stored.
    """
    kept = asked.model_dump(exclude={"table", "words"}) | {"neurons": neurons}
    return {
        "asked": kept, "model": str(model.resolve()), "form": form,
        "is_classifier": asked.table is not None,
    }  # fmt: skip


def command_of(options: dict[str, Any], folder: Path) -> list[str]:
    """Write the command of a job.

    Args:
        options: as `options_of` gave them.
        folder: of the job, with its words or table.
    """
    asked: dict[str, Any] = options["asked"]
    words = ["steering", "sweep", options["model"], f"--out={folder / 'run' / RESULT}"]
    words += [f"--steer={neuron}" for neuron in asked["neurons"]]
    names = ["operation", "strengths", "goal", "random_neurons", "seed"]
    if options["is_classifier"]:
        words.append(f"--labelled={folder / ('table.' + asked['format'])}")
        words.append(f"--target={asked['target']}")
        words += [f"--from={label}" for label in asked["sources"]]
    else:
        names += ["samples", "tokens", "neutral_texts", "positions"]
        words += [f"--words={folder / WORDS}", f"--form={options['form']}"]
        words += ["--dense-sites"] if asked["dense_sites"] else []
    return words + [f"--{name.replace('_', '-')}={asked[name]}" for name in names]
