"""Every broken dataset of the corpus is told by one name, with place and cure, and nothing is written anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from steps.convert.check.inspection import inspect
from steps.convert.problems import errors, warnings
from tests.steps.convert.corpus.case import Case
from tests.steps.convert.corpus.make import CASES


def everything_below(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Gives what would change if anything were written: names, sizes, times, inodes."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = os.path.join(place, name)
            facts = os.lstat(path)
            found[path] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return found


@pytest.mark.parametrize("case", CASES, ids=[f"{case.layout}-{case.name}" for case in CASES])
def test_a_broken_dataset_is_told_by_its_name(tmp_path: Path, case: Case) -> None:
    root = case.make(tmp_path / "around" / "dataset")
    before = everything_below(tmp_path)
    found = inspect(root, task=case.task, target=case.target, contained=True, everything=True)
    assert everything_below(tmp_path) == before
    told = [problem.line() for problem in found.problems]
    wrong = {problem.code for problem in errors(found.problems)}
    if case.code is None or case.level == "warning":
        assert not wrong, told
        if case.code is None:
            return
    else:
        assert case.code in wrong, told
        assert wrong <= {case.code} | case.along, told
    level = errors(found.problems) if case.level == "error" else warnings(found.problems)
    ours = [problem for problem in level if problem.code == case.code]
    assert ours, told
    assert all(problem.cure.strip() and problem.message.strip() for problem in found.problems), told
    for words in case.says:
        assert any(words in problem.line() for problem in ours), (words, told)


def test_no_two_cases_share_a_name() -> None:
    names = [(case.layout, case.name) for case in CASES]
    assert len(names) == len(set(names))
