"""Datasets end to end: every layout gives the same training data; real flaws are named, mended and trained on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import REPO, Platform
from tests.steps.convert.corpus.layouts import HOLDS, write
from tests.steps.convert.corpus.sample import Sample, sample
from tests.steps.download.running import step_python

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
BCCD = REPO.parent / "shared" / "data" / "bccd"
TRAINER = REPO / ".venvs" / "ultralytics" / "bin" / "python"
IMAGE_SIZE = 64
# What a layout cannot carry itself, a job's split says; images are numbered alike everywhere.
SPLITLESS = frozenset({"D2", "COCO"})


def convert(root: Path, out: Path, task: str, *words: str) -> dict[str, Any]:
    """Convert with the program that jobs run."""
    command = [step_python(), "-m", "steps.convert", "convert", root, out, "--to", "yolo", "--task", task, *words]
    done = subprocess.run(list(map(str, command)), cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return dict(json.loads(done.stdout))


def training_data(folder: Path) -> dict[str, bytes]:
    """What a trainer reads: every image and label, and data.yaml but for where it lies."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = {name: content for name, content in found.items() if name.split("/")[0] in ("images", "labels", "data.yaml")
             or name.split("/")[0] in ("train", "val", "test")}  # fmt: skip
    if "data.yaml" in found:
        lines = found["data.yaml"].splitlines(keepends=True)
        found["data.yaml"] = b"".join(line for line in lines if not line.startswith(b"path:"))
    return found


def job_split(of: Sample) -> str:
    splits = {str(number): picture.part for number, picture in enumerate(of.pictures, 1)}
    return json.dumps({"method": "manual", "splits": splits})


@pytest.mark.parametrize("task", HOLDS)
def test_the_same_pictures_in_every_layout_give_the_same_training_data(tmp_path: Path, task: str) -> None:
    """Labels, image names and bytes, class names and split are identical, whatever the layout numbers or nests."""
    pictures = sample(12, classes=("bolt", "nut", "washer"), one_each=task == "image_classification")
    odd = Sample(pictures.classes, (3, 7, 40), pictures.pictures)
    found = {}
    for layout in HOLDS[task]:
        own_ids = layout in {"D1", "D2", "COCO"}
        root = write(layout, tmp_path / layout / "dataset", odd if own_ids else pictures, task)
        words = ("--split", job_split(pictures)) if layout in SPLITLESS else ()
        record = convert(root, tmp_path / layout / "yolo", task, *words)
        assert record["layout"] == layout
        found[layout] = training_data(tmp_path / layout / "yolo")
        if layout == "ImageFolder":
            # There the class is a part of the name.
            found[layout] = {name.replace(f"/{name.split('/')[1]}__", "/"): c for name, c in found[layout].items()}
        if task == "pose_estimation":
            # The names of keypoints stand in documents alone; what is trained on does not hold them.
            found[layout].pop("data.yaml")
    first = found.pop("D1")
    assert sum("train" in name for name in first) >= 9
    assert sum("val" in name for name in first) >= 3
    for layout, data in found.items():
        assert data.keys() == first.keys(), layout
        assert [name for name in data if data[name] != first[name]] == [], layout


def test_a_split_by_seed_is_the_same_in_every_layout(tmp_path: Path) -> None:
    """Ids, not the order or the form of a document, decide who is trained on."""
    pictures, found = sample(20), {}
    for layout in ("D1", "D2", "D3", "COCO", "VOC"):
        root = write(layout, tmp_path / layout / "dataset", pictures)
        convert(root, tmp_path / layout / "yolo", "detection", "--split", '{"method": "auto", "seed": 5}')
        found[layout] = training_data(tmp_path / layout / "yolo")
    assert all(data == found["D1"] for data in found.values())


def trained_names(platform: Platform, body: dict[str, Any], folder: Path) -> dict[int, str]:
    """Train for an epoch and ask the weights themselves what they predict."""
    job_id = platform.submit(body)
    job = platform.ended(job_id, seconds=600)
    assert job["state"] == "succeeded", job
    platform.tiphys("job", "checkpoints", job_id, "--get", "best", "--to", folder)
    code = "import json, sys; from ultralytics import YOLO; print(json.dumps(YOLO(sys.argv[1]).names))"
    environment = {"YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(folder), "PATH": "/usr/bin:/bin"}
    [weights] = folder.glob("best*.pt")
    done = subprocess.run([TRAINER, "-c", code, weights], env=environment, capture_output=True, text=True, check=True)
    return {int(index): name for index, name in json.loads(done.stdout.splitlines()[-1]).items()}


def yolo_job(dataset: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "proof", "framework": "ultralytics", "model": "yolo11n", "dataset": dataset,
        "hyperparameters": {"epochs": 1, "batch": 8, "image_size": IMAGE_SIZE, "seed": 0},
        "resources": {"gpu": 0, "cpu": 2}, **more,
    }  # fmt: skip


@pytest.mark.trains
def test_a_model_names_its_classes_as_the_dataset_does(platform: Platform, tmp_path: Path) -> None:
    """Ids with gaps, in no order, a background in their midst: class ids are proven by the weights' own names."""
    classes = ("zebra", "ant", "moth", "볼트")
    pictures = sample(12, classes=classes, ids=(900, 2, 31, 7))
    root = write("D1", tmp_path / "odd", pictures)
    platform.tiphys("dataset", "add", root, "--id", "odd")
    shown = platform.json("dataset", "show", "odd")
    in_order = [name for _, name in sorted(zip(pictures.ids, pictures.classes, strict=True))]
    assert [c["name"] for c in shown["classes"]] == in_order
    names = trained_names(platform, yolo_job("odd"), tmp_path)
    assert names == dict(enumerate(in_order))


@pytest.mark.trains
@pytest.mark.skipif(not BCCD.is_dir(), reason="BCCD's images lie beside the repository only where it is developed")
def test_bccd_is_named_mended_and_trained_on(platform: Platform, tmp_path: Path) -> None:
    """Real pictures with real flaws: told by name, repaired into a copy, clean then, and yolo11n trains on them."""
    added = platform.tiphys("dataset", "add", BCCD, "--id", "bccd", check=False)
    assert added.returncode != 0, "BCCD has boxes without area and outside their images"
    assert "VOC" in added.stdout
    report = json.loads(platform.tiphys("dataset", "check", "bccd", "--json", check=False).stdout)
    errors = sorted((problem["code"], problem["file"]) for problem in report["errors"])
    assert errors == [("box_empty", f"Annotations/BloodImage_00{number}.xml") for number in (338, 343)]
    doubts = {problem["code"] for problem in report["warnings"]}
    assert doubts >= {"box_repeated", "box_size_odd"}, "boxes drawn twice, and cells of the wrong class"
    assert all(problem["cure"] for problem in [*report["errors"], *report["warnings"]])
    platform.tiphys("dataset", "add", BCCD, "--id", "bccd-clean", "--fix", timeout=300)
    clean = platform.json("dataset", "check", "bccd-clean")
    assert (clean["layout"], clean["errors"]) == ("D1", [])
    assert [c["name"] for c in clean["classes"]] == ["Platelets", "RBC", "WBC"]
    assert clean["counts"]["images"] == report["counts"]["images"] == 364
    # Two stray clicks are gone, and the second of seven boxes that were pasted over themselves.
    assert (report["counts"]["annotations"], clean["counts"]["annotations"]) == (4888, 4888 - 2 - 7)
    assert clean["split"]["counts"] == {"train": 205, "val": 87, "test": 72, "left_out": 0}
    names = trained_names(platform, yolo_job("bccd-clean"), tmp_path)
    assert names == {0: "Platelets", 1: "RBC", 2: "WBC"}
