"""Who gets in: the user's token, a job's token, and everything that only looks like one."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import jwt
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.auth import JobTokens, bearer, issue_job_token, verify_job_token
from api.errors import Forbidden, Unauthorized
from api.settings import Settings
from tests.api.factories import NOW, USER_TOKEN

LATER = NOW + timedelta(hours=1)


def signed(settings: Settings, **changes: Any) -> str:
    kid, key = next(iter(settings.signing_keys.items()))
    claims: dict[str, Any] = {
        "sub": "k7m2qz9x",
        "scope": "training-callback",
        "attempt": 1,
        "iat": int(NOW.timestamp()),
        "exp": int(LATER.timestamp()),
    }
    claims |= changes
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        key.get_secret_value(),
        "HS256",
        headers={"kid": kid},
    )


def test_a_token_says_what_the_contract_asks_for(settings: Settings) -> None:
    token = issue_job_token(settings, "k7m2qz9x", 2, LATER, issued_at=NOW)
    kid, key = next(iter(settings.signing_keys.items()))
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": kid, "typ": "JWT"}
    assert jwt.decode(token, key.get_secret_value(), ["HS256"], options={"verify_iat": False, "verify_exp": False}) == {
        "sub": "k7m2qz9x",
        "scope": "training-callback",
        "attempt": 2,
        "iat": int(NOW.timestamp()),
        "exp": int(LATER.timestamp()),
    }


def test_a_token_verifies_as_the_job_and_attempt_it_was_issued_for(settings: Settings) -> None:
    token = issue_job_token(settings, "k7m2qz9x", 2, LATER)
    claims = verify_job_token(settings, token, now=NOW.timestamp())
    assert (claims.job_id, claims.attempt, claims.expires_at) == ("k7m2qz9x", 2, LATER.timestamp())


def test_keys_rotate_by_kid(settings: Settings) -> None:
    old = issue_job_token(settings, "k7m2qz9x", 1, LATER)
    fresh = {"new": SecretStr("n" * 64)}
    rotated = settings.model_copy(update={"signing_keys": fresh | settings.signing_keys})
    assert verify_job_token(rotated, old, now=NOW.timestamp()).job_id == "k7m2qz9x"
    assert jwt.get_unverified_header(issue_job_token(rotated, "k7m2qz9x", 1, LATER))["kid"] == "new"
    without = settings.model_copy(update={"signing_keys": fresh})
    with pytest.raises(Unauthorized, match="unknown key"):
        verify_job_token(without, old, now=NOW.timestamp())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"exp": int(NOW.timestamp())}, Unauthorized),
        ({"exp": None}, Unauthorized),
        ({"exp": "soon"}, Unauthorized),
        ({"iat": None}, Unauthorized),
        ({"sub": None}, Unauthorized),
        ({"sub": 7}, Unauthorized),
        ({"attempt": None}, Unauthorized),
        ({"attempt": True}, Unauthorized),
        ({"attempt": 0}, Unauthorized),
        ({"attempt": "1"}, Unauthorized),
        ({"scope": "read"}, Forbidden),
        ({"scope": None}, Forbidden),
    ],
    ids=str,
)
def test_a_token_that_lacks_something_is_refused(
    settings: Settings, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        verify_job_token(settings, signed(settings, **changes), now=NOW.timestamp())


def test_a_forged_token_is_refused(settings: Settings) -> None:
    kid = next(iter(settings.signing_keys))
    header, body, signature = signed(settings).split(".")
    other = urlsafe_b64encode(json.dumps({"sub": "zzzzzzzz"}).encode()).decode().rstrip("=")
    none = urlsafe_b64encode(json.dumps({"alg": "none", "kid": kid}).encode()).decode().rstrip("=")
    claims = {"sub": "k7m2qz9x", "scope": "training-callback", "attempt": 1, "iat": 1, "exp": int(LATER.timestamp())}
    stranger = jwt.encode(claims, "x" * 64, "HS256", headers={"kid": kid})
    other_algorithm = jwt.encode(claims, settings.signing_keys[kid].get_secret_value(), "HS512", headers={"kid": kid})
    for token in (
        f"{header}.{other}.{signature}",
        f"{none}.{body}.",
        f"{header}.{body}.",
        stranger,
        other_algorithm,
        "",
        "a.b.c",
        "not a token",
        "ü.ü.ü",
        signed(settings) + "x",
    ):
        with pytest.raises(Unauthorized):
            verify_job_token(settings, token, now=NOW.timestamp())


def test_a_token_of_another_job_is_refused_even_when_it_is_remembered(settings: Settings) -> None:
    tokens = JobTokens(settings, clock=NOW.timestamp)
    token = issue_job_token(settings, "k7m2qz9x", 1, LATER)
    assert tokens.verify(token, job_id="k7m2qz9x").attempt == 1
    with pytest.raises(Unauthorized, match="not one of job zzzzzzzz"):
        tokens.verify(token, job_id="zzzzzzzz")
    with pytest.raises(Unauthorized, match="no job token"):
        tokens.verify(None, job_id="k7m2qz9x")


def test_a_remembered_token_still_expires(settings: Settings) -> None:
    moment = [NOW.timestamp()]
    tokens = JobTokens(settings, clock=lambda: moment[0])
    token = issue_job_token(settings, "k7m2qz9x", 1, LATER)
    tokens.verify(token, job_id="k7m2qz9x")
    moment[0] = LATER.timestamp()
    for _ in range(2):
        with pytest.raises(Unauthorized, match="expired"):
            tokens.verify(token, job_id="k7m2qz9x")


def test_the_memory_of_tokens_is_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.auth._CACHED_TOKENS", 3)
    tokens = JobTokens(settings, clock=NOW.timestamp)
    for attempt in range(1, 9):
        tokens.verify(issue_job_token(settings, "k7m2qz9x", attempt, LATER), job_id="k7m2qz9x")
    assert len(tokens._known) == 3


@pytest.mark.parametrize(
    ("authorization", "internal", "token"),
    [
        ("Bearer abc", None, "abc"),
        ("bearer abc", None, "abc"),
        ("Basic abc", None, None),
        ("Bearer ", None, None),
        (None, "abc", "abc"),
        ("Basic abc", "def", "def"),
        (None, " ", None),
        (None, None, None),
    ],
)
def test_where_a_token_stands(authorization: str | None, internal: str | None, token: str | None) -> None:
    assert bearer(authorization, internal) == token


@pytest.mark.parametrize("path", ["/api/v1/training/jobs", "/api/v1/datasets", "/api/v1/trainer/frameworks"])
@pytest.mark.parametrize(
    "header", ["", "Bearer wrong", "Bearer", f"Basic {USER_TOKEN}", f"Bearer {USER_TOKEN}x", "Bearer ü"]
)
def test_people_need_the_user_token(client: TestClient, path: str, header: str) -> None:
    answer = client.get(path, headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"
    assert answer.json()["cure"]
    assert USER_TOKEN not in answer.text


def test_the_user_token_opens_what_is_for_people(client: TestClient) -> None:
    assert client.get("/api/v1/datasets").status_code == 200


def test_a_job_token_does_not_open_what_is_for_people(client: TestClient, settings: Settings) -> None:
    token = issue_job_token(settings, "k7m2qz9x", 1, LATER)
    assert client.get("/api/v1/datasets", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_without_a_user_token_the_door_is_locked(client: TestClient) -> None:
    client.app.state.platform.settings.user_token = None  # type: ignore[attr-defined]  # the app is a FastAPI
    for header in ("Bearer ", "Bearer x"):
        assert client.get("/api/v1/datasets", headers={"Authorization": header}).status_code == 401
