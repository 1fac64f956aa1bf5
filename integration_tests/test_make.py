"""The Makefile: what it says to a newcomer, and that `make everything` leaves no target out."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.matrix.pythons import ROOT

# `test` is three of the others; `constraints` and `clean` change the checkout.
NO_TESTS = {"test", "everything", "constraints", "clean"}


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # The tests themselves may have been started by make.
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return subprocess.run(["make", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)


def listed(text: str) -> list[str]:
    return re.findall(r"^  ([a-z-]+) ", text, re.MULTILINE)


def test_the_help_fits_on_a_screen_and_begins_with_what_a_newcomer_needs() -> None:
    screen = make().stdout
    assert len(screen.splitlines()) <= 24
    assert max(map(len, screen.splitlines())) <= 80
    first, others = screen.split("\n\n")
    assert listed(first) == ["demo", "report", "install", "lint", "unit", "test"]
    assert len(listed(others)) > len(listed(first))


def test_every_target_is_listed_and_run_by_everything() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets = set(listed(make("help").stdout))
    assert targets == rules - {"help", "browser"}
    run = make("--eval", "run: ; @echo $(EVERYTHING)", "run").stdout.split()
    assert set(run) == targets - NO_TESTS


def test_everything_goes_on_after_a_failure_and_names_each_at_its_end() -> None:
    done = make("--eval", "one two: ; @false", "everything", "EVERYTHING=one help two")
    assert "Everything that CI runs" in done.stdout
    assert "Failed: one two\n" in done.stderr
    assert done.returncode != 0


def test_everything_is_content_where_nothing_fails() -> None:
    assert make("everything", "EVERYTHING=help help").returncode == 0


@pytest.mark.parametrize("python", ["old", "missing"])
def test_a_python_that_will_not_do_is_answered_with_a_sentence(tmp_path: Path, python: str) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    interpreter = tmp_path / "python3.10"
    if python == "old":
        pretend = "import sys; sys.version_info = (3, 10, 13, 'final', 0); exec(sys.argv[1])"
        interpreter.write_text(
            f'#!/bin/sh\n[ "$1" != --version ] || exec echo Python 3.10.13\nexec {sys.executable} -c "{pretend}" "$2"\n'
        )
        interpreter.chmod(0o755)
    done = make("demo", f"PYTHON={interpreter}", folder=tmp_path)
    sentence, *_ = done.stderr.splitlines()
    assert sentence.startswith(f"Python 3.11 to 3.13 is needed, but {interpreter} says: ")
    assert ("Python 3.10.13" if python == "old" else "not found") in sentence
    assert sentence.endswith("Name another one: make PYTHON=python3.12")
    assert done.returncode != 0
    assert not (tmp_path / ".venv").exists()
