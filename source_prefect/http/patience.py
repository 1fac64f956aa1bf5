"""How long an answer is waited for."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Patience(NamedTuple):
    """How long a request is tried, and what `Retry-After` may ask for, in seconds. Beyond it, an error says so.

    `unreached` is the number of tries to connect to a server that never answered: a wrong address does not mend itself.
    """

    retries: int
    unreached: int
    longest_wait: float
    longest_maintenance: float


IN_A_SYNC = Patience(retries=5, unreached=3, longest_wait=600.0, longest_maintenance=1800.0)
# A person waits in front of a form.
IN_A_CHECK = Patience(retries=1, unreached=1, longest_wait=2.0, longest_maintenance=0.0)


def patience(config: Mapping[str, Any]) -> Patience:
    """What `SourcePrefect.check` has put into the config, or else a sync's."""
    return IN_A_CHECK if config.get("is_check") else IN_A_SYNC
