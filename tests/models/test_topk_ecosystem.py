"""A sparse language model in the hands of transformers' Trainer, of peft and of accelerate."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator, init_empty_weights, load_checkpoint_and_dispatch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from sparsepath.models.topk_lm import TopKConfig, TopKForCausalLM

IDS = torch.arange(3, 21).view(2, 9)
SITES = {"block_out": 8, "attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 9}


def model() -> TopKForCausalLM:
    """A tiny model with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TopKForCausalLM(
            TopKConfig(
                vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                topk=SITES, n_dense_layers=1,
            )
        )  # fmt: skip


class Counting(Dataset[dict[str, Tensor]]):
    """Rows of ascending numbers."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        ids = (torch.arange(12) + number) % 50
        return {"input_ids": ids, "labels": ids}


# What Trainer's imports warn about is not ours.
@pytest.mark.filterwarnings("ignore")
def test_trainer_trains_it(tmp_path: Path) -> None:
    settings = TrainingArguments(
        output_dir=str(tmp_path), max_steps=40, per_device_train_batch_size=16, use_cpu=True,
        report_to=[], save_strategy="no", logging_steps=40, learning_rate=1e-2, disable_tqdm=True,
        seed=0,
    )  # fmt: skip
    learnt = model()
    before = float(learnt(IDS, labels=IDS).loss.detach())
    Trainer(model=learnt, args=settings, train_dataset=Counting()).train()
    learnt.eval()
    assert float(learnt(IDS, labels=IDS).loss.detach()) < before / 2
    hidden = learnt(IDS, output_hidden_states=True).hidden_states
    assert int((hidden[1] != 0).sum(dim=-1).max()) == 8


@pytest.mark.filterwarnings("ignore")
def test_peft_adapts_it_and_merges_exactly() -> None:
    peft = pytest.importorskip("peft")
    names = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"]
    adapted: Any = peft.get_peft_model(
        model(), peft.LoraConfig(r=4, target_modules=names, init_lora_weights=False)
    )
    adapted.eval()
    expected = adapted(input_ids=IDS).logits
    assert not torch.allclose(expected, model().eval()(IDS).logits)
    loss = adapted(input_ids=IDS, labels=IDS).loss
    loss.backward()
    moved = {n for n, p in adapted.named_parameters() if p.grad is not None}
    assert moved
    assert all("lora_" in name for name in moved)
    merged = adapted.merge_and_unload()
    assert isinstance(merged, TopKForCausalLM)
    torch.testing.assert_close(merged(IDS).logits, expected)


def test_accelerate_prepares_and_dispatches_it(tmp_path: Path) -> None:
    whole = model().eval()
    whole.save_pretrained(tmp_path)
    prepared = Accelerator(cpu=True).prepare(whole)
    expected = prepared(IDS).logits
    with init_empty_weights():
        empty = TopKForCausalLM(whole.config)
    found = load_checkpoint_and_dispatch(empty, tmp_path, device_map={"": "cpu"}).eval()
    torch.testing.assert_close(found(IDS).logits, expected)
