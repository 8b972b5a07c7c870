"""A repaired copy is split as the dataset it was made of: nobody is trained on what was left out or set aside."""

import json
from pathlib import Path

import pytest

from steps.convert.check.inspection import Inspection, inspect
from tests.steps.convert.check.test_fix import mend
from tests.steps.convert.making import document, picture, write


def voc(root: Path, **lists: range) -> Path:
    for n in range(12):
        picture(root / f"JPEGImages/{n:03d}.png", seed=n)
        file = root / f"Annotations/{n:03d}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"<annotation><filename>{n:03d}.png</filename><size><width>64</width><height>48</height></size>"
            f"<object><name>{'ab'[n % 2]}</name><bndbox><xmin>4</xmin><ymin>4</ymin><xmax>30</xmax><ymax>30</ymax>"
            "</bndbox></object></annotation>"
        )
    for name, rows in lists.items():
        file = root / f"ImageSets/Main/{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{n:03d}\n" for n in rows))
    return root


def parts(found: Inspection) -> dict[str, set[str]]:
    assert found.dataset is not None
    assert found.split is not None, [problem.line() for problem in found.problems]
    names = dict(zip(found.dataset.image_ids.tolist(), found.dataset.image_names, strict=True))
    return {part: {names[id_] for id_ in ids} for part, ids in found.split.parts().items()}


def mended(root: Path, out: Path) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    mend(root, out)
    return parts(inspect(root)), parts(inspect(out))


def test_what_no_list_names_stays_left_out(tmp_path: Path) -> None:
    before, after = mended(voc(tmp_path / "v", train=range(5), val=range(5, 8)), tmp_path / "out")
    assert after == before
    assert sum(map(len, before.values())) == 8


def test_a_dataset_without_val_stays_one(tmp_path: Path) -> None:
    before, after = mended(voc(tmp_path / "v", train=range(8), test=range(8, 12)), tmp_path / "out")
    assert after["test"] == before["test"]
    assert after["train"] | after["val"] == before["train"] | before["val"]
    assert after["val"]


def test_trainval_beside_test_is_learnt_from(tmp_path: Path) -> None:
    found = inspect(voc(tmp_path / "v", trainval=range(9), test=range(9, 12)))
    assert found.sound, [problem.line() for problem in found.problems]
    here = parts(found)
    assert here["test"] == {f"{n:03d}.png" for n in range(9, 12)}
    assert here["train"] | here["val"] == {f"{n:03d}.png" for n in range(9)}
    assert here["val"]
    (told,) = (problem for problem in found.problems if problem.code == "trainval_only")
    assert "they count as train" in told.message


@pytest.mark.parametrize("form", ["map", "lists", "top"])
def test_ids_that_are_texts_are_found_again(tmp_path: Path, form: str) -> None:
    value = document(10)
    keys = [f"img-{n}" for n in range(1, 11)]
    for image in value["images"]:
        image["id"] = f"img-{image['id']}"
    for annotation in value["annotations"]:
        annotation["image_id"] = f"img-{annotation['image_id']}"
    chosen = {"train": keys[:6], "val": keys[6:8], "test": keys[8:]}
    value["split_config"] = {
        "map": {"method": "manual", "splits": {key: part for part, own in chosen.items() for key in own}},
        "lists": {"method": "manual", "splits": chosen},
        "top": {"method": "manual", **chosen},
    }[form]
    root = tmp_path / "ds"
    for n in range(1, 11):
        picture(root / f"images/line/{n:03d}.png", seed=n)
    (root / "annotations_detection.json").write_text(json.dumps(value))
    before, after = mended(root, tmp_path / "out")
    assert after == before
    assert len(before["test"]) == 2


def test_lists_of_images_outlive_a_repair_and_lose_what_is_gone(tmp_path: Path) -> None:
    value = document(10)
    value["split_config"] = {"splits": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8], "test": [9, 10]}}
    root = write(tmp_path / "ds", value)
    (root / "images/line/009.png").unlink()
    _, after = mended(root, tmp_path / "out")
    assert after["test"] == {"line/010.png"}
    assert after["val"] == {"line/007.png", "line/008.png"}
