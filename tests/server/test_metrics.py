"""Counters and histograms are written as Prometheus reads them."""

from sparsepath.server.metrics import Counter, Gauge, Histogram


def test_classes_of_a_histogram_are_cumulative_and_include_their_ends() -> None:
    times = Histogram("t", "Times.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        times.add(value)
    assert [*times.lines()] == [
        "# HELP t Times.",
        "# TYPE t histogram",
        't_bucket{le="0.1"} 2',
        't_bucket{le="1"} 3',
        't_bucket{le="+Inf"} 4',
        "t_sum 7.65",
        "t_count 4",
    ]


def test_labels_are_escaped() -> None:
    count = Counter("c", "Things.", ("what",))
    count.add('a"b\\c\nd', by=2.0)
    assert [*count.lines()][2] == 'c{what="a\\"b\\\\c\\nd"} 2'


def test_a_gauge_is_asked_when_it_is_read() -> None:
    values = iter([1.0, 2.5])
    gauge = Gauge("g", "Now.", lambda: next(values))
    assert [[*gauge.lines()][2] for _ in range(2)] == ["g 1", "g 2.5"]
