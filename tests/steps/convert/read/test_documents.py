"""Which documents of a folder are read, what several of them make together, and what is refused by name."""

import json
from pathlib import Path

import pytest

from steps.convert.problems import DatasetRefused
from steps.convert.read.reading import read
from steps.convert.version import manifest
from tests.steps.convert.corpus import layouts
from tests.steps.convert.corpus.sample import sample
from tests.steps.convert.read.flat import CLASSES, codes, flat, image, label, reading, refused


def test_coco_of_several_parts_is_one_dataset(tmp_path: Path) -> None:
    for part, ids in (("train2017", (1, 2)), ("val2017", (7,))):
        for id_ in ids:
            layouts.documents.paint(tmp_path / part / f"{id_}.png", sample().pictures[0])
        value = flat([image(id_) for id_ in ids], [label(id_ * 10, id_, 7) for id_ in ids])
        value["categories"] = CLASSES if part == "train2017" else CLASSES[1:]
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / f"annotations/instances_{part}.json").write_text(json.dumps(value))
    (tmp_path / "annotations/captions_train2017.json").write_text("{}")
    found = read(tmp_path, task="object_detection")
    data = found.dataset
    assert (data.layout, codes(found), data.image_ids.tolist()) == ("COCO", [], [1, 2, 7])
    assert data.image_names == ["train2017/1.png", "train2017/2.png", "val2017/7.png"]
    assert data.image_parts is not None
    assert (data.image_parts.tolist(), data.annotation_class.tolist()) == ([0, 0, 1], [1, 1, 1])
    assert sorted(found.contents) == [
        f"annotations/{n}.json" for n in ("captions_train2017", "instances_train2017", "instances_val2017")
    ]
    assert [entry["id"] for entry in data.image_attributes] == [1, 2, 7]
    assert data.image_documents == ["annotations/instances_train2017.json"] * 2 + ["annotations/instances_val2017.json"]


def test_parts_that_use_the_same_ids_are_numbered_anew_and_contradicting_classes_refused(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        value = flat([image(0, f"{part}.png")], [label(0, 0)])
        value["categories"] = [{"id": 3, "name": f"thing of {part}"}]
        (tmp_path / f"{part}/_annotations.coco.json").write_text(json.dumps(value))
    found = read(tmp_path, task="object_detection")
    assert codes(found) == ["category_contradiction", "image_ids_renumbered", "annotation_ids_renumbered"]
    assert found.dataset.image_ids.tolist() == [1, 2]


def test_one_part_alone_is_no_split(tmp_path: Path) -> None:
    assert (
        reading(tmp_path, name="annotations/instances_train2017.json", value=flat([image(1)], [])).dataset.image_parts
        is None
    )


def test_documents_that_say_no_part_are_ambiguous(tmp_path: Path) -> None:
    for name in ("instances_train.json", "instances_default.json"):
        (tmp_path / name).write_text(json.dumps(flat([], [])))
    assert "[document_ambiguous]" in refused(tmp_path, task="object_detection")


@pytest.mark.parametrize(
    ("name", "task", "chosen"),
    [
        ("annotations_pose.json", "pose_estimation", True),
        ("annotations_pose.json", "object_detection", False),
        ("annotation.json", "object_detection", True),
        ("annotations/person_keypoints_default.json", "pose_estimation", True),
        ("annotations/instances_default.json", "instance_segmentation", True),
        ("annotations_segmentation.json", "semantic_segmentation", True),
        ("annotations_detection.json", "open_vocabulary_detection", True),
        ("annotations/anything.json", "object_detection", True),
        ("annotations/captions_train.json", "object_detection", True),
    ],
)
def test_the_document_of_a_task(tmp_path: Path, name: str, task: str, chosen: bool) -> None:
    if chosen:
        assert reading(tmp_path, name=name, value=flat([image(1)], []), task=task).dataset.document == name
    else:
        with pytest.raises(DatasetRefused, match="document_missing"):
            reading(tmp_path, name=name, value=flat([], []), task=task)


def test_other_documents_are_content_and_need_not_be_sound(tmp_path: Path) -> None:
    (tmp_path / "annotations_pose.json").write_text(json.dumps(flat([image(9, "other.png"), image(1, "1.png")], [])))
    (tmp_path / "annotations_segmentation.json").write_text('{"images": [')
    found = reading(tmp_path, value=flat([image(1)], []))
    assert found.other_images == ["other.png"]
    assert [(p.level, p.code, p.file) for p in found.problems] == [
        ("warning", "document_broken", "annotations_segmentation.json")
    ]
    assert len(found.contents) == 3


REFUSED: list[tuple[dict[str, str], str]] = [
    ({}, "found: nothing"),
    ({"annotations.json": "[]"}, "JSON list"),
    ({"annotations.json": '{"pictures": []}'}, "top-level keys of annotations.json: pictures"),
    ({"annotations.json": '{"format_version": "1.0", "task_type": "ocr", "classes": [], "images": []}'}, "'ocr'"),
    ({"label_map.json": "{}", "labels/a.json": "{}"}, "D0, the legacy format v0.9"),
    ({"bolts/data.yaml": "nc: 1"}, "one folder deeper: give bolts/"),
    ({"readme.txt": "hello"}, "found: readme.txt"),
]


@pytest.mark.parametrize(("files", "words"), REFUSED)
def test_what_is_no_dataset_is_refused_by_name(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert words in refused(tmp_path)
    assert "[dataset_missing]" in refused(tmp_path / "nowhere")


def test_a_document_that_is_a_link_out_is_refused_where_links_are(tmp_path: Path) -> None:
    root = tmp_path / "ds"
    root.mkdir()
    (tmp_path / "real.json").write_text(json.dumps(flat([], [])))
    (root / "annotations.json").symlink_to(tmp_path / "real.json")
    assert read(root).dataset.image_names == []
    assert "[path_unsafe]" in refused(root, contained=True)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    reading(tmp_path, value=flat([image(1)], []), progress=lambda *row: told.append(row))
    size = (tmp_path / "annotations_detection.json").stat().st_size
    assert told[-1] == ("read", size, size)


def test_numbers_of_thousands_of_digits_break_nothing(tmp_path: Path) -> None:
    huge = "9" * 5000
    text = json.dumps(flat([image(1)], [label(1, 1, note="HUGE"), label(2, 1)])).replace('"HUGE"', huge)
    (tmp_path / "annotations_detection.json").write_text(text)
    found = read(tmp_path, task="object_detection")
    assert found.dataset.annotation_ids.tolist() == [1, 2]
    assert len(manifest(found.contents, [])["documents"]) == 1
    (tmp_path / "annotations_detection.json").write_text(text.replace('"note": ', '"image_id": '))
    assert codes(read(tmp_path, task="object_detection")) == ["image_dangling"]
    (tmp_path / "annotations_detection.json").write_text(
        f'{{"info": {huge}, "categories": [], "images": [], "annotations": []}}'
    )
    assert "digits" in refused(tmp_path, task="object_detection")


def test_findings_beyond_many_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.convert.read.annotation_rows.LISTED", 3)
    found = reading(tmp_path, value=flat([image(1)], [label(n, 1, 99) for n in range(1, 9)]))
    assert codes(found) == ["category_unknown"] * 4
    assert "5 more annotations" in found.problems[-1].line()


def test_outlines_that_no_worker_can_hold_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.convert.read.shapes.MOST_NUMBERS", 50)
    value = flat([image(1)], [label(n, 1, segmentation=[[0, 0, 9, 0, 9, 9]]) for n in range(1, 10)])
    assert codes(reading(tmp_path, value=value)) == []
    assert "[document_large]" in refused(tmp_path, task="object_detection", everything=True)
    monkeypatch.setattr("steps.convert.read.reading.LARGE", 50)
    found = read(tmp_path, task="object_detection", everything=True)
    assert [(p.level, p.code) for p in found.problems] == [("warning", "document_large")]
    assert found.dataset.outlines is None
