"""How long the tests of this folder run, and with what seeds.

In `make test` each runs for a short time, always with the same seeds. `make torture` sets TORTURE
to the factor by which they run longer, with new seeds; what failed is repeated with the SEED in
the test's name.
"""

import os
import random

FACTOR = int(os.environ.get("TORTURE", "1"))


def seeds(count: int) -> list[int]:
    if "SEED" in os.environ:
        return [int(os.environ["SEED"])]
    return list(range(1, count + 1)) if FACTOR == 1 else [random.randrange(10**9) for _ in range(count)]


# What a test has done, for the end of pytest's output; there it comes as this property of the
# test.
PROPERTY = "torture"
REPORT: list[str] = []


def report(line: str) -> None:
    REPORT.append(line)
