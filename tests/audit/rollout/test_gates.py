"""Gates decide what the counts bear out, and nothing by chance."""

from pathlib import Path

import numpy as np
import pytest

from sparsepath.audit.rollout.gates import Action, GateState, Verdict, decide, judge
from sparsepath.audit.rollout.reviewed import Reviewed
from sparsepath.audit.rollout.rules import Gates, read_rules
from sparsepath.audit.rollout.state import Stage
from sparsepath.audit.rollout.tally import Tally, total
from sparsepath.errors import ConfigError

GATES = Gates.model_validate(
    {
        "agreement": {"limit": 0.95, "least": 200},
        "accuracy": {"limit": 0.03, "least": 50, "when_failed": "ask"},
        "latency_p95_ms": {"limit": 10, "least": 200},
        "errors": {"limit": 0.01, "least": 200},
        "drift": {},
    }
)


def one(gate: str, tally: Tally, reviewed: Reviewed = Reviewed()) -> GateState:  # noqa: B008
    only = Gates.model_validate({gate: getattr(GATES, gate)})
    (found,) = judge(only, "shadow", tally, reviewed, None)
    return found


def agreeing(agreed: int, n: int) -> Tally:
    return Tally(compared=n, agreed=agreed)


@pytest.mark.parametrize(
    ("agreed", "n", "verdict"),
    [(0, 0, "waiting"), (0, 199, "waiting"), (200, 200, "waiting"), (500, 500, "passed"),
     (480, 500, "waiting"), (450, 500, "failed"), (9600, 10_000, "passed")],
)  # fmt: skip
def test_agreement_waits_until_the_interval_is_on_one_side(
    agreed: int, n: int, verdict: Verdict
) -> None:
    assert one("agreement", agreeing(agreed, n)).verdict == verdict


@pytest.mark.parametrize(("share", "action"), [(0.95, None), (0.99, "promote"), (0.9, "undo")])
def test_looking_again_and_again_decides_rightly(share: float, action: str | None) -> None:
    """20 looks at 5,000 texts, 200 times: what is at its limit is nearly never decided."""
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(200):
        agreed = (rng.random(5000) < share).cumsum()
        looks = [one("agreement", agreeing(int(agreed[n - 1]), n)) for n in range(250, 5001, 250)]
        decided = [look.verdict for look in looks if look.verdict != "waiting"]
        verdicts.append(decided[0] if decided else "waiting")
    wrong = {"promote": "failed", "undo": "passed"}.get(str(action))
    assert verdicts.count(wrong) == 0 if wrong else True
    if action is None:
        assert 200 - verdicts.count("waiting") <= 6
    else:
        assert verdicts.count("passed" if action == "promote" else "failed") == 200


def test_latency_counts_requests_that_take_longer() -> None:
    def tally(slow: int, n: int) -> Tally:
        made = Tally()
        for i in range(n):
            made.new.add_request(1, 20.0 if i < slow else 5.0, 10.0)
        return made

    assert one("latency_p95_ms", tally(2, 500)).verdict == "passed"
    assert one("latency_p95_ms", tally(60, 500)).verdict == "failed"
    assert one("latency_p95_ms", tally(25, 500)).verdict == "waiting"
    assert one("latency_p95_ms", tally(60, 500)).value == pytest.approx(20, rel=0.25)
    assert tally(0, 9).new.quantile_ms(0.5) == pytest.approx(5, rel=0.25)


def test_errors_and_drift() -> None:
    tally = Tally()
    tally.new.texts, tally.new.errors = 400, 100
    assert one("errors", tally).verdict == "failed"
    tally.new.texts, tally.new.errors = 20_000, 0
    assert one("errors", tally).verdict == "passed"
    for drifts, verdict in ((None, "waiting"), (True, "failed"), (False, "passed")):
        only = Gates.model_validate({"drift": {}})
        assert judge(only, "full", tally, Reviewed(), drifts)[0].verdict == verdict


def test_accuracy_needs_verdicts_and_compares_pairs_or_shares() -> None:
    assert one("accuracy", Tally()).verdict == "waiting"
    assert one("accuracy", Tally(), Reviewed(pairs=60, only_old=30, both=30)).verdict == "failed"
    alike = Reviewed(pairs=4000, only_old=20, only_new=20, both=3000)
    assert one("accuracy", Tally(), alike).verdict == "passed"
    assert one("accuracy", Tally(), alike._replace(pairs=49)).verdict == "waiting"
    apart = Reviewed(old=(450, 500), new=(300, 500))
    assert one("accuracy", Tally(), apart).verdict == "failed"
    assert one("accuracy", Tally(), Reviewed(old=(450, 500))).verdict == "waiting"


def state(verdict: Verdict, failed: str = "undo", passed: str = "promote") -> GateState:
    return GateState("g", verdict, 1, 1, None, None, None, failed, passed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "stage", "action"),
    [
        ([], "shadow", None),
        ([state("passed")], "shadow", "promote"),
        ([state("passed")], "full", None),
        ([state("passed"), state("waiting")], "canary", None),
        ([state("passed"), state("passed", passed="ask")], "canary", "ask to promote"),
        ([state("passed"), state("failed", failed="ask")], "canary", "ask to roll back"),
        ([state("failed", failed="ask"), state("failed")], "full", "roll-back"),
    ],
)
def test_one_failed_gate_undoes_and_all_must_pass(
    states: list[GateState], stage: Stage, action: Action | None
) -> None:
    assert decide(states, stage).action == action


def test_agreement_decides_in_the_shadow_stage_only() -> None:
    names = [found.gate for found in judge(GATES, "canary", Tally(), Reviewed(), None)]
    assert names == ["accuracy", "latency_p95_ms", "errors", "drift"]


def test_servers_are_added_up() -> None:
    first, second = Tally(compared=3, agreed=2), Tally(compared=5, agreed=5, dropped=1)
    first.new.joules, first.new.cpu_s, first.new.memory_bytes = 2.0, 1.0, 7
    second.new.cpu_s, second.new.memory_bytes = 2.0, 9
    second.new.add_request(2, 1.0, None)
    found = total([first, second])
    assert (found.compared, found.agreed, found.dropped) == (8, 7, 1)
    assert (found.new.cpu_s, found.new.joules, found.new.memory_bytes) == (3.0, None, 9)
    assert (found.new.texts, sum(found.new.times)) == (2, 1)
    second.new.joules = 3.0
    assert total([first, second]).new.joules == 5.0


def test_a_rules_file_is_read_and_an_unknown_key_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('share = 0.05\ncurrency = "EUR"\n[gates.errors]\nlimit = 0.01\n')
    found = read_rules(path)
    assert found.gates.errors is not None
    assert (found.share, found.gates.errors.least, found.gates.agreement) == (0.05, 500, None)
    for text in ("shares = 1\n", "[gates.speed]\nlimit = 1\n", "[gates.errors]\nlimit = 2\n",
                 "share = 0\n", "not toml", "[gates.drift]\nlimit = 1\n"):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"rules\.toml"):
            read_rules(path)
