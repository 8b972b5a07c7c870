"""What a job asks for, checked before the framework is loaded: hyperparameters, advanced keys, the primary metric."""

from __future__ import annotations

import difflib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from steps.train.ultralytics.failure import Failure

LOSSES = ("box_loss", "cls_loss", "dfl_loss", "l1_loss")  # the last one in yolo26 instead of dfl_loss
METRICS = (
    *(f"train/{loss}" for loss in LOSSES),
    *(f"val/{name}" for name in ("precision", "recall", "mAP50", "mAP50-95")),
    *(f"val/{loss}" for loss in LOSSES),
    "lr",
)
OPTIMIZERS = ("SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSprop", "auto")
TASKS = ("object_detection", "detection", "detect", "det")

# What the platform decides, and the field of the job that says it.
OWNED = {
    "epochs": "hyperparameters.epochs",
    "batch": "hyperparameters.batch",
    "imgsz": "hyperparameters.image_size",
    "lr0": "hyperparameters.learning_rate",
    "optimizer": "hyperparameters.optimizer",
    "seed": "hyperparameters.seed",
    "device": "resources.gpu",
    "time": "limits.total",
    "model": "model",
    "task": "task",
    "data": "dataset",
    "split": "split",
    "single_cls": "the classes of the dataset",
    "classes": "the classes of the dataset",
    **dict.fromkeys(
        ("mode", "project", "name", "exist_ok", "save_dir", "save", "save_period", "resume", "val", "verbose", "cfg"),
        "nothing: the platform decides it",
    ),
}
_UNIT = {"type": "number", "minimum": 0.0, "maximum": 1.0}
_GAIN = {"type": "number", "minimum": 0.0}
_COUNT = {"type": "integer", "minimum": 0}
_POSITIVE = {"type": "integer", "minimum": 1}
_FLAG = {"type": "boolean"}
_KINDS: dict[str, dict[str, Any]] = {
    "patience": _COUNT,
    "cache": {"type": ["boolean", "string"], "enum": [False, True, "ram"]},  # "disk" writes into the dataset
    "workers": _COUNT,
    "pretrained": _FLAG,
    "cls_remap": _FLAG,
    "channels_last": {"type": ["boolean", "null"]},
    "deterministic": _FLAG,
    "rect": _FLAG,
    "cos_lr": _FLAG,
    "close_mosaic": _COUNT,
    "amp": {"type": ["boolean", "string"], "enum": [True, False, "fp16", "bf16", "fp32"]},
    "fraction": {"type": ["number", "integer", "array"], "exclusiveMinimum": 0.0},
    "freeze": {"type": ["integer", "array", "null"]},
    "multi_scale": _UNIT,
    "conf": {"type": ["number", "null"], "minimum": 0.0, "maximum": 1.0},
    "iou": _UNIT,
    "max_det": _POSITIVE,
    "agnostic_nms": _FLAG,
    "plots": _FLAG,
    "lrf": _UNIT,
    "momentum": _UNIT,
    "weight_decay": _UNIT,
    "warmup_epochs": _GAIN,
    "warmup_momentum": _UNIT,
    "warmup_bias_lr": _UNIT,
    "box": _GAIN,
    "cls": _GAIN,
    "cls_pw": _UNIT,
    "dfl": _GAIN,
    "nbs": _POSITIVE,
    "hsv_h": _UNIT,
    "hsv_s": _UNIT,
    "hsv_v": _UNIT,
    "degrees": {"type": "number", "minimum": -360.0, "maximum": 360.0},
    "translate": _UNIT,
    "scale": {"type": ["number", "array"], "minimum": 0.0, "maximum": 1.0},
    "shear": {"type": "number", "minimum": -180.0, "maximum": 180.0},
    "perspective": _UNIT,
    "flipud": _UNIT,
    "fliplr": _UNIT,
    "bgr": _UNIT,
    "mosaic": _UNIT,
    "mixup": _UNIT,
    "cutmix": _UNIT,
}
_DEFAULTS_OF_OURS = {"plots": False}  # the framework's own plots cost seconds a job and nobody asked for them


@dataclass(frozen=True, kw_only=True)
class PrimaryMetric:
    """The metric that decides which epoch is the best one."""

    name: str
    mode: str

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the metric's value turned so that more is better."""
        value = float(metrics[self.name])
        return -value if self.mode == "min" else value


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Everything a job decides about its training."""

    model: str
    epochs: int
    batch: int
    image_size: int
    learning_rate: float
    optimizer: str
    seed: int
    device: str
    primary: PrimaryMetric
    advanced: Mapping[str, Any] = field(default_factory=dict)


def _package() -> Path:
    # Found, not imported: importing the framework loads torch, seconds that a typing error need not cost.
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise Failure("FRAMEWORK_ERROR", "the package ultralytics is not installed in this image")
    return Path(spec.origin).parent


def advanced_keys() -> dict[str, dict[str, Any]]:
    """Return every key advanced_config may hold: JSON Schema of its value, default and description."""
    text = (_package() / "cfg" / "default.yaml").read_text(encoding="utf-8")
    defaults = {**yaml.safe_load(text), **_DEFAULTS_OF_OURS}
    notes = dict(re.findall(r"^(\w+):[^#\n]*#\s*(?:\([^)]*\)\s*)?(.*)$", text, flags=re.MULTILINE))
    return {
        key: {**kind, "type": _types(kind), "default": defaults[key], "description": notes.get(key, "")}
        for key, kind in sorted(_KINDS.items())
    }


def _types(kind: Mapping[str, Any]) -> list[str]:
    return kind["type"] if isinstance(kind["type"], list) else [kind["type"]]


def models() -> list[str]:
    """Return the names of the detection models that can be built without any weights."""
    names: set[str] = set()
    for path in (_package() / "cfg" / "models").glob("*/yolo*.yaml"):
        found = re.fullmatch(r"(yolov?\d+)([a-z]?)(-p2|-p6|-spp|-tiny|-ghost)?", path.stem)
        if found is None:
            continue
        scales = yaml.safe_load(path.read_text(encoding="utf-8")).get("scales") or {}
        family, size, rest = found[1], found[2], found[3] or ""
        names |= {f"{family}{scale}{rest}" for scale in scales} if scales and not size else {path.stem}
    return sorted(names)


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}known: {', '.join([*near, *(k for k in known if k not in near)])}"


def check_advanced(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the advanced keys as given; raise one Failure that names everything wrong in them."""
    known = advanced_keys()
    problems: list[str] = []
    for key, value in given.items():
        if key in OWNED:
            problems.append(f"advanced_config.{key} is not for advanced_config; use {OWNED[key]}")
        elif key not in known:
            problems.append(f"advanced_config.{key} is unknown; {_nearest(key, list(known))}")
        elif wrong := _mismatch(value, known[key]):
            problems.append(f"advanced_config.{key} is {value!r} but must be {wrong}")
    if problems:
        raise Failure("CONFIG_ERROR", "; ".join(problems))
    return dict(given)


def _mismatch(value: object, kind: Mapping[str, Any]) -> str | None:
    types = _types(kind)
    python = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "null": value is None,
    }
    # 1 == True in Python, so that the type is asked first.
    if not any(python[name] for name in types):
        return f"of type {' or '.join(types)}"
    if "enum" in kind and value not in kind["enum"]:
        return "one of " + ", ".join(str(choice) for choice in kind["enum"])
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, above, high = kind.get("minimum"), kind.get("exclusiveMinimum"), kind.get("maximum")
        if (low is not None and value < low) or (above is not None and value <= above):
            return f"at least {low}" if low is not None else f"more than {above}"
        if not (high is None or value <= high):
            return f"at most {high}"
    return None


def primary_metric(name: str | None, mode: str | None) -> PrimaryMetric:
    """Return the metric that picks the best epoch; without a mode losses are minimised and the rest maximised."""
    name = name or "val/mAP50-95"
    # The framework's own spelling is understood as well: metrics/mAP50(B).
    wanted = re.sub(r"^metrics/(.*)\(B\)$", r"val/\1", name)
    if wanted not in METRICS:
        raise Failure("CONFIG_ERROR", f"primary_metric {name} is unknown; {_nearest(name, list(METRICS))}")
    mode = mode or ("min" if wanted.endswith("_loss") else "max")
    if mode not in ("min", "max"):
        raise Failure("CONFIG_ERROR", f"primary_metric_mode is {mode!r} but must be min or max")
    return PrimaryMetric(name=wanted, mode=mode)


def check_model(name: str, task: str) -> str:
    """Return the model's name; raise a Failure for a task or a model that this trainer does not know."""
    if task not in TASKS:
        raise Failure("CONFIG_ERROR", f"task {task} is not trained by this image; it trains object_detection")
    known = models()
    if name not in known:
        raise Failure("CONFIG_ERROR", f"model {name} is unknown for object_detection; {_nearest(name, known)}")
    return name


def read(*, basic: Mapping[str, Any], advanced: Mapping[str, Any], environ: Mapping[str, str]) -> Wanted:
    """Return what the job wants; raise Failure (CONFIG_ERROR) for anything this trainer would not do.

    `basic` and `advanced` are the SDK's; `environ` tells what was said from what was filled in.
    """
    said = json.loads(environ.get("CONFIG") or "{}")
    # "auto" takes a learning rate of its own: unasked for, that would lose the job's without a word.
    name = str(environ.get("OPTIMIZER") or said.get("optimizer") or "AdamW")
    optimizer = {known.lower(): known for known in OPTIMIZERS}.get(name.lower())
    if optimizer is None:
        raise Failure("CONFIG_ERROR", f"optimizer {name} is unknown; {_nearest(name, list(OPTIMIZERS))}")
    device = environ.get("DEVICE") or said.get("device") or ""
    if "," in str(device):
        raise Failure("CONFIG_ERROR", f"device {device}: this trainer uses one GPU; set resources.gpu to 1")
    return Wanted(
        model=check_model(environ.get("MODEL_NAME", ""), environ.get("TASK_TYPE") or "object_detection"),
        epochs=basic["epochs"],
        batch=basic["batch"],
        image_size=basic["imgsz"],
        learning_rate=basic["learning_rate"],
        optimizer=optimizer,
        seed=basic["seed"],
        device=str(device),
        primary=primary_metric(basic["primary_metric"], said.get("primary_metric_mode")),
        advanced=check_advanced(advanced),
    )
