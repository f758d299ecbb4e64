"""Names in the trade-off plot stay inside it and off other points."""

from sparsepath.report.tradeoff import free_place


def test_a_name_goes_where_no_point_is() -> None:
    at = (400.0, 200.0)
    alone = free_place(at, [at])
    assert alone == (-80, -74)
    beside = free_place(at, [at, (320.0, 126.0)])
    assert beside not in {alone}
    both = free_place(at, [at, (320.0, 126.0), (470.0, 126.0)])
    assert both not in {alone, beside}


def test_a_name_stays_inside_the_plot() -> None:
    right, down = free_place((20.0, 20.0), [(20.0, 20.0)])
    assert right > 0
    assert down > 0
