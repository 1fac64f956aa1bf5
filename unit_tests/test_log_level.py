from typing import Any

import pytest

from source_prefect.configuration import ConfigError, minimum_log_level, normalize

SERVER = {"connection": {"type": "server", "api_url": "http://localhost:4200"}}


@pytest.mark.parametrize(("name", "number"), [(None, 20), ("DEBUG", 10), ("warning", 30), ("CRITICAL", 50)])
def test_a_level_has_a_number(name: str | None, number: int) -> None:
    assert minimum_log_level({"log_level": name}) == number


@pytest.mark.parametrize("level", ["LOUD", 30])
def test_any_other_level_is_named_with_the_right_ones(level: Any) -> None:
    with pytest.raises(
        ConfigError, match=f"^log_level is {level!r}; it must be one of DEBUG, INFO, WARNING, ERROR, CRI"
    ):
        normalize({**SERVER, "log_level": level})
