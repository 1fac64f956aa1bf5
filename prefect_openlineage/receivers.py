"""What each catalog takes of the events, and what it does with those that it does not.

As far as their code and documentation tell: none of these servers could be run here. See
docs/catalogs.md.
"""

from typing import Any

from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.serde import Serde


class Receiver:
    """Takes every event, as Marquez does, and puts those of a run together."""

    # Whether it takes each event for itself: then each has all facets.
    whole = False

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def wants(self, event: RunEvent) -> bool:  # noqa: ARG002  (others look at it)
        """Whether it is of any use to send the event."""
        return True

    def objection(self, event: RunEvent) -> str | None:  # noqa: ARG002
        """Why it would refuse the event."""
        return None

    def complaint(self, event: RunEvent, answer: Any) -> str | None:  # noqa: ARG002
        """What it has not done, though it answers that all is well."""
        return None


class Whole(Receiver):
    """Takes each event by itself. An end without owners would remove those of a DataHub job."""

    whole = True


class OpenMetadata(Receiver):
    """Keeps edges between tables, no runs. It drops an edge of unknown tables, with a 200."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self._sent: set[Any] = set()

    def wants(self, event: RunEvent) -> bool:
        """A COMPLETE with both sides, once for each job: a hundred runs draw the same edges."""
        if event.eventType is not RunState.COMPLETE or not (event.inputs and event.outputs):
            return False
        sides = [
            tuple(sorted((side.namespace, side.name) for side in found)) for found in (event.inputs, event.outputs)
        ]
        edges = (event.job.namespace, event.job.name, *sides)
        new = edges not in self._sent
        self._sent.add(edges)
        return new

    def complaint(self, event: RunEvent, answer: Any) -> str | None:
        expected = len(event.inputs or ()) * len(event.outputs or ())
        created = answer.json().get("lineageEdgesCreated", 0)
        if created >= expected:
            return None
        return f"{created} of {expected} edges were drawn: it does not know all the tables of {event.job.name}"


class Dataplex(Whole):
    """Google's Data Lineage API has limits for a message and for what it holds."""

    MOST_BYTES = 5_000_000
    MOST_LINKS = 1_000
    LONGEST_NAME = 4_000

    def objection(self, event: RunEvent) -> str | None:
        links = len(event.inputs or ()) * len(event.outputs or ())
        if links > self.MOST_LINKS:
            return f"{links} links in an event, of {self.MOST_LINKS} at most"
        for dataset in [*(event.inputs or ()), *(event.outputs or ())]:
            if len(dataset.namespace) + len(dataset.name) + 1 > self.LONGEST_NAME:
                return f"a name of more than {self.LONGEST_NAME} characters: {dataset.name[:80]}…"
        size = len(Serde.to_json(event).encode())
        return f"an event of more than {self.MOST_BYTES:,} bytes" if size > self.MOST_BYTES else None


# Each with the path below the address of the server.
_RECEIVERS: dict[str, tuple[type[Receiver], str]] = {
    "marquez": (Receiver, "api/v1/lineage"),
    "datahub": (Whole, "openapi/openlineage/api/v1/lineage"),
    "atlan": (Whole, "events/openlineage/generic-openlineage/api/v1/lineage"),
    "openmetadata": (OpenMetadata, "api/v1/openlineage/lineage"),
    "dataplex": (Dataplex, ""),
}
NAMES = tuple(_RECEIVERS)


def receiver(name: str) -> Receiver:
    kind, endpoint = _RECEIVERS[name]
    return kind(endpoint)
