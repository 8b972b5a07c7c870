"""The demo's dataset: real digits, gaps in the ids, and never the same digit in train and val."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[3] / "workflows/examples/make_digits.py"


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_digits", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(root: Path) -> dict:
    return json.loads((root / "annotations_detection.json").read_text())


def content(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_dataset(digits: ModuleType, tmp_path: Path) -> None:
    first, second, other = (
        content(digits.make(tmp_path / name, scenes=(6, 2), size=96, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != other


def test_scenes_are_annotated_as_they_look(digits: ModuleType, tmp_path: Path) -> None:
    root = digits.make(tmp_path, scenes=(40, 20))
    value = load(root)
    assert [c["name"] for c in value["categories"]][:2] == ["__background__", "zero"]
    ids = [c["id"] for c in value["categories"]]
    assert len(ids) == 11
    assert ids == sorted(ids) != list(range(11))
    assert {i["width"] for i in value["images"]} == {160}
    parts = value["split_config"]["splits"]
    assert sorted(parts.values()) == ["train"] * 40 + ["val"] * 20
    by_image: dict[int, list] = {i["id"]: [] for i in value["images"]}
    for annotation in value["annotations"]:
        by_image[annotation["image_id"]].append(annotation["bbox"])
    negatives = [id_ for id_, boxes in by_image.items() if not boxes]
    assert {parts[str(id_)] for id_ in negatives} == {"train", "val"}
    assert max(map(len, by_image.values())) <= 5
    assert {a["category_id"] for a in value["annotations"]} == set(ids[1:])
    for image in value["images"]:
        pixels = np.asarray(Image.open(root / "images" / image["file_name"])).astype(int)
        paper = np.ones(pixels.shape, dtype=bool)
        for x, y, width, height in by_image[image["id"]]:
            assert pixels[y : y + height, x : x + width].min() < pixels[paper].mean() - 60
            paper[y : y + height, x : x + width] = False
        assert pixels[paper].min() > 140


def test_train_and_val_show_different_digits(
    digits: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt: list[set[int]] = []
    deal, deck = digits._Deck.deal, digits._Deck.__init__

    def opened(self, *arguments) -> None:
        dealt.append(set())
        deck(self, *arguments)

    def noted(self) -> int:
        dealt[-1].add(digit := deal(self))
        return digit

    monkeypatch.setattr(digits._Deck, "__init__", opened)
    monkeypatch.setattr(digits._Deck, "deal", noted)
    digits.make(tmp_path, scenes=(60, 60))
    train, val = dealt
    assert min(len(train), len(val)) > 100
    assert not train & val


def test_the_script_runs_and_its_dataset_is_sound(tmp_path: Path) -> None:
    root = tmp_path / "digits"
    subprocess.run([sys.executable, str(SCRIPT), str(root), "--scenes", "40", "20", "--seed", "3"], check=True)
    command = [sys.executable, "-m", "steps.convert", "check", str(root)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[2], check=False)
    report = json.loads(ran.stdout)
    assert (ran.returncode, report["errors"], report["split"]["source"]) == (0, [], "dataset")
    assert report["split"]["counts"] == {"train": 40, "val": 20, "test": 0, "left_out": 0}
    assert [c["index"] for c in report["classes"]] == list(range(10))
