"""The `depends` of a DAG task: which tasks it waits for, and on which of their results it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from workflows.local.status import ERROR, FAILED, OMITTED, SKIPPED, SUCCEEDED

_TOKEN = re.compile(r"\s*(?:(?P<task>[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z]+)?)|(?P<sign>&&|\|\||[!()]))")
_RESULTS = {"Succeeded": SUCCEEDED, "Failed": FAILED, "Errored": ERROR, "Skipped": SKIPPED, "Omitted": OMITTED}

Evaluate = Callable[[Mapping[str, str]], bool]


class DependsError(ValueError):
    """A `depends` that cannot be read."""


class Depends:
    """A parsed `depends`; `tasks` are those it names, in order, each once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tasks: list[str] = []
        self._tokens = _tokens(text)
        self._at = 0
        self._evaluate = self._or() if self._tokens else lambda phases: True
        if self._at != len(self._tokens):
            raise DependsError(f"unexpected {self._tokens[self._at]!r} in {text!r}")

    def holds(self, phases: Mapping[str, str]) -> bool:
        """Tells whether the task runs, given the final phase of every task it names."""
        return self._evaluate(phases)

    def _take(self, wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == wanted:
            self._at += 1
            return True
        return False

    def _or(self) -> Evaluate:
        terms = [self._and()]
        while self._take("||"):
            terms.append(self._and())
        return lambda phases: any(term(phases) for term in terms)

    def _and(self) -> Evaluate:
        terms = [self._not()]
        while self._take("&&"):
            terms.append(self._not())
        return lambda phases: all(term(phases) for term in terms)

    def _not(self) -> Evaluate:
        if self._take("!"):
            inner = self._not()
            return lambda phases: not inner(phases)
        if self._take("("):
            inner = self._or()
            if not self._take(")"):
                raise DependsError(f"a bracket is not closed in {self.text!r}")
            return inner
        return self._task()

    def _task(self) -> Evaluate:
        if self._at >= len(self._tokens) or self._tokens[self._at] in {"&&", "||", "!", "(", ")"}:
            raise DependsError(f"a task is missing in {self.text!r}")
        task, _, result = self._tokens[self._at].partition(".")
        self._at += 1
        if result and result not in _RESULTS:
            raise DependsError(f"unknown result {result!r} of {task!r}: known are {', '.join(_RESULTS)}")
        if task not in self.tasks:
            self.tasks.append(task)
        # A task named without a result is good when it succeeded or was skipped; an omitted one is neither.
        good = {_RESULTS[result]} if result else {SUCCEEDED, SKIPPED}
        return lambda phases: phases[task] in good


def task_depends(task: Mapping[str, object]) -> Depends:
    """Reads a DAG task's `depends`, or its older `dependencies` list."""
    text = task.get("depends")
    if isinstance(text, str) and text:
        return Depends(text)
    older = task.get("dependencies")
    return Depends(" && ".join(str(name) for name in older) if isinstance(older, list) else "")


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise DependsError(f"cannot read {text[position:].strip()!r} in {text!r}")
        found.append(match["task"] or match["sign"])
        position = match.end()
    return found
