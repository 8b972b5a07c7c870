"""Trainers as the workflow runs them: a process, the contract's environment, a workspace with a converted dataset."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[2]
CLASSES = [{"index": 0, "id": 1, "name": "bolt"}, {"index": 1, "id": 7, "name": "nut"}]


def convert(workspace: Path, *, seed: int = 0) -> None:
    """Writes what the convert step leaves: flat bolts and tall nuts, 24 images to learn from and 8 to check."""
    rng = random.Random(seed)
    converted = workspace / "converted"
    ids: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for number in range(32):
        part = "train" if number < 24 else "val"
        ids[part].append(number + 1)
        lines = []
        for _ in range(3):
            index = rng.randrange(2)
            small, large = rng.uniform(0.05, 0.1), rng.uniform(0.2, 0.4)
            size = (small, large) if index else (large, small)
            lines.append(" ".join([str(index), *(f"{v:.6f}" for v in (rng.uniform(0.3, 0.7), 0.5, *size))]))
        labels = converted / "labels" / part
        labels.mkdir(parents=True, exist_ok=True)
        (labels / f"{number}.txt").write_text("\n".join(lines) + "\n")
    (converted / "data.yaml").write_text(
        f"path: {converted}\ntrain: images/train\nval: images/val\nnames: [bolt, nut]\n"
    )
    snapshot = {"snapshot_id": "snap_0123456789ab", "classes": CLASSES, "split": ids, "task": "object_detection"}
    (workspace / "snapshot.json").write_text(json.dumps(snapshot))
    (workspace / "dataset").mkdir()


def start(command: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
    """Starts a trainer with the contract's variables and nothing else."""
    return subprocess.Popen(
        command,
        cwd=REPO,
        env={"PATH": os.defpath, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], *, seconds: float = 60) -> tuple[int, str]:
    """Waits for a trainer; returns exit code and output."""
    out, _ = process.communicate(timeout=seconds)
    return process.returncode, out


def run(command: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Runs a trainer to its end; returns exit code and output."""
    return finish(start(command, environ))


TOY = [sys.executable, "-m", "steps.train.toy"]
