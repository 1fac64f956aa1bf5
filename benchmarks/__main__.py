"""Reads the same tables with each contender, side by side, and writes what that cost as markdown.

`python -m benchmarks` takes about a minute; with `--full` it takes half an hour and needs
PostgreSQL.
"""

import argparse
import logging
import sys
from pathlib import Path

from benchmarks.plan import FULL, QUICK, measure
from benchmarks.report import report


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all settings, up to 1,000,000 rows on PostgreSQL")
    parser.add_argument("--only", default="", metavar="TEXT", help="of the full form, those with this in their name")
    parser.add_argument("--output", type=Path, default=Path("benchmark.md"), help="the file to write")
    arguments = parser.parse_args()
    # The connector is asked for its catalog in this process; what it logs then is of no interest.
    logging.disable(logging.WARNING)
    settings = [setting for setting in FULL if arguments.only in str(setting)] if arguments.full else QUICK
    results = []
    for setting in settings:
        results.append(measure(setting, lambda text: print(text, file=sys.stderr, flush=True)))
        # What there is is kept, should a later setting fail.
        arguments.output.write_text(report(results))
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
