"""Numbers, spans, sizes and tables as a person reads them, JSON as a script does."""

from __future__ import annotations

import json

import pytest

from api.cli.jobs import epochs, headline
from api.cli.output import duration, number, plain, say_json, seconds_taken, size, table, text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (-3, "0s"), (0.4, "0s"), (59.6, "1m 00s"), (61, "1m 01s"), (3_661, "1h 01m"), (90_000, "1d 1h")],
)
def test_a_duration_has_its_two_largest_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (5_400_000, "5.4 MB"), (2e12, "2.0 TB")],
)
def test_a_size_has_a_unit_that_fits(count: float | None, words: str) -> None:
    assert size(count) == words


def test_values_are_short() -> None:
    assert [number(0.123456), text(None), text(0.5), text(3), text("a")] == ["0.1235", "-", "0.5", "3", "a"]


def test_a_table_in_a_pipe_is_neither_folded_nor_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table(("ID", "NAME"), [("a", "x" * 300), ("b", "[/x] [red]")])
    printed = capsys.readouterr().out
    assert "x" * 300 in printed
    assert "[/x] [red]" in printed
    assert len(printed.splitlines()) == 3


def test_json_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": "Argo – ü", "items": [1]})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"name": "Argo – ü", "items": [1]}


def test_a_persons_words_cannot_close_a_style() -> None:
    assert plain("[/x]") == r"\[/x]"


def test_how_far_a_job_is() -> None:
    assert epochs({"epoch": None, "total_epochs": 3}) == "-"
    assert epochs({"epoch": 0, "total_epochs": None}) == "0/?"
    assert epochs({"epoch": 2, "total_epochs": 3}) == "2/3"


def test_a_checkpoints_metrics_may_hold_anything() -> None:
    assert (
        headline({"val/mAP50": 0.91234, "train/loss": 1.0, "accuracy": "high", "mAP": None})
        == "mAP50 0.9123  accuracy high"
    )
    assert headline(None) == "-"


def test_time_taken_needs_a_beginning() -> None:
    assert seconds_taken({"started_at": None, "finished_at": None}) is None
    began, ended = "2026-11-21T12:00:00Z", "2026-11-21T12:01:00+00:00"
    assert seconds_taken({"started_at": began, "finished_at": ended}) == 60
