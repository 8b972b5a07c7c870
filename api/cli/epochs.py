"""Sorts a job's heartbeats into epochs, each with its own values and none of another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from api.cli.output import number


@dataclass
class Epoch:
    """What the heartbeats of one epoch told of it."""

    attempt: int | None
    number: int
    total: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    within: bool = False
    """Whether the last of them came in the middle of the epoch: it named a step."""
    over: bool = False

    @property
    def validated(self) -> bool:
        """Whether it has come to the metrics of its validation."""
        return not self.within and any(_is_quality(name) for name in self.metrics)


class Epochs:
    """The epoch that was heard of last, and the last one that is over."""

    def __init__(self) -> None:
        self.current: Epoch | None = None
        self.last: Epoch | None = None

    def hear(self, beat: dict[str, Any]) -> Iterator[Epoch]:
        """Take a heartbeat in; yields each epoch that is over by it: one that another follows, or a validated one."""
        if beat.get("epoch") is None:
            return
        now = self.current
        if now is None or (now.attempt, now.number) != (beat.get("attempt"), beat["epoch"]):
            # An epoch that was broken off is none that is over: the next attempt trains it anew.
            if now is None or not now.within or beat["epoch"] > now.number:
                yield from self.close()
            now = self.current = Epoch(beat.get("attempt"), beat["epoch"], now.total if now else None)
        now.total = beat.get("total_epochs") or now.total
        now.within = beat.get("step") is not None
        # A metric that is no number is null; nothing is known of it then, not even what it was before.
        now.metrics = {k: v for k, v in (now.metrics | (beat.get("metrics") or {})).items() if v is not None}
        if now.validated:
            yield from self.close()

    def close(self) -> Iterator[Epoch]:
        """Yields the epoch heard of last, if it told of anything and has not been yielded before: now it is over."""
        if self.current and self.current.metrics and not self.current.over:
            self.current.over = True
            self.last = self.current
            yield self.current


def metrics_line(metrics: dict[str, float]) -> Text:
    """Loss first, then the metrics of quality."""
    losses = {k: v for k, v in metrics.items() if k.startswith("train/") and "loss" in k}
    shown: list[tuple[str, float]] = [("loss", sum(losses.values()))] if losses else []
    shown += [(k.removeprefix("val/"), v) for k, v in metrics.items() if _is_quality(k)]
    if not shown:
        shown = [(k, v) for k, v in metrics.items() if isinstance(v, int | float)][:5]
    return Text.assemble(*(part for k, v in shown for part in ((f"{k} ", "dim"), (f"{number(v)}  ", "bold"))))


def _is_quality(name: str) -> bool:
    return name.startswith("val/") and "loss" not in name
