"""The older guides' sample trainers, taken out of their texts where those lie beside the repository."""

from __future__ import annotations

import contextlib
import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

SEEDS = Path(__file__).parents[5] / "shared" / "seeds"
GUIDE, PLUGIN = SEEDS / "custom-trainer-sdk.txt", SEEDS / "plugin-guide.txt"

# What a guide's text leaves open, and the call that it leaves to the reader.
DRIVER = """
import pathlib, sys, traceback

def train_one_epoch(_):
    for name in ("best", "last"):
        pathlib.Path(f"/tmp/{name}.pt").write_text(name)
    return {"loss": 0.5, "accuracy": 0.75, "lr": 0.01}

names = {"__name__": "sample", "dataset_id": "digits", "epochs": 3, "traceback": traceback}
names["train_one_epoch"] = train_one_epoch
exec(compile(pathlib.Path(__file__).with_name("sample.txt").read_text(), "sample", "exec"), names)
sys.exit(names["main"]() or 0)
"""


def present() -> bool:
    """Tells whether the texts are on this machine."""
    return GUIDE.is_file() and PLUGIN.is_file()


def sample(text: Path, *signs: str) -> str:
    """Returns the one fenced Python block of a text that is a trainer and holds all signs."""
    blocks = re.findall(r"```python\n(.*?)```", text.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if "def main():" in block and all(sign in block for sign in signs))
    return found


@contextlib.contextmanager
def in_tmp() -> Iterator[None]:
    """The guides write to /tmp by name: one at a time over all test processes, and what they leave goes again."""
    with Path("/tmp/.tiphys-guides.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            for name in ("best.pt", "last.pt", "dataset.zip"):
                Path("/tmp", name).unlink(missing_ok=True)
