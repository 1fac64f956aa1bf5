"""`make mutants`: do the unit tests notice when the code is wrong?

mutmut changes the modules that pyproject.toml names in one place at a time, and runs the tests
that call the changed function. The change must fail one of them.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import libcst as cst
import libcst.matchers as m
from mutmut import __main__ as mutmut
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

from devtools.matrix.pythons import ROOT, UV

# Per cent of the mutants that must be killed.
ENOUGH = 95
# A mutant that loops without an end is stopped, and counts as killed.
_KILLED = {"killed", "timeout"}
# What mypy refuses never reaches a test.
_LEFT_OUT = {"caught by type check"}
# ruff wants it wherever two lists are of one length.
_STRICT = re.compile(r",\s*(strict=(True|False))?(?=\))")

_SENTENCE = m.FormattedString() | m.ConcatenatedString() | m.SimpleString(m.MatchIfTrue(lambda text: " " in text))
_PROPERTY = m.FunctionDef(decorators=[m.Decorator(m.Name("property"))])


def _argument_removal(call: cst.Call) -> Iterator[cst.Call]:
    """Calls with an argument less, but never without the sentence that is meant for people."""
    sentences = [argument for argument in call.args if m.matches(argument.value, _SENTENCE)]
    for mutant in mutators.operator_arg_removal(call):
        if all(any(argument is kept for kept in mutant.args) for argument in sentences):
            yield mutant


def _without_texts() -> None:
    """Texts stay as they are: most are sentences, which no test should repeat."""
    instead = {mutators.operator_string: None, mutators.operator_arg_removal: _argument_removal}
    chosen = [(node, instead.get(operator, operator)) for node, operator in mutators.mutation_operators]
    cast(list[Any], mutators.mutation_operators)[:] = [each for each in chosen if each[1]]


def _with_properties() -> None:
    """Mutates properties too: mutmut passes over every function that has a decorator."""
    skips = file_mutation.MutationVisitor._skip_node_and_children
    arrangement: Any = file_mutation.function_trampoline_arrangement

    def skips_node(self: Any, node: cst.CSTNode) -> bool:
        return not m.matches(node, _PROPERTY) and skips(self, node)

    def arranged(function: cst.FunctionDef, mutants: Iterable[Any], class_name: str | None) -> Any:
        declared, methods, assigned, names = arrangement(function.with_changes(decorators=()), mutants, class_name)
        first = methods[0].with_changes(decorators=[*function.decorators, *methods[0].decorators])
        return declared, [first, *methods[1:]], assigned, names

    file_mutation.MutationVisitor._skip_node_and_children = skips_node  # type: ignore[method-assign]
    file_mutation.function_trampoline_arrangement = arranged


def _changed_lines(mutant: str, path: Path) -> list[str]:
    diff = get_diff_for_mutant(mutant, path=path).splitlines()[2:]
    return [line for line in diff if line[:1] in ("-", "+")]


def _means_nothing(changed: Sequence[str]) -> bool:
    """Whether nothing but the `strict` of a `zip` is another one."""
    return len({_STRICT.sub("", line[1:]) for line in changed}) == 1


def report(patterns: Sequence[str]) -> bool:
    """Prints the ratio of each module, and every survivor. Whether enough mutants are killed."""
    all_killed = all_counted = 0
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        statuses = {mutant: status_by_exit_code[code] for mutant, code in data.exit_code_by_key.items()}
        counted = {
            mutant: status
            for mutant, status in statuses.items()
            if status not in _LEFT_OUT
            and any(fnmatch(mutant, pattern) for pattern in patterns)
            and (status in _KILLED or not _means_nothing(_changed_lines(mutant, path)))
        }
        killed = sum(status in _KILLED for status in counted.values())
        if counted:
            print(f"{path}: {killed} of {len(counted)} killed, {killed / len(counted):.1%}")
        for mutant, status in counted.items():
            if status not in _KILLED:
                print(f"   {mutant}: {status}", *_changed_lines(mutant, path), sep="\n      ")
        all_killed, all_counted = all_killed + killed, all_counted + len(counted)
    print(f"{all_killed} of {all_counted} mutants killed, {all_killed / all_counted:.1%}; {ENOUGH} % are enough.")
    return all_killed * 100 >= all_counted * ENOUGH


def main(patterns: list[str]) -> int:
    os.chdir(ROOT)
    if not patterns:
        # mutmut would keep the results of earlier tests.
        shutil.rmtree("mutants", ignore_errors=True)
    # Where mypy is.
    os.environ["PATH"] = f"{UV.parent}{os.pathsep}{os.environ['PATH']}"
    if not sys.stdout.isatty():
        # It draws its progress over and over.
        cast(Any, mutmut).print_stats = cast(Any, mutmut).print_status = lambda *_, **__: None
    _without_texts()
    _with_properties()
    mutmut._run(patterns, max_children=1)
    return 0 if report(patterns or ["*"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
