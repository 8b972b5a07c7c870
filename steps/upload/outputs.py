"""Sorts what a trainer left in its run folder into checkpoints, their companions and logs."""

import re
from dataclasses import dataclass
from pathlib import Path

CHECKPOINT = re.compile(r"(best|last|epoch[_-]?(\d+))\.[A-Za-z0-9]{1,12}")
# Reports may be called best.* too; what has one of these suffixes is no model.
NOT_WEIGHTS = frozenset(
    {".txt", ".csv", ".yaml", ".yml", ".md", ".png", ".jpg", ".jpeg", ".log", ".html", ".part", ".unusable"}
)
EXPORTS = frozenset({".onnx", ".engine", ".torchscript", ".tflite"})  # made of a checkpoint, and no way back
COMPANIONS = frozenset({"classes.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """A run's files: checkpoints by kind, companions that belong beside them, and the rest by relative name."""

    checkpoints: dict[str, Path]
    companions: dict[str, Path]
    logs: dict[str, Path]


def checkpoint_kind(name: str) -> str | None:
    """Gives best, last or epoch_N for the name of a checkpoint file, None for any other."""
    found = CHECKPOINT.fullmatch(name)
    if not found or Path(name).suffix.lower() in NOT_WEIGHTS:
        return None
    return f"epoch_{int(found[2])}" if found[2] else found[1]


def exported(name: str) -> bool:
    """Tells whether a checkpoint's name is that of an export, which stands back behind the weights themselves."""
    return Path(name).suffix.lower() in EXPORTS


def sort_outputs(run: Path) -> Outputs:
    """Sorts the files below `run`; links, hidden files and copies of weights in subfolders are left out.

    A second file of one kind, such as best.onnx next to best.pt, is a companion.
    """
    sorted_ = Outputs(checkpoints={}, companions={}, logs={})
    for path in sorted(run.rglob("*"), key=lambda path: (exported(path.name), path)) if run.is_dir() else ():
        name = path.relative_to(run).as_posix()
        if path.is_symlink() or not path.is_file() or any(part.startswith(".") for part in Path(name).parts):
            continue
        kind = checkpoint_kind(path.name)
        if kind and name in {path.name, f"weights/{path.name}"}:
            first = sorted_.checkpoints.setdefault(kind, path)
            if first.suffix != path.suffix:
                sorted_.companions.setdefault(path.name, path)
        elif name in COMPANIONS:
            sorted_.companions[name] = path
        elif not kind:
            sorted_.logs[name] = path
    return sorted_
