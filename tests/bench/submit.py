"""Prints how fast jobs are accepted over HTTP, next to the floor: the same server answering /health."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

TIPHYS = Path(sys.executable).with_name("tiphys")
JOBS, CLIENTS = 1000, 4
RATE_GOAL, P95_GOAL = 100.0, 50.0


def measure(call, count: int) -> tuple[float, float]:
    """Requests a second and the 95th percentile of their latency, ms."""
    latencies: list[float] = []

    def one(_: int) -> None:
        began = time.perf_counter()
        call().raise_for_status()
        latencies.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(count)))
    return count / (time.perf_counter() - began), sorted(latencies)[int(0.95 * count)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, data = Path(folder) / "home", Path(folder) / "digits"
        script = Path(__file__).parents[2] / "workflows" / "examples" / "make_digits.py"
        subprocess.run([sys.executable, script, data, "--scenes", "4", "2"], check=True, capture_output=True)
        subprocess.run([TIPHYS, "--home", home, "up", "-d", "--port", "0"], check=True, capture_output=True)
        try:
            url = json.loads((home / "api.json").read_text())["url"]
            headers = {"Authorization": "Bearer " + (home / "token").read_text()}
            body = {"framework": "toy", "model": "softmax", "dataset": str(data), "hyperparameters": {"epochs": 1}}
            with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
                # Recorded only: what is measured is accepting, not the machine's two cores training.
                path = "/api/v1/training/jobs?start=false"
                measure(lambda: http.post(path, json=body), 50)
                floor_rate, floor_p95 = measure(lambda: http.get("/health"), JOBS)
                rate, p95 = measure(lambda: http.post(path, json=body), JOBS)
        finally:
            subprocess.run([TIPHYS, "--home", home, "down"], check=True, capture_output=True)
    print(f"submit   {rate:7.0f} jobs/s   p95 {p95:5.1f} ms   goal >= {RATE_GOAL:.0f}/s, p95 < {P95_GOAL:.0f} ms")
    print(f"/health  {floor_rate:7.0f} req/s    p95 {floor_p95:5.1f} ms   ratio {floor_rate / rate:.2f}")


if __name__ == "__main__":
    main()
