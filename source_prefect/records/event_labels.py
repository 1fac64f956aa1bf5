"""The content of Prefect's events: a resource and related ones, each an object of labels."""

from typing import Any

from source_prefect.paging import Row
from source_prefect.records.flatten import objects_in

ID = "prefect.resource.id"
NAME = "prefect.resource.name"
ROLE = "prefect.resource.role"


def labels(value: Any) -> Row:
    """The object, or an empty one where it is something else."""
    return value if isinstance(value, dict) else {}


def bare_id(resource: Row) -> str | None:
    """The UUID at the end of `prefect.flow-run.<UUID>`."""
    identifier = resource.get(ID)
    return identifier.rpartition(".")[2] if isinstance(identifier, str) else None


def related(event: Row, role: str) -> list[Row]:
    """The resources that have this role in the event."""
    return [resource for resource in objects_in(event.get("related")) if resource.get(ROLE) == role]
