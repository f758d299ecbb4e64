"""Greedy answers of our engine in fp32 beside those of transformers, prompt by prompt.

    python benchmarks/greedy.py --model FOLDER --data DATA [--prompts 200] [--tokens 32]

FOLDER holds a language model of the Llama kind. DATA holds `lm/wikitext2_test.txt.xz`, whose first
long lines give the prompts, 80 characters each.
"""

import argparse
import json
import lzma
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.config import GenerateOptions
from sparsepath.runtime.language.engine import Engine

MINUTES = 1
COMMAND = "sparsepath bench greedy --model FOLDER --data DATA"
CHARACTERS, LONG = 80, 200


def main() -> None:
    """Answer all prompts in both ways, print and keep the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=32)
    given, _ = parser.parse_known_args()
    if given.model is None or given.data is None:
        row = told(None, 0, "needs --model and --data")
    else:
        same = compared(given)
        row = told(sum(same) / len(same), len(same), f"{given.model.name}, {given.tokens} tokens")
        write_rows(Path(__file__).parent / "results" / "greedy.json", [row])
    print(json.dumps([row.model_dump(mode="json")], indent=2))


def compared(given: argparse.Namespace) -> list[bool]:
    """Say for each prompt whether both answers are the same."""
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    engine = Engine(given.model, form="fp32")
    ends = set(engine.shape.end_ids)
    with lzma.open(given.data / "lm" / "wikitext2_test.txt.xz", "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file if len(line) > LONG][: given.prompts]
    same = []
    for line in lines:
        ids = torch.tensor([engine.encode(line[:CHARACTERS])])
        answer = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=given.tokens,
            do_sample=False, pad_token_id=0,
        )[0, ids.shape[1] :].tolist()  # fmt: skip
        # Ours stops before an end token.
        stop = next((n for n, token in enumerate(answer) if token in ends), len(answer))
        ours = list(engine.tokens(ids[0].tolist(), GenerateOptions(tokens=given.tokens)))
        same.append(ours == answer[:stop])
    return same


def told(value: float | None, n: int, note: str) -> BenchmarkRow:
    """Make the row."""
    return BenchmarkRow(
        figure="greedy answers in fp32 that equal transformers'",
        value=value,
        unit="",
        better="higher",
        target=1.0,
        peer="transformers, generate",
        n=n,
        threads=torch.get_num_threads(),
        machine=str(machine()["cpu"]),
        versions=package_versions(),
        command=COMMAND,
        date=now_utc()[:10],
        note=note,
    )


if __name__ == "__main__":
    main()
