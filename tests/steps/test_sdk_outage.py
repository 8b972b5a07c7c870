"""The client rules: an unwilling or absent platform stops no training, loses nothing, and is told once it is back."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.trainer_sdk import TrainerError, TrainerSDK
from tests.steps.wire import Answer, Heard, Platform, environment, pinned, willing

ANSWERS = pinned("errors")["answers"]
SECRET = "the-token-that-nobody-may-read"

KEPT = 4096
"""Calls the SDK keeps while the platform is away."""


class Patience:
    """A sleep that does not sleep: it counts, and lets the test act."""

    def __init__(self) -> None:
        self.naps: list[float] = []
        self.at: dict[int, Any] = {}

    def __call__(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at.get(len(self.naps), lambda: None)()


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
def sdk(platform: Platform, workspace: Path, patience: Patience) -> Iterator[TrainerSDK]:
    environ = environment(workspace, url=platform.url, CALLBACK_TOKEN=SECRET)
    with TrainerSDK(environ, heartbeat_seconds=0.02, sleep=patience, give_up_seconds=3600) as sdk:
        yield sdk


def epochs(platform: Platform) -> list[int]:
    return [body["epoch"] for body in platform.calls("heartbeat") if "epoch" in body]


def test_what_is_said_in_an_outage_arrives_later_in_order_with_its_keys(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.report_progress(1, 9, {"loss": 1.0})
    for first in (2, 5):  # twice: the second outage is like the first
        platform.away()
        sdk.report_progress(first, 9, {"loss": 0.5})
        sdk.event("note", str(first), key=f"key-{first}")
        sdk.report_progress(first + 1, 9, {"loss": 0.25})
        platform.back()
        assert platform.wait_for(lambda last=first + 1: last in epochs(platform))
        sdk.report_progress(first + 2, 9, {"loss": 0.1})  # said while catching up: it may wait for its turn
        assert platform.wait_for(lambda last=first + 2: last in epochs(platform))
    assert epochs(platform) == [1, 2, 3, 4, 5, 6, 7]
    told = [heard for heard in platform.heard if "epoch" in heard.body or heard.call == "event"]
    notes = [place for place, heard in enumerate(told) if heard.call == "event"]
    assert [told[place - 1].body["epoch"] for place in notes] == [2, 5]
    assert [told[place].headers["Idempotency-Key"] for place in notes] == ["key-2", "key-5"]


@pytest.mark.parametrize("status", [entry["status"] for entry in ANSWERS if entry["client"] == "keep"])
def test_an_unwilling_platform_keeps_the_call_and_its_key(platform: Platform, sdk: TrainerSDK, status: int) -> None:
    keys: list[str] = []

    def unwilling(heard: Heard) -> Answer:
        if "epoch" in heard.body:
            keys.append(heard.headers["Idempotency-Key"])
        return willing(heard) if len(keys) > 1 else (status, {}, {})

    platform.answer = unwilling
    sdk.report_progress(1, 2, {})
    assert platform.wait_for(lambda: epochs(platform) == [1])
    assert keys[0] == keys[1]


def test_an_outage_costs_training_one_timeout(platform: Platform, workspace: Path) -> None:
    hang = threading.Event()

    def silent(heard: Heard) -> Answer:
        hang.wait(30)
        return willing(heard)

    platform.answer = silent
    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0, timeout=0.2) as sdk:
        before = time.monotonic()
        for epoch in range(1, 51):
            sdk.report_progress(epoch, 50, {})
        assert time.monotonic() - before < 2.0  # not 50 times 0.2
        hang.set()
        platform.answer = willing
    assert [epoch for epoch in epochs(platform) if epoch > 1] == list(range(2, 51))


def test_the_ring_is_bounded_and_drops_the_oldest(platform: Platform, workspace: Path) -> None:
    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0) as sdk:
        platform.away()
        for epoch in range(1, KEPT + 11):
            sdk.heartbeat(epoch)
        platform.back()
    assert epochs(platform) == [1, *range(12, KEPT + 11)]


def test_catching_up_after_an_outage_holds_up_no_training(platform: Platform, workspace: Path) -> None:
    slow, through = threading.Event(), threading.Event()

    def crawling(heard: Heard) -> Any:
        if heard.body.get("epoch") == 2:
            through.set()
            slow.wait(20)
        return willing(heard)

    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0) as sdk:
        platform.away()
        for epoch in range(1, 4):
            sdk.heartbeat(epoch)
        platform.back()
        platform.answer = crawling
        other = threading.Thread(target=sdk._drain)
        other.start()
        assert through.wait(20)
        before = time.monotonic()
        for epoch in range(4, 54):
            sdk.heartbeat(epoch)
        assert time.monotonic() - before < 2
        slow.set()
        other.join()
    assert epochs(platform) == list(range(1, 54))


def test_too_fast_waits_as_long_as_it_is_told(platform: Platform, sdk: TrainerSDK, patience: Patience) -> None:
    answers = iter([(429, {"Retry-After": "120"}, {}), (429, {"Retry-After": "7"}, {})])
    platform.answer = lambda heard: next(answers, willing(heard)) if heard.call == "done" else willing(heard)
    sdk.report_completed()
    assert len(platform.calls("done")) == 1
    assert patience.naps == [120, 7]


@pytest.mark.parametrize("status", [entry["status"] for entry in ANSWERS if entry["client"] == "drop"])
def test_a_refused_call_is_dropped_and_the_next_one_goes(
    platform: Platform, sdk: TrainerSDK, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    platform.answer = lambda heard: (status, {}, {"code": "no"}) if heard.call == "event" else willing(heard)
    sdk.event("note")
    sdk.report_progress(1, 1, {})
    assert epochs(platform) == [1]
    assert sum(f"refused event: {status}" in line for line in capsys.readouterr().out.splitlines()) == 1


def test_done_is_kept_before_it_is_told_and_told_until_it_arrives(
    platform: Platform, sdk: TrainerSDK, patience: Patience, workspace: Path
) -> None:
    platform.away()
    sdk.report_progress(1, 1, {"loss": 0.5})
    seen = []
    patience.at = {1: lambda: seen.append(json.loads((workspace / "done.json").read_bytes())), 4: platform.back}
    sdk.report_completed({"loss": 0.5})
    assert platform.calls("done") == seen
    assert epochs(platform) == [1]
    calls = [heard.call for heard in platform.heard]
    assert calls.index("done") == len(calls) - 1
    assert len(patience.naps) == 4
    assert patience.naps == sorted(patience.naps)


def test_success_that_nobody_hears_is_exit_code_2(
    platform: Platform, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sdk = TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0, give_up_seconds=0)
    platform.away()
    with pytest.raises(SystemExit) as left:
        sdk.report_completed({"a": 1.0})
    sdk.close()
    platform.back()
    assert left.value.code == 2
    assert json.loads((workspace / "done.json").read_bytes())["status"] == "succeeded"
    assert "could not be told of the end" in capsys.readouterr().out


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_done_is_not_repeated(
    platform: Platform, sdk: TrainerSDK, patience: Patience, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    asked = []
    platform.answer = lambda heard: asked.append(heard.call) or (status, {}, {"code": "refused"})
    with pytest.raises(SystemExit) as left:
        sdk.report_completed()
    assert left.value.code == 2
    assert asked.count("done") == 1
    assert patience.naps == []
    assert "check CALLBACK_TOKEN and JOB_ID" in capsys.readouterr().out


def test_a_404_of_a_proxy_is_an_outage_and_nothing_is_lost(platform: Platform, sdk: TrainerSDK) -> None:
    platform.answer = lambda heard: (404, {}, "default backend - 404")
    for epoch in (1, 2, 3):
        sdk.report_progress(epoch, 3)
    platform.answer = willing
    assert platform.wait_for(lambda: [b.get("epoch") for b in platform.calls("heartbeat")][:3] == [1, 2, 3])


def test_failure_that_nobody_hears_stays_exit_code_1(platform: Platform, workspace: Path) -> None:
    def diverges(sdk: TrainerSDK) -> None:
        platform.away()
        raise ValueError("no luck")

    sdk = TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0, give_up_seconds=0)
    assert sdk.run(diverges) == 1
    platform.back()
    assert json.loads((workspace / "done.json").read_bytes())["status"] == "failed"


def test_a_later_step_delivers_what_was_left(platform: Platform, workspace: Path) -> None:
    body = {"trace_id": "t", "status": "succeeded"}
    (workspace / "done.json").write_text(json.dumps(body))
    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0) as sdk:
        assert sdk.deliver_done() is True
        assert sdk.deliver_done() is True  # harmless
    assert platform.calls("done") == [body, body]


def test_a_quiet_trainer_is_alive_and_learns_that_it_shall_stop(platform: Platform, sdk: TrainerSDK) -> None:
    assert platform.wait_for(lambda: len(platform.calls("heartbeat")) >= 2)
    assert set(platform.calls("heartbeat")[0]) == {"trace_id", "timestamp"}
    platform.answer = lambda heard: (200, {}, {"status": "ok", "should_continue": False})
    heard = len(platform.heard)
    assert platform.wait_for(lambda: len(platform.heard) > heard + 1)
    assert sdk.cancelled
    platform.answer = willing  # a stop is never taken back
    sdk.heartbeat()
    assert not sdk.should_continue


def test_the_token_is_never_seen(
    platform: Platform, sdk: TrainerSDK, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.answer = lambda heard: (401, {}, {"detail": f"bad token {SECRET}"})
    sdk.event("note", "nothing secret")
    sdk.log("INFO", f"Authorization: Bearer {SECRET}")
    platform.away()
    sdk.report_progress(1, 1, {})
    platform.back()
    platform.answer = willing
    sdk.report_failed("UNKNOWN_ERROR", "told")
    out = capsys.readouterr()
    assert SECRET not in out.out + out.err + (workspace / "done.json").read_text()
    assert "Bearer ***" in out.out


def test_the_end_is_told_once(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.report_completed()
    sdk.report_failed("UNKNOWN_ERROR", "a trainer that fails after its success")
    assert [body["status"] for body in platform.calls("done")] == ["succeeded"]


def test_a_temporary_failure_is_not_the_end(platform: Platform, sdk: TrainerSDK, workspace: Path) -> None:
    def unreachable(sdk: TrainerSDK) -> None:
        raise TrainerError("NETWORK_ERROR", "storage is away")

    assert sdk.run(unreachable) == 75
    assert platform.calls("done") == []
    assert [body["level"] for body in platform.calls("event")] == ["warning"]
    assert (workspace / "termination-log").read_text() == "NETWORK_ERROR: storage is away"


def test_a_closed_stdout_stops_nothing(
    platform: Platform, sdk: TrainerSDK, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stdout", closed)
    sdk.report_progress(1, 1, {"loss": 1.0})
    assert epochs(platform) == [1]
