"""How long to wait for an answer."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Patience(NamedTuple):
    """How often a request is retried, and how long `Retry-After` may ask to wait, in seconds. Beyond it, it fails.

    `unreached` is the number of retries where the server never answered: a wrong address stays wrong.
    """

    retries: int
    unreached: int
    longest_wait: float
    longest_maintenance: float


IN_A_SYNC = Patience(retries=5, unreached=3, longest_wait=600.0, longest_maintenance=1800.0)
# A user waits in front of a form.
IN_A_CHECK = Patience(retries=1, unreached=1, longest_wait=2.0, longest_maintenance=0.0)


def patience(config: Mapping[str, Any]) -> Patience:
    """That of a check where `SourcePrefect.check` has marked the config, or else that of a sync."""
    return IN_A_CHECK if config.get("is_check") else IN_A_SYNC
