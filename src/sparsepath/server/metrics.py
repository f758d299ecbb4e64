"""Counters, gauges and histograms, written in Prometheus' text format.

Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final, final

import psutil

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
"""Upper ends of the classes of times."""

SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
"""Upper ends of the classes of batch sizes."""


@final
class Counter:
    """A number that only grows, by labels."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self.name, self.meaning, self._labels = name, meaning, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: str, by: float = 1.0) -> None:
        """Count, for the labels' values."""
        self._values[values] = self._values.get(values, 0.0) + by

    def lines(self) -> Iterator[str]:
        """Write it."""
        yield from _head(self.name, self.meaning, "counter")
        for values, number in sorted(self._values.items()):
            yield f"{self.name}{_labelled(self._labels, values)} {number:g}"


@final
class Gauge:
    """A number that is asked for when it is read."""

    def __init__(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        self.name, self.meaning, self._read = name, meaning, read

    def lines(self) -> Iterator[str]:
        """Write it."""
        yield from _head(self.name, self.meaning, "gauge")
        yield f"{self.name} {self._read():.17g}"


@final
class Histogram:
    """How often values fell into classes."""

    def __init__(self, name: str, meaning: str, ends: Sequence[float]) -> None:
        self.name, self.meaning, self._ends = name, meaning, tuple(ends)
        self._counts = [0] * (len(ends) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._ends, value)] += 1
        self._sum += value

    def lines(self) -> Iterator[str]:
        """Write it; classes are cumulative."""
        yield from _head(self.name, self.meaning, "histogram")
        total = 0
        for end, count in zip((*self._ends, float("inf")), self._counts, strict=True):
            total += count
            told = "+Inf" if end == float("inf") else f"{end:g}"
            yield f'{self.name}_bucket{{le="{told}"}} {total}'
        yield f"{self.name}_sum {self._sum:.9g}"
        yield f"{self.name}_count {total}"


@final
class Metrics:
    """What this server counts."""

    def __init__(self) -> None:
        self.requests = Counter(
            "sparsepath_requests_total", "Requests by route and status.", ("route", "status")
        )
        self.seconds = Histogram("sparsepath_request_seconds", "Time of a request.", SECONDS)
        self.texts = Counter("sparsepath_texts_total", "Texts that the engine read.")
        self.batches = Histogram("sparsepath_batch_texts", "Texts in a batch.", SIZES)
        self.tokens = Counter("sparsepath_tokens_total", "Tokens that a language model wrote.")
        self.records = Counter("sparsepath_audit_records_total", "Records written.")
        self.audit_seconds = Histogram(
            "sparsepath_audit_seconds", "Time of a transaction of the audit log.", SECONDS
        )
        self.limited = Counter(
            "sparsepath_limited_total", "Requests beyond a limit of their key.", ("limit",)
        )
        rss = Gauge("sparsepath_resident_bytes", "Memory of this process.", _resident)
        self._all: list[Counter | Gauge | Histogram] = [
            self.requests, self.seconds, self.texts, self.batches, self.tokens, self.records,
            self.audit_seconds, self.limited, rss,
        ]  # fmt: skip

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Add a number that is asked for when it is read."""
        self._all.append(Gauge(name, meaning, read))

    def text(self) -> str:
        """Write everything."""
        return "\n".join(line for item in self._all for line in item.lines()) + "\n"


def _resident() -> float:
    return float(psutil.Process().memory_info().rss)


def _head(name: str, meaning: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"


def _labelled(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
