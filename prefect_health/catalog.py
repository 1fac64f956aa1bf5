"""Links into a data catalog that has the runs as jobs, as prefect_openlineage sends them."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from prefect_health.parts import Column, Part, Row, Section

NAMES = ("name", "flow", "deployment", "workspace")


def template(text: str) -> str:
    """A job's address in the catalog's UI, with words in braces for its name. For argparse."""
    try:
        used = text.format(**dict.fromkeys(NAMES, "x"))
    except (IndexError, KeyError, ValueError):
        used = text
    if used == text or not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(
            f"{text} is no address with {{name}} in it, such as "
            "https://marquez.example.com/lineage/job/prefect/{name}; {flow}, {deployment} and {workspace} are known "
            "too."
        )
    return text


def linked(sections: Sequence[Section], address: str | None) -> list[Section]:
    """The sections; with an address, each row about a flow gets a link to the catalog."""
    if not address:
        return list(sections)
    return [replace(section, parts=[_linked(part, address) for part in section.parts]) for section in sections]


def _linked(part: Part, address: str) -> Part:
    if part.figure or not any(column.key == "flow" for column in part.columns):
        return part
    rows = [{**row, "catalog": "job" if row["flow"] else None, "job_url": _job_url(row, address)} for row in part.rows]
    return replace(part, columns=[*part.columns, Column("catalog", "Catalog", link="job_url")], rows=rows)


def _job_url(row: Row, address: str) -> str:
    flow, deployment = row["flow"] or "", row.get("deployment") or ""
    name = f"{flow}/{deployment}" if deployment else flow
    names = {"flow": flow, "deployment": deployment, "name": name, "workspace": row.get("workspace") or "default"}
    return address.format(**{name: quote(text, safe="") for name, text in names.items()})
