import re
from typing import Any

import pytest

from source_prefect.settings.parse import ConfigError, minimum_log_level, normalize

SERVER = {"connection": {"type": "server", "api_url": "http://localhost:4200"}}


@pytest.mark.parametrize(("name", "number"), [(None, 20), ("DEBUG", 10), ("warning", 30), ("CRITICAL", 50)])
def test_a_level_has_a_number(name: str | None, number: int) -> None:
    assert minimum_log_level({"log_level": name}) == number


@pytest.mark.parametrize(
    ("level", "sentence"),
    [
        ("LOUD", "log_level is 'LOUD'; it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL."),
        (30, "log_level must be text, not a number."),
    ],
)
def test_any_other_level_is_refused_in_a_sentence(level: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        normalize({**SERVER, "log_level": level})
