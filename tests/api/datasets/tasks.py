"""What the tests of tasks share: how one is begun and looked at, and a program that is a script of their own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.settings import Settings

DATASETS = "/api/v1/datasets"
TASKS = f"{DATASETS}/pets/tasks"
NEVER = threading.Event()


class Scripted:
    """Tests whose program is a script of their own."""

    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"environments": tmp_path / "environments"})


def begin(client: TestClient, kind: str, status: int = 202, /, **options: Any) -> dict[str, Any]:
    answer = client.post(TASKS, json={"kind": kind, "options": options})
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


def told(client: TestClient, task: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{TASKS}/{task['id']}").json()
    return answer
