"""Progress in plain lines: each phase that was begun in words is ended in words."""

import pytest

from api.cli.datasets.bar import Bar


def told(phase: str, done: int, total: int) -> dict[str, object]:
    return {"phase": phase, "done": done, "total": total, "bytes": None}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.strip() for line in capsys.readouterr().err.splitlines()]


def test_a_phase_that_is_followed_by_another_says_that_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        for phase in ("pictures", "samples"):
            for done in (8, 16, 364):
                bar.take(told(phase, done, 364))
    assert lines(capsys) == [
        "pictures: 2 %, 8/364", "pictures: 100 %, 364/364", "samples: 2 %, 8/364", "samples: 100 %, 364/364",
    ]  # fmt: skip


def test_what_was_left_in_the_middle_is_not_said_to_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.take(told("pictures", 8, 364))
        bar.take(told("pictures", 16, 364))
    assert lines(capsys) == ["pictures: 2 %, 8/364"]


def test_what_is_whole_at_once_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.take(told("headers", 364, 364))
        bar.take(told("digests", 364, 364))
    assert lines(capsys) == ["images: 100 %, 364/364", "digests: 100 %, 364/364"]


def test_what_is_stored_is_told_in_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.take(told("keep", 500_000, 2_000_000))
    assert lines(capsys) == ["storing: 25 %, 500.0 KB of 2.0 MB"]
