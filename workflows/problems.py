"""What is wrong with a request, told as sentences: which field, what is the matter, what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Problem:
    """One fault of a request; `field` is its dotted path, empty where the whole is meant."""

    field: str
    message: str
    cure: str

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.message}. {self.cure[:1].upper()}{self.cure[1:]}."


class SpecError(Exception):
    """A job was refused; carries every problem at once, and `str()` is the text a person reads."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"{len(self.problems)} problems:"]
        lines += [f"  - {problem}" for problem in self.problems]
        return "\n".join(lines)


def near(word: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Returns the known words a person may have meant by `word`, best first; case is not held against them."""
    folded = {name.casefold(): name for name in known}
    return [folded[match] for match in get_close_matches(word.casefold(), folded, n=most, cutoff=0.6)]


def suggest(word: str, known: Iterable[str], *, most: int = 20) -> str:
    """Returns a cure that names the near matches of `word` and lists what there is, at most `most` names."""
    names = list(known)
    if not names:
        return "leave it out: there is none to choose"
    matches = near(word, names)
    listed = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    if matches:
        return f"did you mean {' or '.join(matches)}? There is: {listed}"
    return f"use one of: {listed}"
