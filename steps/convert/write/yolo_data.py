"""Writes data.yaml, which tells YOLO trainers where images lie and what the numbers mean."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from steps.convert.dataset import Dataset
from steps.convert.read.plain_yaml import YamlRefused, parse_yaml
from steps.convert.write.flip import flip_of_classes
from steps.convert.write.proof import ProofFailed


def data_yaml(dataset: Dataset, parts: Iterable[str], final: Path, *, pose: bool) -> str:
    """Gives the text; `final` is the place from where the dataset will be read."""
    lines = [f"path: {_quoted(str(final))}", *(f"{part}: images/{part}" for part in parts)]
    lines.append(f"nc: {len(dataset.classes)}")
    if pose and dataset.keypoints is not None:
        count = dataset.keypoints.shape[1]
        lines.append(f"kpt_shape: [{count}, 3]")
        # Without flip_idx the trainers mirror nothing, which is right where the sides are not known.
        if order := dataset.flip_idx or flip_of_classes(dataset.classes, count).order:
            lines.append(f"flip_idx: [{', '.join(map(str, order))}]")
    lines.append("names:")
    lines += [f"  {category.index}: {_quoted(category.name)}" for category in dataset.classes]
    if pose and any(category.keypoints for category in dataset.classes):
        lines.append("kpt_names:")
        for category in dataset.classes:
            names = ", ".join(_quoted(name) for name in category.keypoints)
            lines.append(f"  {category.index}: [{names}]")
    return "\n".join(lines) + "\n"


def prove_yaml(dataset: Dataset, text: str, *, pose: bool) -> None:
    """Reads data.yaml back; raises ProofFailed where its names or keypoints are not those of the labels' numbers."""
    try:
        value = parse_yaml(text)
    except YamlRefused as error:
        raise ProofFailed(f"data.yaml cannot be read back: {error}") from None
    said = value if isinstance(value, dict) else {}
    names = {str(category.index): category.name for category in dataset.classes}
    if said.get("names") != names or said.get("nc") != str(len(names)):
        raise ProofFailed(f"data.yaml was meant to name {names}, it names {said.get('names')}")
    if pose and dataset.keypoints is not None:
        count = dataset.keypoints.shape[1]
        flip = [int(str(number)) for number in said.get("flip_idx") or range(count)]
        # Mirrored twice, every point is where it was.
        if said.get("kpt_shape") != [str(count), "3"] or [flip[at] for at in flip] != [*range(count)]:
            raise ProofFailed(f"data.yaml says kpt_shape {said.get('kpt_shape')} and flip_idx {said.get('flip_idx')}")


def _quoted(text: str) -> str:
    # JSON strings are YAML strings, but for characters that YAML wants escaped.
    raw = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]", lambda m: f"\\u{ord(m.group()):04x}", raw)
