"""A run folder as a real run would leave it, generated from a seed: no measured figures here."""
# ruff: noqa: E501, SIM905

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BANKING = (
    "activate_my_card age_limit apple_pay_or_google_pay atm_support automatic_top_up "
    "balance_not_updated_after_bank_transfer balance_not_updated_after_cheque_or_cash_deposit "
    "beneficiary_not_allowed cancel_transfer card_about_to_expire card_acceptance card_arrival "
    "card_delivery_estimate card_linking card_not_working card_payment_fee_charged "
    "card_payment_not_recognised card_payment_wrong_exchange_rate card_swallowed cash_withdrawal_charge "
    "cash_withdrawal_not_recognised change_pin compromised_card contactless_not_working country_support "
    "declined_card_payment declined_cash_withdrawal declined_transfer direct_debit_payment_not_recognised "
    "disposable_card_limits edit_personal_details exchange_charge exchange_rate exchange_via_app"
).split()
JAPANESE_LABELS = [
    "請求・支払い", "配送状況", "返品と交換", "アカウント設定", "不具合の報告", "解約・退会のお申し込み",
    "商品についての質問", "その他のお問い合わせ（担当部署が決まっていないもの）",
]  # fmt: skip
WORDS = (
    "my card was charged twice when i paid abroad and the transfer has not arrived yet please tell "
    "me why the top up failed again yesterday at the machine"
).split()
JAPANESE_TEXT = (
    "先週注文した商品がまだ届いていません。配送状況を確認しましたが、三日前から更新されていないようです。"
    "お急ぎ便で注文したので、いつ頃届くのか教えていただけますでしょうか。"
)
HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'&</script>"


@dataclass(frozen=True, kw_only=True)
class RunShape:
    """What kind of run to generate."""

    n_labels: int = 34
    n_submodels: int = 24
    n_layers: int = 6
    n_test: int = 1540
    is_japanese: bool = False
    is_hostile: bool = False
    text_length: int = 0
    change: float = -0.004
    control_accuracy: float = 0.873
    frozen_accuracy: float = 0.883
    recommended: str | None = "sub-1.6ms"
    rule: str = "smallest latency with accuracy within 1 point of full"
    why: str = "see the table"
    status: str = "done"
    parts: tuple[str, ...] = ("results", "analysis", "explanations")


class Maker:
    """Writes one run folder; every number comes from the seed."""

    def __init__(self, shape: RunShape) -> None:
        self.shape = shape
        self.random = random.Random(7)
        names = JAPANESE_LABELS if shape.is_japanese else BANKING
        self.labels = [
            names[i] if i < len(names) else f"{names[i % len(names)]}_{i // len(names) + 1}"
            for i in range(shape.n_labels)
        ]
        if shape.is_hostile:
            self.labels[0] = HOSTILE

    def text(self) -> str:
        """One row's text."""
        if self.shape.is_hostile:
            return HOSTILE + " " + " ".join(self.random.sample(WORDS, 8))
        if self.shape.is_japanese:
            return JAPANESE_TEXT[: self.random.choice((24, 47, len(JAPANESE_TEXT)))]
        words = self.random.choices(WORDS, k=self.random.randint(6, 18))
        text = " ".join(words).capitalize() + "?"
        while len(text) < self.shape.text_length:
            text += " " + " ".join(self.random.choices(WORDS, k=12))
        return text

    def quality(self, accuracy: float) -> dict[str, Any]:
        half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / self.shape.n_test)
        return {
            "accuracy": accuracy,
            "accuracy_ci95": [accuracy - half, min(1.0, accuracy + half)],
            "macro_f1": accuracy - 0.004,
            "nll_nats": 0.31 + 2 * (0.93 - accuracy),
            "ece": 0.021,
            "accuracy_valid": accuracy + 0.003,
        }

    def candidate(self, name: str, kind: str, accuracy: float, latency: float, size_mb: float,
                  **more: Any) -> dict[str, Any]:  # fmt: skip
        change = round(accuracy - 0.934, 4)
        jitter = self.random.uniform(0.93, 1.07)
        return {
            "name": name, "kind": kind, "folder": f"models/{name}",
            "quality": self.quality(accuracy),
            "cost": {
                "parameters": int(size_mb * 250_000), "size_bytes": int(size_mb * 1e6),
                "flops_per_example": int(latency * 9e8), "latency_ms_p50": latency,
                "latency_ms_p95": latency * 1.6, "examples_per_second": 1000 / latency,
                "peak_rss_bytes": int(96e6 + size_mb * 1.3e6), "latency_ms_mean": latency * 1.1,
                "latency_ms_predicted": latency * jitter if kind == "submodel" else None,
                "tokenize_ms_p50": 0.05,
            },
            "relative": {
                "speedup": 9.8 / latency, "speedup_ci95": [9.5 / latency, 10.1 / latency],
                "size_ratio": size_mb / 90.9, "accuracy_change": change,
                "accuracy_change_ci95": [change - 0.0072, change + 0.0066],
                "accuracy_change_p": 0.27 if abs(change) < 0.007 else 0.0004,
            },
            **more,
        }  # fmt: skip

    def candidates(self) -> list[dict[str, Any]]:
        found = [self.candidate("full", "full", 0.934, 9.8, 90.9, pareto=True)]
        n = self.shape.n_submodels
        for i in range(n):
            latency = round(0.2 * (6.9 / 0.2) ** (i / max(1, n - 1)), 2)
            good = i % 3 != 1
            accuracy = 0.936 - 0.03 * (0.2 / latency) ** 0.7 - (0.0 if good else 0.009)
            layers = max(0, round(6 * latency / 9.8))
            shape = {"layers": [[8, 700]] * layers, "vocabulary": 5321}
            found.append(self.candidate(
                f"sub-{latency}ms", "submodel", round(accuracy, 4), latency, 2.1 + 8 * latency,
                pareto=good, note="keeps L00 (8 heads, 700 neurons): best measured of 12; learnt from the full model in 300 steps", parent="full", shape=shape, target=f"{latency} ms"))  # fmt: skip
        chosen = self.candidate("sub-1.6ms", "submodel", round(0.934 + self.shape.change, 4), 1.58,
                                11.4, pareto=True, parent="full")  # fmt: skip
        found.append(chosen)
        found += [
            self.candidate("sub-1.6ms-int8", "submodel", 0.925, 0.94, 3.1, precision="int8", pareto=True),
            self.candidate("cascade-0.9", "dynamic", 0.933, 2.3, 96.0, pareto=True),
            self.candidate("early-exit", "dynamic", 0.928, 3.1, 91.0),
            self.candidate("full-int8", "full", 0.931, 5.2, 23.1, precision="int8", control=True),
            self.candidate("tfidf-lr", "control", self.shape.control_accuracy, 0.31, 6.2, control=True),
            self.candidate("frozen-encoder", "control", self.shape.frozen_accuracy, 9.7, 90.4, control=True),
            self.candidate("mean-embedding", "control", 0.907, 0.11, 46.0, control=True),
        ]  # fmt: skip
        for i, accuracy in enumerate((0.31, 0.68, 0.79)):
            found.append(
                self.candidate(f"random-{i}", "submodel", accuracy, 1.0 + i, 10.0, control=True)
            )
        found.append(self.candidate("drop-layers-3", "submodel", 0.901, 4.9, 48.0, control=True))
        if self.shape.is_hostile:
            found.append(
                self.candidate(HOSTILE, "submodel", 0.92, 2.0, 9.0, note=HOSTILE, pareto=True)
            )
        found.append(self.candidate("scratch-1.6ms", "submodel", 0.842, 1.6, 11.3, control=True))
        return found

    def results(self) -> dict[str, Any]:
        chosen = self.shape.recommended
        return {
            "schema": 1,
            "data": {"rows_train": 8003, "rows_valid": 1000, "rows_test": self.shape.n_test,
                     "labels": self.labels, "sha256": "5f" * 32},
            "candidates": self.candidates(),
            "recommended": chosen and {"name": chosen, "rule": self.shape.rule, "why": self.shape.why},
        }  # fmt: skip

    def analysis(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "dataset": self.dataset(),
            "units": self.units(),
            "edges": [self.edge_sample(i) for i in range(3)],
            "removal": [self.removal(order, method) for order, method in (
                ("important-first", "gradient"), ("least-first", "gradient"),
                ("important-first", "activation"), ("least-first", "activation"),
                ("random", "random"), ("random", "random"))],
            "per_label": {"full": self.per_label(0.0), "sub-1.6ms": self.per_label(0.05)},
            "confusion": {"sub-1.6ms": self.confusion()},
            "flips": {"sub-1.6ms": [self.flip(i) for i in range(46)]},
            "calibration": {"full": self.calibration(0.02), "sub-1.6ms": self.calibration(0.05),
                            "tfidf-lr": self.calibration(-0.08),
                **({HOSTILE: self.calibration(0.0)} if self.shape.is_hostile else {})},
            "alone": [
                {"name": "sub-1.6ms", "threshold": 0.62, "risk": 0.05, "level": 0.9, "coverage": 0.874,
                 "error": 0.031},
                {"name": "full", "threshold": None, "risk": 0.05, "level": 0.9, "coverage": 0.0,
                 "error": None}],
            "latency_fit": [
                {"name": f"sub-{v}ms", "predicted_ms": v * self.random.uniform(0.93, 1.09), "measured_ms": v}
                for v in (0.2, 0.4, 0.7, 1.1, 1.6, 2.4, 3.3, 4.6, 6.2)],
            "dynamic": self.dynamic(),
            "sparse": self.sparse(),
            "stages": self.stages(),
            "controls_note": {
                "tfidf-lr": "TF-IDF with logistic regression: no neural network at all",
                "random-0": "Random units of the same number in random layers, repaired and trained alike"},
        }  # fmt: skip

    def dataset(self) -> dict[str, Any]:
        return {
            "text_column": "本文" if self.shape.is_japanese else "text", "label_column": "category",
            "how_found": 'text column "text" (by its name), label column "category" (by its contents)',
            "n_rows": 13083, "n_sampled": 13083, "duplicates_moved": 41, "near_duplicates_moved": 187,
            "languages_note": None, "unknown_token_share": 0.0012,
            "warnings": ["13 training rows left out because they repeat a test row (9 exactly, 4 nearly)"],
            "label_counts": {name: [240 - i, 30, 40] for i, name in enumerate(self.labels)},
        }  # fmt: skip

    def units(self) -> dict[str, Any]:
        layers, rnd = self.shape.n_layers, self.random
        scores = {
            method: {
                "heads": [
                    [rnd.lognormvariate(0.1 * i, 0.9) for _ in range(12)] for i in range(layers)
                ],
                "neurons": [[(3 + i) / (1 + 0.15 * j) for j in range(64)] for i in range(layers)],
                "layers": [rnd.uniform(0.5, 1.5) * (1 + i) for i in range(layers)],
            }
            for method in ("gradient", "activation", "random")
        }
        scores["gradient"]["heads"][1][11] = None
        return {"n_layers": layers, "n_heads": 12, "n_neurons": [1536] * layers, "scores": scores,
                "agreement": {"gradient~activation": 0.71, "gradient~random": 0.01}}  # fmt: skip

    def edge_sample(self, row: int) -> dict[str, Any]:
        tokens = ["[CLS]", "why", "was", "my", "card", "payment", "rever", "##ted", "?", "[SEP]"]
        if self.shape.is_japanese:
            tokens = [
                "<s>",
                "▁先週",
                "注文した",
                "商品",
                "が",
                "まだ",
                "届い",
                "て",
                "いません",
                "</s>",
            ]
        if self.shape.is_hostile:
            tokens[1] = HOSTILE
        edges = [
            {"source": self.random.randrange(1, 9), "target": self.random.randrange(0, 9),
             "layer": i % self.shape.n_layers, "head": i, "score": self.random.uniform(-0.3, 1.0)}
            for i in range(9)
        ]  # fmt: skip
        return {"row_id": 100 + row, "text": self.text(), "tokens": tokens, "edges": edges}

    def removal(self, order: str, method: str) -> dict[str, Any]:
        steep = {"important-first": 12.0, "random": 4.0, "least-first": 1.1}[order]
        if method == "activation":
            steep *= 1.2
        points = []
        for i in range(11):
            fraction = i / 10
            accuracy = 0.93 * math.exp(-steep * fraction**2) + 0.03 * self.random.random()
            interval = [max(0, accuracy - 0.03), min(1, accuracy + 0.03)]
            points.append({"fraction": fraction, "accuracy": accuracy, "accuracy_ci95": interval,
                           "nll_nats": 0.3 + fraction, "n": 500})  # fmt: skip
        return {"order": order, "method": method, "points": points}

    def per_label(self, worse: float) -> list[dict[str, Any]]:
        rows = []
        for name in self.labels:
            recall = min(1.0, max(0.3, self.random.gauss(0.93 - worse / 3, 0.05)))
            rows.append(
                {"label": name, "n": 40, "precision": recall - 0.01, "recall": recall, "f1": recall}
            )
        return rows

    def confusion(self) -> dict[str, Any]:
        n = len(self.labels)
        matrix = [[0] * n for _ in range(n)]
        for i in range(n):
            matrix[i][i] = 37
            for _ in range(3):
                matrix[i][self.random.randrange(n)] += 1
        matrix[0][n - 1] += 9
        return {"labels": self.labels, "matrix": matrix}

    def flip(self, row: int) -> dict[str, Any]:
        first, second, third = (self.random.choice(self.labels) for _ in range(3))
        full, ours = [(first, second), (second, first), (second, third)][row % 3]
        return {
            "row_id": row * 31,
            "text": self.text(),
            "truth": first,
            "full": full,
            "candidate": ours,
        }

    def calibration(self, bias: float) -> dict[str, Any]:
        centres = [0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.96]
        bins = [
            {
                "confidence": c,
                "accuracy": min(1.0, max(0.0, c - bias * (1.2 - c) * 4)),
                "n": int(6 + 900 * c**8),
            }
            for c in centres
        ]
        bins.append({"confidence": None, "accuracy": None, "n": 0})
        coverage = [
            {"coverage": c / 10, "accuracy": 0.995 - 0.065 * (c / 10) ** 3 - bias / 9}
            for c in range(2, 11)
        ]
        return {"bins": bins, "coverage": coverage}  # fmt: skip

    def dynamic(self) -> list[dict[str, Any]]:
        return [
            {"name": "cascade-0.9", "kind": "cascade", "mean_latency_ms": 2.3, "accuracy": 0.933,
             "static_accuracy_at_equal_latency": 0.9305, "difference": 0.0025,
             "difference_ci95": [-0.002, 0.007], "stage_share": [0.83, 0.17], "thresholds": [0.9]},
            {"name": "early-exit", "kind": "early-exit", "mean_latency_ms": 3.1, "accuracy": 0.928,
             "static_accuracy_at_equal_latency": 0.932, "difference": -0.004,
             "difference_ci95": [-0.009, 0.001], "stage_share": [0.4, 0.25, 0.2, 0.15],
             "thresholds": [0.95, 0.93, 0.9]},
        ]  # fmt: skip

    def sparse(self) -> dict[str, Any]:
        text = HOSTILE if self.shape.is_hostile else "a text in which it fires"
        return {
            "name": "topk-8th", "n_tested": 40, "n_named": 12, "n_active": 240, "share_named": 0.05,
            "margin_kept": 0.97, "random_margin_kept": 0.04, "margin_when_removed": 0.03,
            "random_margin_when_removed": 0.95,
            "neurons": [
                {"name": f"L05/{i}", "mean": 0.1, "share_of_texts": 0.4, "label": label,
                 "label_share": 0.9,
                 "examples": [{"row_id": i, "text": text, "token": text, "strength": 2.5}]}
                for i, label in enumerate(self.labels[:3])],
        }  # fmt: skip

    def stages(self) -> list[dict[str, Any]]:
        names = (
            (
                "read",
                20,
                14,
                "8003 training, 1000 validation and 1540 test rows, 34 labels; base model: hub",
            ),
            ("baselines", 60, 42, "tf-idf 87.3%, frozen-encoder 91.8% right on validation rows"),
            ("full", 400, 377.2, "93.7% right on validation rows after 900 steps (4.2 passes)"),
            ("extract", 150, 161, "27 sub-models extracted, repaired and written"),
            (
                "measure",
                120,
                118,
                "38 candidates measured; recommended: sub-1.6ms, 6.2 times faster, accuracy 93.0% (-0.4 points)",
            ),
            (
                "explain",
                None,
                61,
                "48 of 900 rows explained (12 wrong ones); the named 10% of the units keep 94% of the margin, a random 10% 13%",
            ),
        )
        return [{"name": n, "planned_s": p, "wall_s": w, "learnt": t} for n, p, w, t in names]

    def explanation(self, row: int) -> dict[str, Any]:
        truth, other = self.random.choice(self.labels), self.random.choice(self.labels)
        predicted = truth if row % 4 else other
        if self.shape.is_japanese:
            words = [
                "<s>",
                "▁先週",
                "注文した",
                "商品",
                "が",
                "まだ",
                "届い",
                "て",
                "いません",
                "。",
                "</s>",
            ]
        else:
            words = ["[CLS]", *self.text().lower().split(), "[SEP]"]
        kept = self.random.gauss(0.94, 0.06)
        return {
            "schema": 1, "row_id": row * 13, "text": self.text(), "truth": truth, "predicted": predicted,
            "runner_up": other if predicted == truth else truth, "probability": 0.91, "margin": 3.1,
            "tokens": [{"text": w, "score": self.random.gauss(0.3, 0.8)} for w in words],
            "units": [{"name": f"L{i % 6:02d}.H{i:02d}" if i % 2 else f"L{i % 6:02d}.M{i * 71:04d}",
                       "score": 2.0 / (1 + i)} for i in range(12)],
            "n_units_kept": 928, "share_units_kept": 0.1,
            "edges": [{"name": f"{i}>{i + 1}@L0{i % 6}.H0{i}", "score": 0.4 - 0.1 * i} for i in range(6)],
            "test": {
                "margin_kept": kept, "margin_kept_raw": kept, "confidence_kept": 0.88, "confidence_removed": 0.21,
                "margin_when_removed": self.random.gauss(0.08, 0.08),
                "random_margin_kept": [self.random.gauss(0.14, 0.09) for _ in range(20)],
                "random_confidence_kept": [0.2] * 20,
                "random_margin_when_removed": [self.random.gauss(0.93, 0.04) for _ in range(20)],
            },
            "model_sha256": "ab" * 32, "data_sha256": "5f" * 32, "versions": {"sparsepath": "0.1.0"},
            "created_utc": "2026-11-21T09:41:00Z",
        }  # fmt: skip

    def manifest(self) -> dict[str, Any]:
        return {
            "schema": 1, "command": ["sparsepath", "poc", "tickets 2026.csv", "--minutes", "15"],
            "config": {"threads": 1, "minutes": 15}, "data_sha256": "5f" * 32,
            "versions": {"python": "3.11.9", "sparsepath": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.31.1",
                         "transformers": "5.23.0", "numpy": "2.4.6"},
            "data_path": "問い合わせ.csv" if self.shape.is_japanese else "data/tickets 2026.csv",
            "base_model": "sentence-transformers/all-MiniLM-L6-v2", "seeds": {"split": 0, "train": 0},
            "machine": {"cpu": "AMD EPYC 7B13", "cores_physical": 2, "cores_logical": 2,
                        "flags": {"avx2": True, "avx512": False, "neon": False},
                        "memory_bytes": 16_000_000_000, "os": "Linux 6.1", "architecture": "x86_64",
                        "python": "3.11.9"},
            "created_utc": "2026-11-21T09:30:00Z", "finished_utc": "2026-11-21T09:43:26Z", "wall_s": 806.2,
            "status": self.shape.status,
        }  # fmt: skip

    def write(self, folder: Path) -> Path:
        """Write the files of the run and return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        parts: dict[str, Any] = {"run.json": self.manifest()}
        if "results" in self.shape.parts:
            parts["results.json"] = self.results()
        if "analysis" in self.shape.parts:
            parts["analysis.json"] = self.analysis()
        for name, content in parts.items():
            (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        if "explanations" in self.shape.parts:
            lines = [json.dumps(self.explanation(i), ensure_ascii=False) for i in range(48)]
            (folder / "explanations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a generated run folder; keywords are those of `RunShape`."""

    def make(**shape: Any) -> Path:
        return Maker(RunShape(**shape)).write(tmp_path / "run one")

    return make
