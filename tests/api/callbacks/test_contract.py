"""Every rule of the contract's HTTP table, from the API's side."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from api.auth import issue_job_token
from api.callbacks.bodies import BODY_LIMIT
from api.settings import Settings
from tests.api.callbacks.conftest import MakeTrainer, Trainer
from tests.api.factories import NOW, USER_TOKEN, Clock

PINNED = Path(__file__).parents[2] / "contract" / "v1"
TRACE = "5f1c0de5a9b84c0c9d9f4d4d2a3b7e11"
CALLS = {
    "heartbeat": {"epoch": 1},
    "event": {"event_type": "training_started", "message": "go"},
    "done": {"status": "succeeded"},
}

each_call = pytest.mark.parametrize("call", CALLS)


def pinned(call: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PINNED / f"{call}.json").read_text())
    return found


def examples() -> list[Any]:
    return [
        pytest.param(call, example["body"], id=f"{call}-{example['name']}")
        for call in CALLS
        for example in pinned(call)["examples"]
    ]


@pytest.mark.parametrize(("call", "body"), examples())
def test_every_pinned_example_is_accepted(make_trainer: MakeTrainer, call: str, body: dict[str, Any]) -> None:
    trainer = make_trainer(trace_id=TRACE)
    answer = trainer.call(call, body)
    assert answer.status_code == 200
    assert answer.json() in [told["body"] for told in pinned(call)["answers"]]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        pytest.param(example["text"], example["metrics_stored"], id=example["name"])
        for example in pinned("heartbeat")["raw_examples"]
    ],
)
def test_what_json_has_no_word_for_is_stored_as_null(
    make_trainer: MakeTrainer, text: str, stored: dict[str, Any]
) -> None:
    trainer = make_trainer(trace_id=TRACE)
    assert trainer.call("heartbeat", text.encode()).status_code == 200
    assert trainer.beats()[0].metrics == stored
    warned = {event.data["metric"] for event in trainer.events("metric_not_finite")}
    assert warned == {name for name, value in stored.items() if value is None}


@each_call
def test_the_pinned_path_is_where_we_listen(call: str) -> None:
    assert pinned(call)["path"] == f"/v1/jobs/{{JOB_ID}}/{call}"


@each_call
def test_without_a_token_401(trainer: Trainer, call: str) -> None:
    answer = trainer.call(call, CALLS[call], Authorization="")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["cure"]


@each_call
def test_the_users_token_is_none_of_a_job(trainer: Trainer, call: str) -> None:
    assert trainer.call(call, CALLS[call], Authorization=f"Bearer {USER_TOKEN}").status_code == 401


@each_call
def test_an_expired_token_401(trainer: Trainer, clock: Clock, call: str) -> None:
    body = CALLS[call] | {"trace_id": trainer.job.trace_id}
    assert trainer.call(call, body).status_code == 200
    clock.advance(3601)
    answer = trainer.call(call, body)
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


@each_call
def test_a_forged_token_401(trainer: Trainer, settings: Settings, call: str) -> None:
    kid = next(iter(settings.signing_keys))
    claims = {"sub": trainer.job.id, "scope": "training-callback", "attempt": 1, "iat": 1, "exp": 4_000_000_000}
    forged = jwt.encode(claims, "f" * 64, "HS256", headers={"kid": kid})
    assert trainer.call(call, CALLS[call], Authorization=f"Bearer {forged}").status_code == 401


@each_call
def test_the_token_of_another_job_401(make_trainer: MakeTrainer, call: str) -> None:
    one, other = make_trainer(), make_trainer()
    answer = one.call(call, CALLS[call], Authorization=f"Bearer {other.token}")
    assert answer.status_code == 401
    assert one.beats() == one.events() == []


@each_call
def test_a_wrong_scope_403(trainer: Trainer, settings: Settings, call: str) -> None:
    kid, key = next(iter(settings.signing_keys.items()))
    claims = {"sub": trainer.job.id, "scope": "export", "attempt": 1, "iat": 1, "exp": 4_000_000_000}
    token = jwt.encode(claims, key.get_secret_value(), "HS256", headers={"kid": kid})
    answer = trainer.call(call, CALLS[call], Authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@each_call
def test_an_unknown_job_404(trainer: Trainer, settings: Settings, call: str) -> None:
    token = issue_job_token(settings, "zzzzzzzz", 1, NOW + timedelta(hours=1))
    answer = trainer.client.post(
        f"/v1/jobs/zzzzzzzz/{call}",
        json=CALLS[call] | {"trace_id": "x"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@each_call
def test_another_trace_400_and_nothing_is_stored(trainer: Trainer, call: str) -> None:
    answer = trainer.call(call, CALLS[call] | {"trace_id": "another"})
    assert (answer.status_code, answer.json()["code"]) == (400, "trace_mismatch")
    assert trainer.beats() == trainer.events() == []
    assert trainer.told().done_status is None


@each_call
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b'{"trace_id": "x"', "body"),
        (b"\xff\xfe", "body"),
        (b'"text"', "body"),
        (b"null", "body"),
        (b"[" * 20_000, "body"),
        (b'{"trace_id": 7, "event_type": "x", "status": "failed"}', "trace_id"),
        (b'{"trace_id": "\\ud800", "event_type": "x", "status": "failed"}', "body"),
    ],
)
def test_a_malformed_body_422_names_the_field(trainer: Trainer, call: str, body: bytes, field: str) -> None:
    answer = trainer.call(call, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    ("call", "fields", "field"),
    [
        ("heartbeat", {"trace_id": None}, "trace_id"),
        ("heartbeat", {"epoch": "3"}, "epoch"),
        ("heartbeat", {"epoch": -1}, "epoch"),
        ("heartbeat", {"epoch": 1.5}, "epoch"),
        ("heartbeat", {"epoch": True}, "epoch"),
        ("heartbeat", {"epoch": 2**31}, "epoch"),
        ("heartbeat", {"total_epochs": []}, "total_epochs"),
        ("heartbeat", {"step": "x"}, "step"),
        ("heartbeat", {"total_steps": {}}, "total_steps"),
        ("heartbeat", {"progress": 100.5}, "progress"),
        ("heartbeat", {"progress": -0.1}, "progress"),
        ("heartbeat", {"progress": "50"}, "progress"),
        ("heartbeat", {"metrics": []}, "metrics"),
        ("heartbeat", {"metrics": {"loss": "low"}}, "metrics.loss"),
        ("heartbeat", {"metrics": {"loss": True}}, "metrics.loss"),
        ("heartbeat", {"metrics": {"loss": {"a": 1}}}, "metrics.loss"),
        ("event", {"event_type": None}, "event_type"),
        ("event", {"event_type": "x" * 65}, "event_type"),
        ("event", {"event_type": "two words"}, "event_type"),
        ("event", {"level": "loud"}, "level"),
        ("event", {"message": 7}, "message"),
        ("event", {"data": []}, "data"),
        ("done", {"status": None}, "status"),
        ("done", {"status": "running"}, "status"),
        ("done", {"final_metrics": [1]}, "final_metrics"),
        ("done", {"artifacts": "s3://b/best.pt"}, "artifacts"),
        ("done", {"training_time_seconds": "long"}, "training_time_seconds"),
        ("done", {"mlflow_run_id": 7}, "mlflow_run_id"),
        ("done", {"error": 7}, "error"),
    ],
)
def test_a_field_of_the_wrong_kind_422_names_it(
    trainer: Trainer, call: str, fields: dict[str, Any], field: str
) -> None:
    body = {"trace_id": trainer.job.trace_id} | CALLS[call] | fields
    answer = trainer.call(call, {name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert trainer.beats() == trainer.events() == []


def test_progress_that_is_no_number_422(trainer: Trainer) -> None:
    body = f'{{"trace_id": "{trainer.job.trace_id}", "progress": NaN}}'.encode()
    assert trainer.call("heartbeat", body).json()["errors"][0]["field"] == "progress"


def test_a_body_beyond_the_limit_413(trainer: Trainer) -> None:
    long = {"trace_id": trainer.job.trace_id, "note": "x" * BODY_LIMIT}
    answer = trainer.call("heartbeat", long)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    fits = {"trace_id": trainer.job.trace_id, "note": "x" * (BODY_LIMIT - 100)}
    assert trainer.call("heartbeat", fits).status_code == 200


def test_a_body_without_a_length_is_counted_too(trainer: Trainer) -> None:
    pieces = iter([b"x" * 1024] * (BODY_LIMIT // 1024 + 1))
    answer = trainer.client.post(f"/v1/jobs/{trainer.job.id}/heartbeat", content=pieces, headers=trainer.headers)
    assert answer.status_code == 413


def test_the_older_header_carries_the_same_token(trainer: Trainer) -> None:
    answer = trainer.client.post(
        f"/v1/jobs/{trainer.job.id}/heartbeat",
        json={"trace_id": trainer.job.trace_id},
        headers={"Authorization": "", "X-Internal-Auth": trainer.token},
    )
    assert answer.status_code == 200


def test_only_post_is_taken(trainer: Trainer) -> None:
    answer = trainer.client.get(f"/v1/jobs/{trainer.job.id}/heartbeat", headers=trainer.headers)
    assert answer.status_code == 405


def test_the_callbacks_are_documented(trainer: Trainer) -> None:
    paths = trainer.client.get("/openapi.json").json()["paths"]
    for call in CALLS:
        assert "requestBody" in paths[f"/v1/jobs/{{job_id}}/{call}"]["post"]
