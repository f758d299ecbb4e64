"""Batches are full or old enough, never larger than allowed, and each text gets its own answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from sparsepath.server.batching import Batcher
from sparsepath.server.metrics import Metrics
from sparsepath.server.problems import Problem


def batches(
    ask: Callable[[Batcher[str]], Awaitable[object]], *, limit: int = 4, wait_s: float = 0.0
) -> list[list[str]]:
    """Run a batcher while something is asked; give the batches that it made."""
    seen: list[list[str]] = []

    def answer(texts: Sequence[str]) -> list[str]:
        seen.append(list(texts))
        return [text.upper() for text in texts]

    async def run() -> None:
        batcher = Batcher(answer, limit=limit, wait_s=wait_s, capacity=20, metrics=Metrics())
        working = asyncio.create_task(batcher.run())
        await ask(batcher)
        batcher.close()
        await asyncio.wait_for(working, 20)
        with pytest.raises(Problem, match="stops"):
            await batcher.ask(["late"])

    asyncio.run(run())
    return seen


def test_texts_of_several_requests_share_full_batches() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        got = await asyncio.gather(*(batcher.ask([f"a{i}", f"b{i}"]) for i in range(5)))
        assert got == [[f"A{i}", f"B{i}"] for i in range(5)]

    assert [len(batch) for batch in batches(ask)] == [4, 4, 2]


def test_a_batch_waits_for_more_until_it_is_old_or_full() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        first = asyncio.create_task(batcher.ask(["a"]))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, batcher.ask(["b"]))

    assert batches(ask, wait_s=5.0, limit=2) == [["a", "b"]]
    assert batches(ask, wait_s=0.0, limit=2) == [["a"], ["b"]]
    assert batches(ask, wait_s=0.2, limit=9) == [["a", "b"]]


def test_what_nobody_waits_for_is_not_asked() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        gone = asyncio.create_task(batcher.ask(["gone"]))
        stays = asyncio.create_task(batcher.ask(["stays"]))
        await asyncio.sleep(0.01)
        gone.cancel()
        assert await stays == ["STAYS"]

    assert batches(ask, wait_s=0.1, limit=9) == [["stays"]]


def test_beyond_its_capacity_a_request_is_refused_whole() -> None:
    async def ask(batcher: Batcher[str]) -> None:
        with pytest.raises(Problem) as caught:
            await batcher.ask(["x"] * 21)
        assert caught.value.status == 429
        assert batcher.n_waiting == 0

    assert batches(ask) == []
