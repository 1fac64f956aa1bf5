from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from source_prefect.paging import Row, Rows
from source_prefect.progress.ranges import Remaining
from source_prefect.reading.plan import Runs, sync_runs
from source_prefect.reading.scan import PrefectRetriever, Scan, Step
from source_prefect.records.task_edges import task_edges


@dataclass(kw_only=True)
class RunRetriever(PrefectRetriever):
    """Flow runs and task runs; the API cannot order or filter them by `updated`: see `plan`."""

    due_time: str
    end_time: str
    unfinished_states: Sequence[str]
    terminal_states: Sequence[str]

    def sync(self, scan: Scan) -> Iterator[Step]:
        scan.warn_of_gap()
        runs = Runs(
            name=scan.label,
            table=self.table,
            fetch=scan.client.fetch,
            page_size=lambda: scan.client.page_size,
            workers=scan.settings.num_workers,
            progress=scan.progress.add,
            due_time=self.due_time,
            end_time=self.end_time,
            unfinished_states=self.unfinished_states,
            terminal_states=self.terminal_states,
        )
        for step in sync_runs(runs, scan.state, scan.settings.lookback_window, scan.settings.start_date):
            if not isinstance(step, Remaining):
                yield step
            # Without a cursor, the next sync could not find what changed among the runs read.
            elif cursor := scan.watermark.value:
                yield scan.checkpoint(cursor, remaining=step.ranges)
        yield scan.checkpoint(scan.watermark.value)


@dataclass(kw_only=True)
class TaskDependencyRetriever(RunRetriever):
    """One row for each origin of every input of a task run.

    The API has no list of them; the task runs hold them.
    """

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        return (edge for task_run in rows for edge in task_edges(task_run))
