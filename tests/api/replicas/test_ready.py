"""How the platform tells of its reconciler where that is another machine's process: by the lease, not by a file."""

from __future__ import annotations

import threading
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import text

from api.db import Database
from api.reconciler.lease import Lease, whoami
from api.settings import Settings


def reconciler(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/ready").json()["checks"]["reconciler"]
    return found


def later(database: Database, seconds: int) -> None:
    """As if so much time had gone by."""
    with database.engine.begin() as connection:
        moved = ", ".join(f"{name} = {name} - make_interval(secs => {seconds})" for name in ("until", "looked_at"))
        connection.execute(text(f"UPDATE leases SET {moved}"))


def test_the_holder_of_the_lease_is_named(client: TestClient, database: Database) -> None:
    assert "never seen" in reconciler(client)["message"]
    lease = Lease(database, seconds=30, over=threading.Event())
    lease.take()
    assert reconciler(client) == {"ok": True, "message": f"seen 0 s ago, on {whoami()}"}
    later(database, 14)
    assert reconciler(client)["ok"]
    later(database, 3)
    found = reconciler(client)
    assert not found["ok"]
    assert "last seen 17 s ago" in found["message"]


def test_a_takeover_is_no_outage(client: TestClient, database: Database) -> None:
    lease = Lease(database, seconds=5, over=threading.Event())
    lease.take()
    lease.give_back()
    assert reconciler(client)["ok"]
    assert "(gone)" in reconciler(client)["message"]


def test_a_file_in_the_home_folder_proves_nothing(client: TestClient, settings: Settings) -> None:
    (settings.resolved_home() / "reconciler.alive").touch()
    assert not reconciler(client)["ok"]


def test_its_age_is_told_to_prometheus(client: TestClient, database: Database) -> None:
    assert "tiphys_reconciler_last_look_seconds" not in client.get("/metrics").text
    Lease(database, seconds=30, over=threading.Event()).take()
    later(database, 7)
    (line,) = [
        n for n in client.get("/metrics").text.splitlines() if n.startswith("tiphys_reconciler_last_look_seconds ")
    ]
    assert 7 <= float(line.split()[1]) < 30
