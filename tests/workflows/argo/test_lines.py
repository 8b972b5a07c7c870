"""Cutting a pod's log into lines with their moments."""

from __future__ import annotations

from workflows.argo.lines import Moment, lines
from workflows.argo.logs import _take


def _texts(*pieces: bytes) -> list[bytes]:
    return [line.text for line in lines(pieces)]


def test_lines_lose_their_moment_and_keep_the_rest() -> None:
    found = list(lines([b"2026-11-21T18:23:52.000000001Z epoch 1/3\n2026-11-21T18:23:53.5Z \n"]))
    assert [line.text for line in found] == [b"epoch 1/3\n", b"\n"]
    assert found[0].at < found[1].at
    assert found[0].at.since() == "2026-11-21T18:23:52Z"


def test_a_line_may_come_in_any_pieces() -> None:
    raw = b"2026-11-21T18:23:52.123456789Z one\n2026-11-21T18:23:52.123456790Z two\n"
    assert _texts(*(raw[i : i + 1] for i in range(len(raw)))) == [b"one\n", b"two\n"]


def test_a_node_whose_clock_goes_back_an_hour_in_autumn_loses_nothing() -> None:
    first, second = lines([b"2026-10-25T02:59:59.9+02:00 before\n2026-10-25T02:00:00.1+01:00 after\n"])
    assert first.at < second.at


def test_lines_of_one_moment_are_counted() -> None:
    found = [line.at for line in lines([b"2026-11-21T18:23:52.5Z a\n2026-11-21T18:23:52.5Z b\n"])]
    assert found[0] < found[1]
    assert found[1].nth == 1


def test_the_executors_own_lines_are_left_out() -> None:
    raw = (
        b"2026-11-21T18:23:50.5Z "
        b'time=2026-11-21T18:23:50.509Z level=INFO msg="waiting for signals" argo=true signalPath=/x\n'
        b'2026-11-21T18:23:51.0Z time="2025-01-01T00:00:00 UTC" level=info msg="capturing logs" argo=true\n'
        b"2026-11-21T18:23:51.5Z time=5 level=low argo=true is what I print myself\n"
        b"2026-11-21T18:23:52.5Z "
        b'time=2026-11-21T18:24:00.544Z level=INFO msg="sub-process exited" argo=true error="exit status 1"\n'
    )
    assert _texts(raw) == [b"time=5 level=low argo=true is what I print myself\n"]


def test_words_without_a_moment_are_kept() -> None:
    assert _texts(b"failed to try resolving symlinks\n") == [b"failed to try resolving symlinks\n"]


def test_a_line_that_is_being_written_waits_until_it_is_whole_or_the_process_is_over() -> None:
    raw = [b"2026-11-21T18:23:52Z whole\n2026-11-21T18:23:53Z 45%|###"]
    assert _take(lines(raw), after=None, skip=0, over=False).content == b"whole\n"
    taken = _take(lines(raw), after=None, skip=0, over=True)
    assert taken.content == b"whole\n45%|###"
    assert taken.cut


def test_after_a_moment_only_later_lines_are_taken() -> None:
    raw = [b"2026-11-21T18:23:52.5Z a\n2026-11-21T18:23:52.5Z b\n2026-11-21T18:23:52.5Z c\n"]
    second = Moment(next(iter(lines(raw))).at.second, 500_000_000, 1)
    assert _take(lines(raw), after=second, skip=0, over=False).content == b"c\n"
