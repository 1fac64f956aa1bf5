"""For the demo: the events of all runs in a file, and three of them to look at."""

from pathlib import Path

from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.transport.file import FileConfig, FileTransport

from prefect_openlineage.events import Events, Jobs, shown
from prefect_openlineage.runs import Runs
from prefect_openlineage.settings import read_settings
from prefect_openlineage.tables import open_tables

MAPPING = Path(__file__).with_name("mapping.yml")


def write_events(database: Path, file: Path) -> tuple[int, list[str]]:
    """Write the events of all runs of a sync into a file; how many they are, and three of them in
    a line each.

    The three: a success and a task with tables on both sides, and a failure.
    """
    settings = read_settings(MAPPING)
    transport = FileTransport(FileConfig(str(file), append=True))
    count = 0
    chosen: dict[tuple[str, bool], RunEvent] = {}
    with open_tables(str(database)) as tables:
        events = Events(Jobs.read(tables, settings.job_namespace), settings.datasets, settings.prefect_version)
        for page in Runs(tables, events, {}).pages():
            for event in page.events:
                transport.emit(event)
                count += 1
                if event.eventType is RunState.FAIL:
                    chosen.setdefault(("flow_runs", False), event)
                elif event.eventType is RunState.COMPLETE and event.inputs and event.outputs:
                    chosen.setdefault((page.table, True), event)
    return count, [shown(event) for event in chosen.values()]
