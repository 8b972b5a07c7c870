"""The expressions of `retryStrategy.expression`: comparisons, logic and text tests over `lastRetry.*`; nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)|(?P<sign>==|!=|<=|>=|&&|\|\||[!<>()\[\],-]))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
    "in": lambda left, right: left in right,
    "contains": lambda left, right: right in left,
    "matches": lambda left, right: re.search(right, left) is not None,
    "startsWith": lambda left, right: bool(left.startswith(right)),
    "endsWith": lambda left, right: bool(left.endswith(right)),
}
_TEXT_ONLY = frozenset({"contains", "matches", "startsWith", "endsWith"})
_ORDERED = frozenset({"<", "<=", ">", ">="})
_RESERVED = frozenset({"and", "or", "not", "true", "false", "in", "contains", "matches", "startsWith", "endsWith"})

Evaluate = Callable[[Mapping[str, str]], Any]


class ExpressionError(ValueError):
    """An expression that cannot be read, or whose parts do not go together."""


class Expression:
    """A parsed expression; `names` are the variables it reads."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[str] = []
        self._tokens = list(_tokens(text))
        self._at = 0
        self._evaluate = self._or()
        if self._at != len(self._tokens):
            raise ExpressionError(f"unexpected {self._tokens[self._at][1]!r} in {text!r}")

    def holds(self, scope: Mapping[str, str]) -> bool:
        """Evaluates to true or false; raises ExpressionError where the value is neither or the types clash."""
        try:
            value = self._evaluate(scope)
        except (TypeError, AttributeError, re.error) as error:
            raise ExpressionError(f"{self.text!r}: {error}") from error
        if not isinstance(value, bool):
            raise ExpressionError(f"{self.text!r} is not a condition: it gives {value!r}")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at][0] != "text" and self._peek() in wanted:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _need(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise ExpressionError(f"expected {wanted!r} before {self._peek() or 'the end'!r} in {self.text!r}")

    def _or(self) -> Evaluate:
        left = self._and()
        while self._take("||", "or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Evaluate:
        left = self._not()
        while self._take("&&", "and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Evaluate:
        if self._take("!", "not"):
            inner = self._not()
            return lambda scope: not _truth(inner(scope))
        return self._comparison()

    def _comparison(self) -> Evaluate:
        left = self._value()
        negated = self._take("not") is not None
        sign = self._take(*_COMPARE) if not negated else self._take("in", *_TEXT_ONLY)
        if sign is None:
            if negated:
                raise ExpressionError(f"expected in, contains, matches or startsWith after not in {self.text!r}")
            return left
        return _compare(sign, left, self._value(), negated=negated)

    def _value(self) -> Evaluate:
        if self._at >= len(self._tokens):
            raise ExpressionError(f"{self.text!r} ends too early")
        kind, token = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            number: float | int = float(token) if "." in token else int(token)
            return lambda scope: number
        if kind == "text":
            text = re.sub(r"\\(.)", r"\1", token[1:-1])
            return lambda scope: text
        if token == "(":
            inner = self._or()
            self._need(")")
            return inner
        if token == "-":
            operand = self._value()
            return lambda scope: -operand(scope)
        if token == "[":
            return self._list()
        if kind == "word":
            return self._word(token)
        raise ExpressionError(f"unexpected {token!r} in {self.text!r}")

    def _list(self) -> Evaluate:
        items: list[Evaluate] = []
        while not self._take("]"):
            if items:
                self._need(",")
            items.append(self._value())
        return lambda scope: [item(scope) for item in items]

    def _word(self, token: str) -> Evaluate:
        if token in {"true", "false"}:
            return lambda scope: token == "true"
        if token in _RESERVED:
            raise ExpressionError(f"unexpected {token!r} in {self.text!r}")
        if self._take("("):
            if token != "asInt":
                raise ExpressionError(f"unknown function {token!r} in {self.text!r}")
            inner = self._or()
            self._need(")")
            return lambda scope: _as_int(inner(scope))
        self.names.append(token)
        return lambda scope: scope[token]


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"cannot read {text[position:].strip()!r} in {text!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _either(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda scope: _truth(left(scope)) or _truth(right(scope))


def _both(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda scope: _truth(left(scope)) and _truth(right(scope))


def _compare(sign: str, left: Evaluate, right: Evaluate, *, negated: bool) -> Evaluate:
    def evaluate(scope: Mapping[str, str]) -> bool:
        one, other = left(scope), right(scope)
        if sign in _TEXT_ONLY and not (isinstance(one, str) and isinstance(other, str)):
            raise TypeError(f"{sign} needs two texts, not {one!r} and {other!r}")
        # A number never equals a text: silently false would retry never, or for ever.
        if sign in {"==", "!=", *_ORDERED} and isinstance(one, str) != isinstance(other, str):
            raise TypeError(f"cannot compare {one!r} with {other!r}: use asInt() or quotes")
        if sign == "in" and not isinstance(other, list):
            raise TypeError(f"in needs a list, not {other!r}")
        return _COMPARE[sign](one, other) != negated

    return evaluate


def _as_int(value: Any) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise TypeError(f"asInt({value!r}): not a whole number") from error
