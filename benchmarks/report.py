"""What was measured, as markdown."""

import os
import platform
import subprocess
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.goals import goal_rows
from benchmarks.plan import FIRST, Results
from benchmarks.sync import CONTENDERS, OURS
from devtools.servers.postgres import system_programs

_PACKAGES = ("prefect", "airbyte-cdk", "airbyte-source-prefect", "dlt", "requests", "orjson")


def report(all_results: Sequence[Results]) -> str:
    """Everything: the machine, a table for each setting, and the goals."""
    lines = [*_machine(any(results.setting.database == "PostgreSQL" for results in all_results))]
    for results in all_results:
        lines += ["", f"### {results.setting}", "", *_syncs(results), "", *_pages(results)]
        lines += ["", f"The CDK alone takes {results.cdk_alone:.0f} µs of CPU a row."]
        if results.resumed:
            lines += [
                f"Of a first sync that was killed at half and resumed, {results.resumed.sent_twice} rows were sent "
                "twice, and none was lost."
            ]
    head = ["what", "goal", *(str(results.setting) for results in all_results)]
    lines += ["", "### Goals", "", *_table(head, goal_rows(all_results)), ""]
    return "\n".join(lines)


def _machine(with_postgres: bool) -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    yield from textwrap.wrap(", ".join(f"{package} {version(package)}" for package in _PACKAGES), 97)
    if with_postgres:
        command = [str(system_programs() / "postgres"), "--version"]
        yield subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


def _syncs(results: Results) -> Iterator[str]:
    rows = []
    for cell, syncs in results.syncs.items():
        seconds = results.median(cell, lambda sync: sync.seconds)
        ours = results.median(cell._replace(contender=OURS), lambda sync: sync.seconds)
        about = "~" if syncs[0].scale > 1 else ""
        cpu = results.median(cell, lambda sync: sync.cpu)
        rows.append(
            (
                cell.work,
                f"{cell.latency * 1000:.0f} ms",
                cell.contender,
                f"{len(syncs)}",
                f"{about}{results.median(cell, lambda sync: sync.requests):,.0f}",
                f"{about}{seconds:,.1f}",
                f"{results.median(cell, lambda sync: sync.start):.1f}",
                f"{about}{seconds / ours:.2f}",
                f"{about}{cpu:,.1f}",
                f"{about}{cpu / results.setting.count * 1e6:.0f}" if cell.work == FIRST else "",
                f"{results.median(cell, lambda sync: sync.memory) / 1e6:.0f}",
            )
        )
    yield from _table(
        (
            "work",
            "latency",
            "contender",
            "times",
            "requests",
            "wall s",
            "of it start",
            "of ours",
            "CPU s",
            "CPU µs a row",
            "peak MB",
        ),
        rows,
    )


def _pages(results: Results) -> Iterator[str]:
    rows = [
        (contender, f"{price.first * 1000:.1f}", f"{price.deepest * 1000:.1f}", f"{price.deepest / price.first:.2f}")
        for contender, price in ((contender, results.prices[contender]) for contender in CONTENDERS)
    ]
    yield from _table(("a page of", "first, ms", "deepest, ms", "ratio"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"
