"""The first screen: what is broken, the worst first, each in a sentence."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect_health.marts import Marts
from prefect_health.parts import Row

# So many pipelines with one error are one trouble.
SHARED = 3
MOST = 50
MOST_NAMES = 6


@dataclass(frozen=True)
class Trouble:
    """One pipeline, or several with the same error: `of` are their incidents, the worst first."""

    of: Sequence[Row]

    @property
    def worst(self) -> Row:
        return self.of[0]

    @property
    def names(self) -> list[str]:
        return [row["name"] for row in self.of]

    @property
    def began_at(self) -> Any:
        return min(row["began_at"] for row in self.of)

    @property
    def runs_lost(self) -> int:
        return sum(row["runs_lost"] for row in self.of)

    @property
    def tables(self) -> list[str]:
        return sorted({table for row in self.of for table in (row["table_names"] or "").split(", ") if table})

    @property
    def owners(self) -> list[str]:
        return sorted({row["owner"] for row in self.of})

    @property
    def subjects(self) -> list[list[str]]:
        """What the page filters by: workspace, flow and deployment of each."""
        return [[row["workspace"] or "", row["flow"] or "", row["deployment"] or ""] for row in self.of]


def troubles(marts: Marts) -> list[Trouble]:
    """The open incidents: those that hit the most tables first, and of these the newest."""
    rows = marts.rows("""
        WITH again AS (
            SELECT subject_id, max_by(run_name, created_at) AS retry, max_by(run_url, created_at) AS retry_url,
                max(started_at) AS retry_began, max_by(status, created_at) AS retry_status
            FROM prefect__runs WHERE status IN ('running', 'pending', 'waiting') AND NOT is_inline GROUP BY ALL
        )
        SELECT workspace, incident.*, incident.flow_name AS flow, incident.deployment_name AS deployment, again.*
            EXCLUDE (subject_id)
        FROM prefect__incidents AS incident LEFT JOIN labels USING (workspace_id) LEFT JOIN again USING (subject_id)
        WHERE is_open
        ORDER BY tables_hit DESC, began_at DESC, incident_id
    """)
    by_error: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        flow = row["flow"] or "(unknown)"
        name = f"{flow}/{row['deployment']}" if row["deployment"] else flow
        row["name"] = f"{row['workspace']}: {name}" if marts.has_workspaces else name
        by_error[row["workspace"], row["error_class"] or row["incident_id"]].append(row)
    found = []
    for same in by_error.values():
        found += [Trouble(same)] if len(same) >= SHARED else [Trouble([row]) for row in same]
    return sorted(found, key=lambda trouble: (-len(trouble.tables), -len(trouble.of), -trouble.began_at.timestamp()))[
        :MOST
    ]


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them, and how many more there are."""
    shown = list(names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        shown.append(f"{len(names) - MOST_NAMES:,} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
