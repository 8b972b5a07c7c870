"""How answers look: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Rich is imported where something is drawn: 0.1 s that `tiphys --help` and --json do not wait for.

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

WIDE = 1000
"""Columns of a console that is no terminal."""

STATE_STYLE = {
    "pending": "dim",
    "queued": "cyan",
    "running": "bold blue",
    "cancelling": "yellow",
    "succeeded": "bold green",
    "failed": "bold red",
    "cancelled": "yellow",
}


def console() -> Console:
    """A console on standard output."""
    from rich.console import Console

    # A pipe has no width: nothing is broken into lines for it.
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def say_json(value: Any) -> None:
    """Print a value as JSON, readable on a terminal, compact in a pipe."""
    json.dump(value, sys.stdout, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False)
    sys.stdout.write("\n")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, right: Sequence[str] = ()
) -> None:
    """Print rows under their columns' names; the columns `right` hold numbers."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in columns:
        made.add_column(name, overflow="fold", justify="right" if name in right else "left")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(text(cell)) for cell in row))
    console().print(made)


def text(value: Any) -> str:
    """One value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    return str(value)


def plain(words: str) -> str:
    """What somebody wrote, safe to stand inside markup."""
    from rich.markup import escape

    return escape(words)


def number(value: float) -> str:
    """A number in at most four significant digits."""
    return f"{value:.4g}"


def state(word: str) -> Text:
    """A job's state in its colour."""
    from rich.text import Text

    return Text(word, style=STATE_STYLE.get(word, ""))


def moment(stamp: str | None) -> datetime | None:
    """The API's time stamp as a moment."""
    return datetime.fromisoformat(stamp) if stamp else None


def ago(stamp: str | None) -> str:
    """How long ago a moment was."""
    then = moment(stamp)
    return f"{duration((datetime.now(UTC) - then).total_seconds())} ago" if then else "-"


def seconds_taken(thing: dict[str, Any]) -> float | None:
    """Seconds between start and end, or until now."""
    began, ended = moment(thing["started_at"]), moment(thing["finished_at"])
    if began is None:
        return None
    return ((ended or datetime.now(UTC)) - began).total_seconds()


def duration(seconds: float | None) -> str:
    """A span of time in its two largest units."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {secs:02}s" if minutes else f"{secs}s"


def size(count: float | None) -> str:
    """A number of bytes in a unit that fits."""
    if count is None:
        return "-"
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
