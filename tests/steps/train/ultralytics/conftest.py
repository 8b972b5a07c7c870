"""A tiny detection dataset, a platform that listens, and the trainer as a process in its own environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

REPO = Path(__file__).resolve().parents[4]
PYTHON = REPO / ".venvs" / "ultralytics" / "bin" / "python"
NAMES = ("rect", "disc")
TRAIN, VAL, SIDE = 12, 6, 64


class Platform:
    """The three calls of the contract over real HTTP; what came is kept, `cancel` answers should_continue false."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.changed = threading.Condition()
        self.cancel = False
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                call = self.path.rsplit("/", 1)[1]
                with platform.changed:
                    platform.calls.append((call, body))
                    platform.changed.notify_all()
                answer = json.dumps({"status": "ok", "should_continue": not platform.cancel}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, wanted: Callable[[str, dict[str, Any]], bool], *, process: subprocess.Popen[str]) -> None:
        """Return as soon as a call is there that is wanted; fail when the trainer ends without it."""
        deadline = time.monotonic() + 200
        with self.changed:
            while not any(wanted(*call) for call in self.calls):
                assert process.poll() is None, process.communicate()[0][-3000:]
                assert time.monotonic() < deadline, self.calls[-3:]
                self.changed.wait(0.2)

    def of(self, call: str) -> list[dict[str, Any]]:
        return [body for name, body in self.calls if name == call]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [body for body in self.of("event") if kind in (None, body["event_type"])]

    def epochs(self) -> list[dict[str, Any]]:
        """The heartbeats that end an epoch."""
        return [body for body in self.of("heartbeat") if "val/mAP50" in (body.get("metrics") or {})]


@dataclass
class Job:
    """One job: its workspace, its storage, its environment, and what the platform heard of it."""

    root: Path
    platform: Platform
    config: dict[str, Any] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    epochs: int = 2
    batch: int = 4
    learning_rate: float = 0.002
    before: str = ""  # code that runs in the trainer's process before it
    output: str = ""

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def stored(self) -> Path:
        return self.root.parent / f"{self.root.name}-storage"

    def environment(self) -> dict[str, str]:
        config = {"optimizer": "AdamW", "seed": 0, "device": "cpu", **self.config}
        # close_mosaic inside the run, and a window of gradients (nbs / batch = 2) that straddles epochs of 3 batches
        settings = {"nbs": 8, "warmup_epochs": 1.0, "close_mosaic": 1, **config.get("advanced_config", {})}
        config["advanced_config"] = settings
        temporary = self.root.parent / f"{self.root.name}-tmp"
        temporary.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(temporary / "home"),
            "PYTHONPATH": str(REPO),
            "JOB_ID": "abcd2345",
            "TRACE_ID": "0" * 32,
            "BACKEND_BASE_URL": f"http://127.0.0.1:{self.platform.port}",
            "CALLBACK_TOKEN": "token-of-this-job",
            "TASK_TYPE": "object_detection",
            "MODEL_NAME": "yolo11n",
            "DATASET_ID": "tiny",
            "EPOCHS": str(self.epochs),
            "BATCH_SIZE": str(self.batch),
            "LEARNING_RATE": str(self.learning_rate),
            "IMAGE_SIZE": str(SIDE),
            "STORAGE_TYPE": "file",
            "STORAGE_BUCKET": "tiphys",
            "CHECKPOINTS_URI": self.stored.as_uri() + "/checkpoints/",
            "LOGS_URI": self.stored.as_uri() + "/logs/",
            "WORK_DIR": str(self.root),
            "TMP_DIR": str(temporary),
            "TERMINATION_LOG": str(temporary / "cause"),
            "ARGO_PROGRESS_FILE": str(temporary / "progress"),
            "OMP_NUM_THREADS": "2",
            "CONFIG": json.dumps(config),
            **self.more,
        }

    @property
    def cause(self) -> str:
        return Path(self.environment()["TERMINATION_LOG"]).read_text(encoding="utf-8")

    def start(self) -> subprocess.Popen[str]:
        module = "steps.train.ultralytics"
        run = f"{self.before}\nimport runpy\nrunpy.run_module({module!r}, run_name='__main__')"
        return subprocess.Popen(
            [PYTHON, "-c", run] if self.before else [PYTHON, "-m", module],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> int:
        try:
            self.output, _ = process.communicate(timeout=280)
        finally:
            process.kill()
        return process.returncode

    def train(self) -> int:
        return self.finish(self.start())

    def train_until(self, wanted: Callable[[str, dict[str, Any]], bool], sign: signal.Signals) -> int:
        """Start, wait for a call, send a signal, and return the exit code."""
        process = self.start()
        self.platform.wait_for(wanted, process=process)
        process.send_signal(sign)
        return self.finish(process)


def draw_dataset(folder: Path) -> None:
    """Write `converted/` and `snapshot.json` as the convert step does: bright shapes on noise."""
    random = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("val", VAL)):
        for kind in ("images", "labels"):
            (folder / "converted" / kind / split).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(random.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8))
            pen, lines = ImageDraw.Draw(image), []
            for index in range(2):
                half, x, y = (int(v) for v in (random.integers(7, 12), *random.integers(13, SIDE - 13, 2)))
                box = (x - half, y - half, x + half, y + half)
                (pen.rectangle if index == 0 else pen.ellipse)(box, fill=((230, 70, 40), (50, 220, 80))[index])
                lines.append(f"{index} {x / SIDE:.5f} {y / SIDE:.5f} {2 * half / SIDE:.5f} {2 * half / SIDE:.5f}")
            image.save(folder / "converted" / "images" / split / f"{number:03d}.png")
            label = folder / "converted" / "labels" / split / f"{number:03d}.txt"
            label.write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(NAMES))
    (folder / "converted" / "data.yaml").write_text(
        f"path: {folder / 'converted'}\ntrain: images/train\nval: images/val\nnames:\n{names}", encoding="utf-8"
    )
    classes = [{"index": index, "id": 3 + 4 * index, "name": name} for index, name in enumerate(NAMES)]
    (folder / "snapshot.json").write_text(json.dumps({"classes": classes}), encoding="utf-8")


@pytest.fixture(scope="module")
def new_job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Job]]:
    """Return a maker of jobs, each with a dataset, a storage and a platform of its own."""
    assert PYTHON.exists(), f"{PYTHON} is missing: set up the trainer's environment first (make setup)"
    platforms: list[Platform] = []

    def make(**fields: Any) -> Job:
        root = tmp_path_factory.mktemp("work")
        draw_dataset(root)
        platforms.append(Platform())
        return Job(root=root, platform=platforms[-1], **fields)

    yield make
    for platform in platforms:
        platform.close()


def inspect(job: Job, code: str) -> Any:
    """Run a few lines in the trainer's environment, with `run` as the run folder; return what they print as JSON."""
    text = f"import json, torch\nfrom pathlib import Path\nrun = Path({str(job.run)!r})\n{code}"
    done = subprocess.run([PYTHON, "-c", text], env=job.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
