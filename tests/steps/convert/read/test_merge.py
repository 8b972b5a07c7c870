"""Several documents of one dataset say the same, or are refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from steps.convert.check.inspection import inspect
from steps.convert.commands.run import run
from steps.convert.problems import errors
from tests.steps.convert.making import picture


def halves() -> tuple[dict[str, Any], dict[str, Any]]:
    """Gives a COCO document for train and one for val, of three images each."""
    made = []
    for part in (0, 1):
        ids = range(3 * part + 1, 3 * part + 4)
        made.append(
            {
                "categories": [
                    {"id": 1, "name": "fish", "keypoints": ["head", "tail"]},
                    {"id": 4, "name": "crab", "keypoints": ["left", "right"]},
                ],
                "images": [{"id": id_, "file_name": f"{id_}.png", "width": 64, "height": 48} for id_ in ids],
                "annotations": [
                    {
                        "id": 10 * id_ + category, "image_id": id_, "category_id": category,
                        "bbox": [5, 5, 20, 10], "keypoints": [5, 5, 2, 25, 15, 2],
                    }
                    for id_ in ids for category in (1, 4)
                ],
            }
        )  # fmt: skip
    return made[0], made[1]


def lay(root: Path, train: dict[str, Any], val: dict[str, Any], *, folders: tuple[str, str] = ("", "")) -> Path:
    for name, value, folder in (("train", train, folders[0]), ("val", val, folders[1])):
        path = root / "annotations" / f"instances_{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        for image in value["images"]:
            target = root / (folder or "images") / image["file_name"]
            if not target.exists():
                picture(target, seed=image["id"])
    return root


def codes(root: Path, **options: Any) -> list[str]:
    return [problem.code for problem in errors(inspect(root, task="pose_estimation", **options).problems)]


def test_one_name_has_one_id(tmp_path: Path) -> None:
    train, val = halves()
    assert codes(lay(tmp_path / "sound", train, val)) == []
    val["categories"][1]["id"] = 5
    for one in val["annotations"]:
        one["category_id"] = 5 if one["category_id"] == 4 else 1
    assert codes(lay(tmp_path / "d", train, val)) == ["category_contradiction"]


def test_keypoints_have_one_order(tmp_path: Path) -> None:
    train, val = halves()
    val["categories"][1]["keypoints"] = ["right", "left"]
    found = inspect(lay(tmp_path, train, val), task="pose_estimation")
    assert [problem.code for problem in errors(found.problems)] == ["category_contradiction"]
    assert "'crab'" in errors(found.problems)[0].message


def test_keypoints_may_be_named_in_one_document_alone(tmp_path: Path) -> None:
    train, val = halves()
    for category in train["categories"]:
        del category["keypoints"]
    found = inspect(lay(tmp_path, train, val), task="pose_estimation")
    assert not errors(found.problems)
    assert found.dataset is not None
    assert [category.keypoints for category in found.dataset.classes] == [("head", "tail"), ("left", "right")]


@pytest.mark.parametrize("command", ["convert", "export", "fix"])
def test_a_file_in_two_documents_is_refused_where_it_can_stand_once(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val = halves()
    val["images"][0]["file_name"] = "1.png"
    if command == "fix":
        val["annotations"][0]["bbox"] = [5, 5, 0, 0]
    root = lay(tmp_path / "d", train, val)
    assert sorted(codes(root, target="dice")) == ["box_empty"] * (command == "fix") + ["file_name_duplicate"]
    words = {
        "convert": ["convert", root, tmp_path / "o", "--to", "dice"],
        "export": ["export", root, tmp_path / "o.zip"],
    }
    words["fix"] = ["fix", root, tmp_path / "o"]
    capsys.readouterr()
    assert run([str(word) for word in [*words[command], "--task", "pose_estimation"]]) == 1
    assert "file_name_duplicate" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"d"}


def test_images_in_folders_of_parts_are_found_whatever_the_classes_are_called(tmp_path: Path) -> None:
    train, val = halves()
    for value in (train, val):
        value["categories"].append({"id": 0, "name": "__background__"})
    assert codes(lay(tmp_path, train, val, folders=("train", "val"))) == []
