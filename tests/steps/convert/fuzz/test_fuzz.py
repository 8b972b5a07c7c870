"""Mutated datasets are each accepted or refused by a named problem: never a traceback, a hang or a stray write.

FUZZ_EXAMPLES sets how many there are in all; `make fuzz` takes 10,000. They are the same ones each time, so that only
a change can make it fail; FUZZ_RANDOM=1 draws others.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from steps.convert.commands.run import run
from tests.steps.convert.corpus.layouts import HOLDS
from tests.steps.convert.fuzz.guard import guarded
from tests.steps.convert.fuzz.mutations import Mutation, mutations
from tests.steps.convert.fuzz.tree import fresh, lay, place, remove

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
RANDOM = bool(os.environ.get("FUZZ_RANDOM"))
PAIRS = [(layout, task) for task, layouts in HOLDS.items() for layout in layouts]
READ_AGAIN = ("yolo", "coco", "dice", "imagefolder")  # targets that are layouts, too
AFTER = ["none", "yolo", "coco", "imagefolder", "masks", "dice", "fix", "show", "split", "export", "diff", "guess"]


def told(*words: object) -> tuple[int, dict[str, Any]]:
    """Runs a command in this process; gives its exit code and its one JSON object."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(word) for word in words])
    assert code in (0, 1), f"{words[0]}: exit {code}: {err.getvalue()}"
    assert not err.getvalue(), err.getvalue()
    report = json.loads(out.getvalue())
    assert isinstance(report, dict)
    return code, report


def check_report(code: int, report: dict[str, Any]) -> None:
    """Every problem has a name, words and a cure; exit 1 stands for at least one error."""
    for problem in [*report["errors"], *report["warnings"]]:
        assert problem["code"]
        assert problem["message"].strip()
        assert problem["cure"].strip(), problem
    assert (code == 1) == bool(report["errors"]), report


def after(deed: str, root: Any, out: Any, task: str) -> None:
    """Carries one more command out on the same dataset; only `check`, which came first, may know it as sound or not."""
    if deed == "fix":
        code, report = told("fix", root, out / "fixed", "--task", task)
        assert code == 0 or report.get("left") or report.get("errors"), report
    elif deed == "show":
        told("show", root, "--task", task, "--sheet", out / "sheet.png", "--page", out / "page.html")
    elif deed == "split":
        told("split", root, "--task", task, "--out", out / "split.json")
    elif deed == "export":
        told("export", root, out / "out.zip", "--task", task)
    elif deed == "guess":
        check_report(*told("check", root))
    elif deed == "diff":
        told("diff", root, root, "--task", task)
    else:
        code, report = told("check", root, "--task", task, "--target", deed)
        sound = code == 0
        code, report = told("convert", root, out / "converted", "--to", deed, "--task", task)
        assert (code == 0) == sound, (sound, report.get("errors"))
        if sound and deed in READ_AGAIN:
            code, report = told("check", out / "converted", "--task", task)
            assert code == 0, ("what was written is not sound", report["errors"])


@pytest.mark.parametrize(("layout", "task"), PAIRS, ids=[f"{layout}-{task}" for layout, task in PAIRS])
def test_a_mutated_dataset_is_accepted_or_refused_by_name(layout: str, task: str) -> None:
    @settings(
        max_examples=max(1, EXAMPLES // len(PAIRS)),
        deadline=None,
        derandomize=not RANDOM,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(changes=mutations(documents=bool({"D1", "D2", "D3", "D4", "COCO"} & {layout})), deed=st.sampled_from(AFTER))
    @example(changes=[], deed="none")
    @example(changes=[], deed="fix")
    def fuzz(changes: list[Mutation], deed: str) -> None:
        tree = fresh(layout, task)
        for change in changes:
            change(tree)
        folder = place()
        try:
            root, out = folder / "around" / "dataset", folder / "out"
            lay(tree, root)
            out.mkdir()
            with guarded(out):
                code, report = told("check", root, "--task", task, "--contained")
                check_report(code, report)
                if not changes:
                    assert code == 0, report["errors"]
                if deed != "none":
                    after(deed, root, out, task)
            assert {name.name for name in folder.iterdir()} == {"around", "out"}
            assert {name.name for name in (folder / "around").iterdir()} == {"dataset"}
        finally:
            remove(folder)

    fuzz()
