"""Writes the settings of the installed ultralytics that a job may set: run it with the trainer's own interpreter.

.venvs/ultralytics/bin/python workflows/frameworks/advanced_keys.py > workflows/frameworks/ultralytics_advanced.json
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

TRAINING_SECTIONS = ("Train settings", "Segmentation", "Classification", "Val/Test settings", "Hyperparameters")

# Left to the platform (places, names, what the job says itself), or without a meaning in a training here.
OWNED = """
    model data epochs time batch imgsz save save_period device project name exist_ok optimizer verbose seed resume
    profile lr0 single_cls val split save_json quantize dnn plots nms overlap_mask mask_ratio dropout distill_model dis
    pose kobj rle angle dlog dgrad dlam copy_paste copy_paste_mode auto_augment erasing
"""

LINE = re.compile(r"^(?P<key>\w+):\s*(?P<default>[^#]*?)\s*#\s*\((?P<types>[^)]*)\)\s*(?P<text>.*)$")
TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "list": "array", "tuple": "array"}


def main() -> int:
    """Prints the list as JSON."""
    # Located, not imported: importing it loads torch, and beside this file lies a module of the same name.
    try:
        installed = importlib.metadata.distribution("ultralytics")
    except importlib.metadata.PackageNotFoundError:
        print("ultralytics is not installed in this environment", file=sys.stderr)
        return 1
    cfg = Path(str(installed.locate_file("ultralytics/cfg")))
    document = {
        "ultralytics": installed.version,
        "keys": keys((cfg / "default.yaml").read_text(), constants((cfg / "__init__.py").read_text())),
    }
    print(json.dumps(document, indent=1, ensure_ascii=False))
    return 0


def keys(text: str, checks: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns one JSON Schema property, with its key, for each setting of `default.yaml` that is the user's."""
    found, section, owned = [], "", OWNED.split()
    for line in text.splitlines():
        if line.startswith("# ") and line.rstrip().endswith("---"):
            section = line.strip("# -")
        match = LINE.match(line)
        if match and section.startswith(TRAINING_SECTIONS) and match["key"] not in owned:
            found.append(describe(match, checks))
    return sorted(found, key=lambda item: item["key"])


def describe(match: re.Match[str], checks: dict[str, Any]) -> dict[str, Any]:
    """Returns one setting with its type, default and the bounds that ultralytics checks itself."""
    key = match["key"]
    types = [TYPES[word.strip()] for word in re.split(r"[|,]", match["types"]) if word.strip() in TYPES]
    default = yaml.safe_load(match["default"]) if match["default"] else None
    if default is None and "null" not in types:
        types.append("null")
    if key in checks["CFG_BOOL_KEYS"] or key == "pretrained":
        # As text it would name a file of weights, and weights come from storage alone.
        types = [word for word in types if word != "string"]
    entry: dict[str, Any] = {"key": key, "type": types, "default": default, "description": match["text"].strip()}
    if key in checks["CFG_FRACTION_KEYS"] and key != "fraction":
        entry |= {"minimum": 0, "maximum": 1}
    if key in checks["CFG_INT_MIN"]:
        entry["minimum"] = checks["CFG_INT_MIN"][key]
    return entry


def constants(source: str) -> dict[str, Any]:
    """Returns the module-level CFG_* literals of ultralytics' configuration module, read without running it."""
    found: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id.startswith("CFG_")
        ):
            value = node.value
            if isinstance(value, ast.Call) and value.args:  # frozenset({...})
                value = value.args[0]
            if isinstance(value, ast.Set | ast.Dict):
                found[node.targets[0].id] = ast.literal_eval(value)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
