"""Retry expressions and `depends`: what they mean, and what is refused."""

from __future__ import annotations

import pytest

from workflows.local.depends import Depends, DependsError
from workflows.local.expressions import Expression, ExpressionError

SCOPE = {
    "lastRetry.exitCode": "75",
    "lastRetry.status": "Failed",
    "lastRetry.duration": "12",
    "lastRetry.message": "main: Error (exit code 75)",
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lastRetry.exitCode == '75'", True),
        ('lastRetry.exitCode != "75"', False),
        ("lastRetry.exitCode == '1' || lastRetry.exitCode == '75'", True),
        ("lastRetry.exitCode == '75' && !(lastRetry.message contains 'deadline')", True),
        ("!(lastRetry.status == 'Failed')", False),
        ("not (lastRetry.status == 'Error') and true", True),
        ("lastRetry.exitCode in ['75', '143']", True),
        ("lastRetry.exitCode not in ['75', '143']", False),
        ("asInt(lastRetry.exitCode) >= 64 && asInt(lastRetry.exitCode) < 78", True),
        ("asInt(lastRetry.duration) == 12", True),
        ("asInt(lastRetry.exitCode) != -1", True),
        ("lastRetry.message matches 'exit code [0-9]+'", True),
        ("lastRetry.message startsWith 'wait:'", False),
        ("true || false && false", True),
    ],
)
def test_expression(text: str, wanted: bool) -> None:
    assert Expression(text).holds(SCOPE) is wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lastRetry.exitCode ==",
        "(true",
        "true)",
        "a ? b : c",
        "sprig.trim('x') == 'x'",
        "1 + 1 == 2",
        "'open",
        "and",
    ],
)
def test_expression_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text)


@pytest.mark.parametrize("text", ["lastRetry.exitCode", "lastRetry.exitCode == 75", "asInt(lastRetry.message) == 1"])
def test_expression_whose_types_clash(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text).holds(SCOPE)


@pytest.mark.parametrize(
    ("text", "phases", "wanted"),
    [
        ("a", {"a": "Succeeded"}, True),
        ("a", {"a": "Failed"}, False),
        ("a", {"a": "Omitted"}, False),
        ("a.Failed", {"a": "Failed"}, True),
        ("a.Failed", {"a": "Error"}, False),
        ("a.Errored", {"a": "Error"}, True),
        ("a.Omitted || b", {"a": "Omitted", "b": "Failed"}, True),
        ("a && b", {"a": "Succeeded", "b": "Failed"}, False),
        ("a && !b.Failed", {"a": "Succeeded", "b": "Succeeded"}, True),
        ("(a || b) && c-d", {"a": "Failed", "b": "Succeeded", "c-d": "Succeeded"}, True),
        ("a || b && c", {"a": "Succeeded", "b": "Failed", "c": "Failed"}, True),
    ],
)
def test_depends(text: str, phases: dict[str, str], wanted: bool) -> None:
    depends = Depends(text)
    assert depends.holds(phases) is wanted
    assert set(depends.tasks) == set(phases)


@pytest.mark.parametrize("text", ["a &&", "a b", "(a", "a.Daemoned", "a.AnySucceeded", "&& a", "a | b"])
def test_depends_that_cannot_be_read(text: str) -> None:
    with pytest.raises(DependsError):
        Depends(text)
