"""The sections about tables: how fresh they are, and what is made from what."""

from collections.abc import Mapping, Sequence

from prefect_health import charts
from prefect_health.marts import Marts
from prefect_health.parts import Column, Part, Row, Section

# A picture of more edges cannot be read.
MOST_EDGES = 40


def sections(marts: Marts) -> list[Section]:
    return [
        Section(
            "freshness",
            "Freshness",
            "Freshness of tables",
            "Each table that something writes, and when it last did: declared by a tag, or observed as an asset was "
            "materialized. Failing: its runs have failed since. Stale: two slots of its schedule have passed since, or "
            "without a schedule twice the usual time, the median of the days between days of writing. Dead: four of "
            "them have, and 30 days. Of others that were written on fewer than three days nothing is known.",
            [freshness(marts)],
        ),
        Section(
            "lineage",
            "Lineage",
            "Lineage",
            "Which table is made from which: declared by tags (dashed), observed as runs materialized assets (dotted), "
            "or both (thick). A table says so where its last run failed, where something upstream did, or where it is "
            "not fresh.",
            lineage(marts),
        ),
    ]


def freshness(marts: Marts) -> Part:
    return Part(
        "freshness-table",
        "By table, the worst first",
        [
            Column("table_name", "Table", link="last_write_url"),
            Column("status", "Status", "status"),
            Column("last_written_at", "Last written", "time"),
            Column("age_seconds", "Age", "seconds"),
            Column("usual_days", "Usually every", "days"),
            Column("slots_passed", "Slots since", "count"),
            Column("days_written", "Days written", "count"),
            Column("last_written_by", "By"),
            Column("blocked_by", "Blocked by"),
        ],
        marts.rows("""
            SELECT workspace, tables.* FROM prefect__tables AS tables LEFT JOIN labels USING (workspace_id)
            WHERE writers > 0
            ORDER BY list_position(['dead', 'failing', 'stale', 'unknown', 'fresh'], status),
                age_seconds DESC NULLS FIRST, table_name, workspace
        """),
        "No flow or deployment declares a table that it writes, and none was observed. The tags are om-source:<table> "
        "and om-destination:<table>.",
    )


def lineage(marts: Marts) -> list[Part]:
    rows = marts.rows("""
        SELECT workspace, source_id, source_table AS source, destination_id, destination_table AS destination, known,
            flow_name AS flow, last_observed_at, coalesce(run_url, declared_url) AS url
        FROM prefect__lineage LEFT JOIN labels USING (workspace_id)
        ORDER BY source NULLS FIRST, destination NULLS FIRST, workspace
    """)
    words = {"both": "declared and observed"}
    for row in rows:
        row["known_because"] = words.get(row["known"], row["known"])
    table = Part(
        "lineage-table",
        "Edges between tables",
        [
            Column("source", "From"),
            Column("destination", "To"),
            Column("known_because", "Known because", link="url"),
            Column("flow", "By"),
            Column("last_observed_at", "Last observed", "time"),
        ],
        rows,
        "No tag declares lineage, and no asset was observed.",
        folded=True,
    )
    if not rows:
        return [table]
    states = {row["table_id"]: row["state"] for row in marts.rows("""
        WITH failing AS (SELECT table_id FROM prefect__tables WHERE is_failing)
        SELECT table_id, CASE
            WHEN is_failing THEN 'failing'
            WHEN EXISTS (SELECT 1 FROM prefect__lineage_closure JOIN failing ON failing.table_id = upstream_id
                WHERE downstream_id = prefect__tables.table_id) THEN 'downstream of a failure'
            WHEN status IN ('stale', 'dead') THEN status
        END AS state
        FROM prefect__tables
    """)}  # fmt: skip
    chosen = failing_part(rows, states)
    counts = {known: sum(row["known"] == known for row in chosen) for known in ("both", "declared", "observed")}
    hit = sum(state in ("failing", "downstream of a failure") for state in states.values())
    alt = (
        f"A graph of tables with {len(chosen)} of {len(rows)} edges: {counts['both']} declared and observed, "
        f"{counts['declared']} only declared, {counts['observed']} only observed. {hit} tables fail or are downstream "
        "of a failure. The table below lists the edges."
    )
    title = "Tables, each right of what it is made from"
    if len(chosen) < len(rows):
        title = f"What fails, is hit or is not fresh, and its neighbours: {len(chosen):,} of {len(rows):,} edges"
    return [Part("lineage-chart", title=title, alt=alt, figure=charts.lineage(chosen, states)), table]


def failing_part(edges: Sequence[Row], states: Mapping[str, str | None]) -> Sequence[Row]:
    """The edges of tables with a state, the failing ones first; all of them if they are few."""
    if len(edges) <= MOST_EDGES:
        return edges
    order = ["failing", "downstream of a failure", "dead", "stale", None]

    def worst(edge: Row) -> int:
        return min(order.index(states.get(edge[f"{side}_id"])) for side in ("source", "destination"))

    return sorted(edges, key=worst)[:MOST_EDGES]
