import logging

import pytest

from source_prefect.settings.tls import TlsSettings
from source_prefect.http.patience import IN_A_SYNC
from source_prefect.http.transport import shared_transport


@pytest.fixture(autouse=True)
def fresh_process() -> None:
    shared_transport.cache_clear()


def test_all_streams_share_one_transport() -> None:
    first = shared_transport("https://prefect.example.com/api", TlsSettings(), True, 4, IN_A_SYNC)
    assert shared_transport("https://prefect.example.com/api", TlsSettings(), True, 4, IN_A_SYNC) is first
    assert shared_transport("https://other.example.com/api", TlsSettings(), True, 4, IN_A_SYNC) is not first


@pytest.mark.parametrize(
    ("api_url", "has_secret", "warnings"),
    [
        ("http://prefect.example.com/api", True, 1),
        ("http://prefect.example.com/api", False, 0),
        ("https://prefect.example.com/api", True, 0),
        ("http://localhost:4200/api", True, 0),
        ("http://prefect-server:4200/api", True, 0),
    ],
)
def test_credentials_on_an_unencrypted_way_are_warned_of_once(
    api_url: str, has_secret: bool, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="airbyte"):
        for _ in range(3):
            shared_transport(api_url, TlsSettings(), has_secret, 4, IN_A_SYNC)
    assert [record.getMessage() for record in caplog.records] == [
        "The credentials for prefect.example.com travel unencrypted: its address begins with http://."
    ] * warnings
