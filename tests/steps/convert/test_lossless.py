"""Random datasets go from DICE to every target and back, and say the same as before."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from steps.convert.check.inspection import Inspection, inspect
from steps.convert.dataset import TEST, TRAIN, VAL, Dataset
from steps.convert.read.reading import read
from steps.convert.write.runs import pixels
from steps.convert.write.target import check_target, write_target
from tests.steps.convert.making import write
from tests.steps.convert.write.random_documents import WORDS, documents

PARTS = {"train": TRAIN, "val": VAL, "test": TEST}
CLOSE = 2e-6  # shares of a side: what six decimals of centre and extent can say of an edge
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class World:
    """One drawn dataset on the disk, inspected, and written as a target."""

    def __init__(self, folder: Path, drawn: dict[str, Any], task: str, target: str) -> None:
        self.task, self.value, self.parts = task, drawn["document"], drawn["parts"]
        root = write(folder / "ds", self.value, name=f"annotations_{WORDS[task]}.json")
        split = {"method": "manual", "splits": self.parts}
        self.found: Inspection = inspect(root, task=task, split=split, target=target, everything=True)
        assert self.found.sound, [problem.line() for problem in self.found.problems]
        assert self.found.dataset is not None
        assert self.found.split is not None
        self.dataset: Dataset = self.found.dataset
        self.out = folder / "out"
        self.written = self.make(target, self.out)
        again = folder / "again"
        self.make(target, again)
        assert tree(self.out) == tree(again), "a second conversion differs"
        proof = self.written["proof"]
        assert proof["checksum_in"] == proof["checksum_out"]
        assert proof["counts"]["in"] == proof["counts"]["out"]

    def make(self, target: str, folder: Path) -> dict[str, Any]:
        assert self.found.split is not None
        return write_target(
            self.dataset, self.found.split, self.found.files, target=target, folder=folder, final=self.out
        )

    def images(self) -> dict[str, dict[str, Any]]:
        """Gives each image of the split by the digest of its file, with the annotations of the document."""
        by_id: dict[int, dict[str, Any]] = {}
        for image, file in zip(self.value["images"], self.found.files, strict=True):
            if "metadata" not in image:
                by_id[image["id"]] = {**image, "digest": file.digest, "part": self.parts[str(image["id"])], "own": []}
        background = {c["id"] for c in self.value["categories"] if c["name"].strip("_") == "background"}
        for one in self.value["annotations"]:
            if one["category_id"] not in background:
                by_id[one["image_id"]]["own"].append(one)
        return {image["digest"]: image for image in by_id.values()}

    def index_of(self) -> dict[int, int]:
        """Gives the class index by category id, as the specification has it."""
        names = {c["id"]: c["name"] for c in self.value["categories"]}
        trained = sorted(id_ for id_, name in names.items() if name.strip("_") != "background")
        known = json.loads((self.out / "classes.json").read_text())[: len(trained)]
        told = [(row["index"], row["id"], row["name"]) for row in known]
        assert told == [(at, id_, names[id_]) for at, id_ in enumerate(trained)]
        return {id_: at for at, id_ in enumerate(trained)}

    def back(self) -> tuple[Dataset, dict[str, int]]:
        """Reads the target with the reader of its layout; gives the dataset and its image rows by digest."""
        dataset = read(self.out, task=self.task, everything=True).dataset
        files = {path.name: path for path in (self.out / "images").rglob("*.*") if path.is_file()}
        return dataset, {digest(files[Path(name).name]): row for row, name in enumerate(dataset.image_names)}

    def left_out(self, kind: str) -> int:
        return int(self.written["proof"]["left_out"].get(kind, {"count": 0})["count"])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): digest(path) for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return lambda: tmp_path_factory.mktemp("lossless")


def single(own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in own if not one.get("iscrowd")]


def compare_rows(world: World, wanted: Any) -> Any:
    """Yields each image with its annotations and those rows of the dataset that was read back."""
    dataset, rows = world.back()
    images = world.images()
    assert rows.keys() == images.keys()
    index_of = world.index_of()
    assert dataset.image_parts is not None
    for key, row in rows.items():
        image, own = images[key], wanted(images[key]["own"])
        here = np.flatnonzero(dataset.annotation_image == row)
        assert dataset.image_parts[row] == PARTS[image["part"]]
        assert dataset.image_labeled[row]
        assert dataset.annotation_class[here].tolist() == [index_of[one["category_id"]] for one in own]
        yield image, own, dataset, here


def same_boxes(image: dict[str, Any], own: list[dict[str, Any]], found: np.ndarray) -> None:
    meant = np.array([one["bbox"] for one in own]).reshape(-1, 4)
    sides = np.array([image["width"], image["height"]] * 2)
    assert np.abs((found - meant) / sides).max(initial=0) < CLOSE


@given(drawn=documents("object_detection"))
@EXAMPLES
def test_yolo_detect(folder: Any, drawn: dict[str, Any]) -> None:
    world = World(folder(), drawn, "object_detection", "yolo")
    crowd = 0
    for image, own, dataset, rows in compare_rows(world, single):
        same_boxes(image, own, dataset.boxes[rows])
        crowd += len(image["own"]) - len(own)
    assert world.left_out("crowd") == crowd


@given(drawn=documents("instance_segmentation"))
@EXAMPLES
def test_yolo_segment(folder: Any, drawn: dict[str, Any]) -> None:
    world = World(folder(), drawn, "instance_segmentation", "yolo")
    joined = 0
    for image, own, dataset, rows in compare_rows(world, single):
        outlines, size = dataset.outlines, (image["height"], image["width"])
        for one, row in zip(own, rows.tolist(), strict=True):
            assert outlines is not None
            first = outlines.first_ring[row]
            assert outlines.first_ring[row + 1] == first + 1
            ring = outlines.points[outlines.first_point[first] : outlines.first_point[first + 1]]
            shape = one["segmentation"]
            if isinstance(shape, list) and len(shape) == 1:
                meant = np.array(shape[0]).reshape(-1, 2)
                assert np.abs((ring - meant) / size[::-1]).max() < CLOSE
            else:
                meant = mask_of(shape, size)
                # A corner may move by a millionth over the centre of a pixel.
                assert (mask_of([ring.reshape(-1).tolist()], size) != meant).sum() <= 1
                joined += 1
    told = world.written["proof"]["changed"]
    kinds = ("masks_followed", "parts_joined", "parts_overlap")
    assert sum(told.get(kind, {"count": 0})["count"] for kind in kinds) == joined


@given(drawn=documents("pose_estimation"))
@EXAMPLES
def test_yolo_pose(folder: Any, drawn: dict[str, Any]) -> None:
    world = World(folder(), drawn, "pose_estimation", "yolo")
    for image, own, dataset, rows in compare_rows(world, single):
        same_boxes(image, own, dataset.boxes[rows])
        for one, row in zip(own, rows.tolist(), strict=True):
            assert dataset.keypoints is not None
            points = np.zeros(dataset.keypoints.shape[1:])
            given_ = np.array(one.get("keypoints", [])).reshape(-1, 3)
            points[: len(given_)] = given_
            found = np.nan_to_num(dataset.keypoints[row])
            assert found[:, 2].tolist() == points[:, 2].tolist()
            assert np.abs((found - points)[:, :2] / [image["width"], image["height"]]).max() < CLOSE


@pytest.mark.parametrize("task", ["object_detection", "instance_segmentation", "pose_estimation"])
@given(data=st.data())
@EXAMPLES
def test_coco(folder: Any, task: str, data: st.DataObject) -> None:
    world = World(folder(), data.draw(documents(task)), task, "coco")
    ids = [one["id"] for one in world.value["annotations"]]
    shift = int(min(ids) == 0)
    for _, own, dataset, rows in compare_rows(world, list):
        assert dataset.annotation_ids[rows].tolist() == [one["id"] + shift for one in own]
        for one, row in zip(own, rows.tolist(), strict=True):
            same_annotation(one, dataset, row)
    assert not {"crowd", "no_outline", "no_box"} & world.written["proof"]["left_out"].keys()


@pytest.mark.parametrize("task", list(WORDS))
@given(data=st.data())
@EXAMPLES
def test_dice_comes_back_in_every_column(folder: Any, task: str, data: st.DataObject) -> None:
    world = World(folder(), data.draw(documents(task)), task, "dice")
    before, after = world.dataset, read(world.out, task=task, everything=True).dataset
    for name in ("image_ids", "image_sizes", "image_labeled", "annotation_ids", "annotation_image",
                 "annotation_class", "annotation_crowd"):  # fmt: skip
        assert getattr(before, name).tolist() == getattr(after, name).tolist(), name
    for name in ("boxes", "areas", "keypoints"):
        same_floats(getattr(before, name), getattr(after, name))
    assert (before.outlines is None) == (after.outlines is None)
    if before.outlines is not None and after.outlines is not None:
        for name in ("points", "first_point", "first_ring"):
            assert getattr(before.outlines, name).tolist() == getattr(after.outlines, name).tolist(), name
    assert {row: (r.height, r.width, r.counts.tolist()) for row, r in before.rles.items()} == {
        row: (r.height, r.width, r.counts.tolist()) for row, r in after.rles.items()
    }
    assert before.image_names == after.image_names
    assert set(before.categories) == set(after.categories) or _background_added(before, after)
    again = inspect(world.out, task=task)
    assert again.sound
    assert again.split is not None
    assert world.found.split is not None
    assert again.split.parts() == world.found.split.parts()
    assert world.written["proof"]["lossless"]


@given(drawn=documents("image_classification"))
@EXAMPLES
def test_image_folders(folder: Any, drawn: dict[str, Any]) -> None:
    world = World(folder(), drawn, "image_classification", "imagefolder")
    index_of, images = world.index_of(), world.images()
    seen = set()
    for part in world.written["proof"]["counts"]["in"]:
        # As the readers of the frameworks do: a class is the place of its folder among the sorted ones.
        for index, name in enumerate(sorted(p.name for p in (world.out / part).iterdir())):
            for path in (world.out / part / name).iterdir():
                image = images[digest(path)]
                assert image["part"] == part
                assert index_of[image["own"][0]["category_id"]] == index
                seen.add(image["id"])
    none = {image["id"] for image in images.values() if not image["own"]}
    assert seen == {image["id"] for image in images.values()} - none
    assert world.left_out("no_class") == len(none)


@given(drawn=documents("instance_segmentation"))
@EXAMPLES
def test_masks(folder: Any, drawn: dict[str, Any]) -> None:
    world = World(folder(), drawn, "instance_segmentation", "masks")
    index_of, count = world.index_of(), 0
    for path in sorted((world.out / "images").rglob("*.png")):
        image = world.images()[digest(path)]
        assert path.parent.name == image["part"]
        with Image.open(world.out / "masks" / image["part"] / path.name) as mask:
            assert mask.mode == "P"
            found = np.asarray(mask)
        size = (image["height"], image["width"])
        meant = np.full(size, len(index_of))
        shapes = [(one, mask_of(one["segmentation"], size)) for one in image["own"]]
        for one, shape in sorted(shapes, key=lambda pair: (not pair[0]["iscrowd"], -covered(pair[0], pair[1], size))):
            meant[shape] = 255 if one["iscrowd"] else index_of[one["category_id"]]
        assert found.tolist() == meant.tolist()
        count += 1
    assert count == len(world.images())


def mask_of(shape: Any, size: tuple[int, int]) -> np.ndarray:
    """Paints a segmentation pixel by pixel, by no code of the converter but for run lengths."""
    if isinstance(shape, dict):
        flat = np.repeat(np.arange(len(shape["counts"])) % 2 == 1, shape["counts"])
        return flat.reshape(size[1], size[0]).T
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    mask = np.zeros(size, dtype=bool)
    for flat in shape:
        odd, ring = np.zeros(size, dtype=bool), np.array(flat).reshape(-1, 2)
        for (ax, ay), (bx, by) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
            if ay != by:
                odd ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * ((bx - ax) / (by - ay)))
        mask |= odd
    return mask


def covered(one: dict[str, Any], mask: np.ndarray, size: tuple[int, int]) -> int:
    """Gives the area that decides who lies on top: the pixels of all rings."""
    shape = one["segmentation"]
    return sum(int(mask_of([ring], size).sum()) for ring in shape) if isinstance(shape, list) else int(mask.sum())


def same_annotation(one: dict[str, Any], dataset: Dataset, row: int) -> None:
    assert dataset.boxes[row].tolist() == pytest.approx(one["bbox"], rel=1e-12, abs=1e-12)
    assert bool(dataset.annotation_crowd[row]) == bool(one["iscrowd"])
    if "area" in one:
        assert dataset.areas is not None
        assert dataset.areas[row] == one["area"]
    shape = one.get("segmentation")
    if isinstance(shape, dict):
        assert pixels(dataset.rles[row]).tolist() == mask_of(shape, tuple(shape["size"])).tolist()
    elif shape:
        assert dataset.outlines is not None
        rings = range(dataset.outlines.first_ring[row], dataset.outlines.first_ring[row + 1])
        bounds = [dataset.outlines.first_point[ring : ring + 2] for ring in rings]
        assert [dataset.outlines.points[a:b].reshape(-1).tolist() for a, b in bounds] == shape
    if "keypoints" in one:
        assert dataset.keypoints is not None
        found = dataset.keypoints[row]
        assert found[~np.isnan(found).any(axis=1)].reshape(-1).tolist() == one["keypoints"]


def same_floats(before: np.ndarray | None, after: np.ndarray | None) -> None:
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        np.testing.assert_array_equal(before, after)


def _background_added(before: Dataset, after: Dataset) -> bool:
    return bool((before.annotation_class < 0).any()) and set(before.categories) < set(after.categories)


def test_a_target_that_cannot_hold_a_task_says_so(tmp_path: Path) -> None:
    value = {
        "categories": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 20}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
    }
    root = write(tmp_path / "ds", value, name="annotations_classification.json")
    found = inspect(root, task="image_classification")
    assert found.dataset is not None
    for target in ("coco", "masks"):
        (problem,) = [p for p in check_target(found.dataset, found.files, target=target) if p.level == "error"][:1]
        assert problem.code == "target_unsupported"
    for target in ("yolo", "imagefolder", "dice", "none"):
        assert check_target(found.dataset, found.files, target=target) == []
