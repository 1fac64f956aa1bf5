"""How the report writes figures: nothing is rounded into its contrary."""

import re

import pytest

from prefect_health.formats import shown, sparkline


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1, "100.0 %"),
        (4_999 / 5_000, "> 99.9 %"),
        (0.9996, "> 99.9 %"),
        (0.9994, "99.9 %"),
        (0.5, "50.0 %"),
        (1 / 5_000, "< 0.1 %"),
        (0, "0.0 %"),
    ],
)
def test_a_failure_in_five_thousand_is_not_all(share: float, text: str) -> None:
    assert shown(share, "rate") == text


def test_a_bar_shows_as_much_red_as_has_failed() -> None:
    def red(rate: float) -> float:
        return sum(map(float, re.findall(r"h3v([\d.]+)", sparkline([rate]))))

    heights = [red(rate) for rate in (0, 0.01, 0.5, 0.96, 0.999, 1)]
    assert heights == [18, 16, 9, 2, 2, 0]
    assert 'aria-label="Success by day: &gt; 99 to 100 %"' in sparkline([0.999, 1.0])
