"""Run every benchmark, the shortest first, and print one table: figure, value, target, met.

`make bench` calls this from the root of the checkout. A benchmark that fails does not stop the
others; it is named at the end and the exit code is 1.
"""

import sys

from sparsepath.artifacts.benchmark import BenchmarkRow, render_table
from sparsepath.errors import SparsepathError
from sparsepath.evaluate.benchmarks import find_benchmarks, run_benchmark


def main(arguments: list[str]) -> int:
    """Run them all; `arguments` go on to every script."""
    benchmarks = find_benchmarks()
    total = sum(benchmark.minutes for benchmark in benchmarks)
    print(f"{len(benchmarks)} benchmarks, about {total:g} minutes", file=sys.stderr)
    rows: list[BenchmarkRow] = []
    failed: list[str] = []
    for benchmark in benchmarks:
        print(f"{benchmark.name}: about {benchmark.minutes:g} minutes", file=sys.stderr)
        try:
            rows += run_benchmark(benchmark.name, arguments)
        except SparsepathError as err:
            print(f"error: {err}", file=sys.stderr)
            failed.append(benchmark.name)
    print(render_table(rows))
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
