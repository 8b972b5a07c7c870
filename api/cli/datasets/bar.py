"""Shows how far long work is: one live line on a terminal, a plain line now and then elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from api.cli.output import duration, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

WORDS = {
    "fetch": "fetching",
    "read": "reading",
    "labels": "labels",
    "headers": "images",
    "digests": "digests",
    "store": "storing",
    "keep": "storing",
    "pack": "packing",
    "upload": "uploading",
    "download": "downloading",
    "unpack": "unpacking",
}
IN_BYTES = frozenset({"upload", "download", "read", "keep"})
"""Phases whose things are bytes."""
PLAIN_EVERY = 5.0
"""Seconds between two lines of one phase where there is no terminal."""


class Bar:
    """The progress of one piece of work; silent for scripts."""

    def __init__(self, *, silent: bool = False, what: str = "") -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._silent = silent and not self._terminal
        self._live: Live | None = None
        self._told: dict[str, Any] | None = None
        self._phase = ""
        self._due = 0.0
        self._shown: dict[str, Any] | None = None  # the phase's last plain line

    def __enter__(self) -> Self:
        if self._terminal:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False)
            # Gone at the end: what remains on the screen is what was found.
            self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._told and self._told["done"] >= self._told["total"]:
            self._close()

    def take(self, told: dict[str, Any] | None) -> None:
        """Takes the newest progress: phase, done, total, bytes, rate, bytes_rate, eta_seconds."""
        self._told = told
        if self._live is not None or self._silent or not told:
            return
        now = time.monotonic()
        if told["phase"] != self._phase or now >= self._due:
            first = told["phase"] != self._phase
            if first:
                self._close()
            self._phase, self._due = told["phase"], now + PLAIN_EVERY
            if not first or told["total"] > 1:
                print(f"  {plain(told)}", file=sys.stderr, flush=True)
                self._shown = told

    def _close(self) -> None:
        """Says of a phase that was left in the middle of its lines that it is done."""
        shown, self._shown = self._shown, None
        if shown and shown["done"] < shown["total"]:
            whole = {"phase": shown["phase"], "done": shown["total"], "total": shown["total"]}
            print(f"  {plain(whole)}", file=sys.stderr, flush=True)

    def wait(self, why: str) -> None:
        """Tells why nothing moves yet."""
        self.take({"phase": why, "done": 0, "total": 0})

    def _draw(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        told = self._told
        if not told or not told.get("total"):
            word = WORDS.get(told["phase"], told["phase"]) if told else self._what or "starting"
            return Text(f"  {word} …", style="dim")
        row = Table.grid(padding=(0, 1))
        numbers = figures(told)
        bar = ProgressBar(total=told["total"], completed=min(told["done"], told["total"]), width=24)
        word = WORDS.get(told["phase"], told["phase"])
        row.add_row(
            Text(f"  {word:<10}"), bar, Text(numbers[0], style="bold"), Text("  ".join(numbers[1:]), style="dim")
        )
        return row


def figures(told: dict[str, Any]) -> list[str]:
    """Returns the progress in figures: how much of how much, bytes, pace, time to go."""
    done, total, counted = told["done"], told["total"], told["phase"] not in IN_BYTES
    shown = [f"{100 * done / total:3.0f} %"] if total else []
    if counted:
        shown.append(f"{done:,}/{total:,}")
        if told.get("bytes"):
            shown.append(size(told["bytes"]))
        if told.get("rate"):
            shown.append(f"{told['rate']:,.0f}/s" if told["rate"] >= 10 else f"{told['rate']:.1f}/s")
    else:
        shown.append(f"{size(done)} of {size(total)}")
    if told.get("bytes_rate") or (not counted and told.get("rate")):
        told = told | {"bytes_rate": told.get("bytes_rate") or told.get("rate")}
        shown.append(f"{size(told['bytes_rate'])}/s")
    if told.get("eta_seconds"):
        shown.append(f"ETA {duration(told['eta_seconds'])}")
    return shown


def plain(told: dict[str, Any]) -> str:
    """Returns the progress as one line of words."""
    word = WORDS.get(told["phase"], told["phase"])
    return f"{word}: {', '.join(part.strip() for part in figures(told))}" if told.get("total") else str(word)
