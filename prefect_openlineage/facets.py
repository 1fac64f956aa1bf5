"""Facets of our own, for what OpenLineage has no place for. Their schema is that of any facet."""

import attr
from openlineage.client.generated.base import JobFacet, RunFacet


@attr.define
class PrefectRunFacet(RunFacet):
    """A run as Prefect shows it: `prefect_run`."""

    name: str | None = None
    state: str | None = None
    # How often it has begun: above 1, it was tried again.
    attempt: int | None = None
    url: str | None = None


@attr.define
class PrefectJobFacet(JobFacet):
    """A deployment, or a flow, as Prefect shows it: `prefect_job`."""

    schedule: str | None = None
    url: str | None = None
