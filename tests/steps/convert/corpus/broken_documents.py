"""Flat documents (D1, COCO) that break the rules: fields, ids, references, boxes, outlines, keypoints, JSON itself."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tests.steps.convert.corpus.case import Case, at, document, document_of, raw, without

SEGMENT, POSE, CLASSIFY = "instance_segmentation", "pose_estimation", "image_classification"


def _case(name: str, breaks: object, code: str | None, *says: str, **more: object) -> Case:
    return Case(name=name, breaks=breaks, code=code, says=says, **more)  # type: ignore[arg-type]


def _rewrite(encoding: str) -> object:
    def breaks(root: Path) -> None:
        path = document_of(root)
        value = json.loads(path.read_bytes())
        value["categories"][1]["name"] = "볼트"
        path.write_bytes(json.dumps(value, ensure_ascii=False).encode(encoding))

    return breaks


def _half(root: Path) -> None:
    content = document_of(root).read_bytes()
    document_of(root).write_bytes(content[: len(content) // 2])


def _half_a_character(root: Path) -> None:
    value = json.loads(document_of(root).read_bytes())
    value["categories"][2]["name"] = "nut\ud800"
    document_of(root).write_text(json.dumps(value))  # escaped: the file itself is sound text


FIELDS = [
    _case("box right of the image", at("annotations", 0, bbox=[60, 5, 20, 10]), "box_outside", "image 1"),
    _case("box left of the image", at("annotations", 0, bbox=[-3, 5, 20, 10]), "box_outside", "annotation 100"),
    _case("box of negative width", at("annotations", 0, bbox=[30, 5, -4, 10]), "box_empty", "annotation 100"),
    _case("box without area", at("annotations", 0, bbox=[30, 5, 0, 10]), "box_empty", "image 1"),
    _case("box of NaN", at("annotations", 0, bbox=[math.nan, 5, 4, 10]), "box_not_finite", "annotation 100"),
    _case("box of infinity", at("annotations", 0, bbox=[1, 5, math.inf, 10]), "box_not_finite", "annotation 100"),
    _case("box of 400 digits", at("annotations", 0, bbox=[1, 5, 10**400, 10]), "box_not_finite", "annotation 100"),
    _case("box of three numbers", at("annotations", 0, bbox=[1, 5, 4]), "box_malformed", "annotation 100"),
    _case("box of words", at("annotations", 0, bbox=["1", "2", "3", "4"]), "box_malformed", "annotation 100"),
    _case("box of booleans", at("annotations", 0, bbox=[True, True, True, True]), "box_malformed", "annotation 100"),
    _case("box an object", at("annotations", 0, bbox={"x": 1}), "box_malformed", "annotation 100"),
    _case("box a number", at("annotations", 0, bbox=7), "box_malformed", "annotation 100"),
    _case("no box", without("annotations", 0, "bbox"), "box_missing", "annotation 100"),
    _case("box null", at("annotations", 0, bbox=None), "box_missing", "annotation 100"),
    _case("box out by half a pixel is clipped", at("annotations", 0, bbox=[-0.5, 5, 20, 10]), None),
    _case("unknown category", at("annotations", 0, category_id=99), "category_unknown", "annotation 100", "99"),
    _case("category missing", without("annotations", 0, "category_id"), "category_unknown", "annotation 100"),
    _case("category a list", at("annotations", 0, category_id=[1]), "category_unknown", "annotation 100"),
    _case("dangling image", at("annotations", 0, image_id=77), "image_dangling", "annotation 100", "77"),
    _case("image reference missing", without("annotations", 0, "image_id"), "image_dangling", "annotation 100"),
    _case("annotation id twice", at("annotations", 1, id=100), "annotation_duplicate", "annotation 100"),
    _case("annotation id missing", without("annotations", 1, "id"), "annotation_id", "number 2"),
    _case("annotation id negative", at("annotations", 1, id=-4), "annotation_id", "number 2"),
    _case("annotation a word", document(lambda v: v["annotations"].insert(1, "x")), "annotation_id", "number 2"),
    _case("image id twice", at("images", 1, id=1), "image_duplicate", "image 1", along=frozenset({"image_dangling"})),
    _case("image file twice", at("images", 1, file_name="t000.png"), "file_name_duplicate", "image 1"),
    _case("image name null", at("images", 1, file_name=None), "image_file_name", "image 2"),
    _case("image name a number", at("images", 1, file_name=7), "image_file_name", "image 2"),
    _case("image name empty", at("images", 1, file_name=""), "image_file_name", "image 2"),
    _case("image width 0", at("images", 1, width=0), "image_size", "image 2"),
    _case("image width a word", at("images", 1, width="wide"), "image_size", "image 2"),
    _case("image of 10**30 pixels", at("images", 1, width=10**30), "image_size", "image 2"),
    _case("path climbs", at("images", 1, file_name="../../etc/passwd"), "path_unsafe", "image 2", "`..`"),
    _case("path absolute", at("images", 1, file_name="/etc/passwd"), "path_unsafe", "image 2"),
    _case("path with a backslash", at("images", 1, file_name="a\\b.png"), "path_unsafe", "image 2"),
    _case("path of a drive", at("images", 1, file_name="C:/b.png"), "path_unsafe", "image 2"),
    _case("path with NUL", at("images", 1, file_name="a\0.png"), "path_unsafe", "image 2"),
    _case("path of 4,000 characters", at("images", 1, file_name="a/" * 2000 + "b.png"), "path_unsafe", "image 2"),
    _case("path of 6,000 characters", at("images", 1, file_name="a/" * 3000 + "b.png"), "path_unsafe", "image 2"),
    _case("name of 300 characters", at("images", 1, file_name="a" * 300 + ".png"), "image_unreadable", "image 2"),
    _case("path with a surrogate", at("images", 1, file_name="a\ud800.png"), "document_broken",
          along=frozenset({"image_missing", "image_unreadable", "path_unsafe", "name_not_text", "image_file_name"})),
    _case("category id twice", at("categories", 2, id=0), "category_duplicate", "0",
          along=frozenset({"category_unknown"})),
    _case("category name twice", at("categories", 2, name="bolt"), "category_duplicate", "bolt"),
    _case("category name blank", at("categories", 2, name=" "), "category_name", "1",
          along=frozenset({"category_unknown"})),
    _case("category name of half a character", _half_a_character, "category_name", "1", "half",
          along=frozenset({"category_unknown"})),
    _case("the same file spelled in two ways", at("images", 1, file_name="./t000.png"), "file_name_duplicate",
          "image 1"),
    _case("category id negative", at("categories", 2, id=-4), "category_id", along=frozenset({"category_unknown"})),
    _case("only background", document(lambda v: v.update(categories=v["categories"][:1], annotations=[])),
          "no_classes", along=frozenset({"nothing_labeled"})),
    _case("images empty", document(lambda v: v.update(images=[], annotations=[])), "dataset_empty"),
    _case("images an object", document(lambda v: v.update(images={}, annotations=[])), "field_missing", "images",
          along=frozenset({"dataset_empty"})),
    _case("annotations null", document(lambda v: v.update(annotations=None)), "field_missing", "annotations",
          along=frozenset({"nothing_labeled"})),
    _case("nothing labeled", document(lambda v: v.update(annotations=[])), "nothing_labeled"),
    _case("ids as texts are understood", document(lambda v: [a.update(image_id=str(a["image_id"]))
          for a in v["annotations"]]), None),
    _case("two forms that differ", at("images", 0, annotations=[]), "forms_disagree", "image 1"),
]  # fmt: skip

OUTLINES = [
    _case("polygon of two points", at("annotations", 0, segmentation=[[1, 5, 20, 20]]), "polygon_short",
          "annotation 100", task=SEGMENT),
    _case("polygon of an odd count", at("annotations", 0, segmentation=[[2, 4, 23, 4, 23, 12, 9]]),
          "polygon_malformed", "annotation 100", task=SEGMENT),
    _case("polygon of NaN", at("annotations", 0, segmentation=[[2, 4, math.nan, 4, 23, 12]]), "polygon_not_finite",
          "annotation 100", task=SEGMENT),
    _case("polygon outside the image", at("annotations", 0, segmentation=[[2, 4, 90, 4, 23, 12]]),
          "polygon_outside", "annotation 100", task=SEGMENT),
    _case("polygon of words", at("annotations", 0, segmentation=[["a", "b", "c", "d", "e", "f"]]),
          "polygon_malformed", "annotation 100", task=SEGMENT),
    _case("polygon a number", at("annotations", 0, segmentation=5), "polygon_malformed", "annotation 100",
          task=SEGMENT),
    _case("no polygon", without("annotations", 0, "segmentation"), "outline_missing", "annotation 100", task=SEGMENT),
    _case("no ring", at("annotations", 0, segmentation=[]), "outline_missing", "annotation 100", task=SEGMENT),
    _case("RLE of another size", at("annotations", 0, segmentation={"counts": [10, 20], "size": [3, 10]}),
          "mask_size", "annotation 100", task=SEGMENT),
    _case("RLE that does not add up", at("annotations", 0, segmentation={"counts": [1, 2], "size": [32, 64]}),
          "mask_broken", "annotation 100", task=SEGMENT),
    _case("RLE with a negative run", at("annotations", 0,
          segmentation={"counts": [2058, -10], "size": [32, 64]}), "mask_malformed", "annotation 100", task=SEGMENT),
    _case("RLE of letters that mean nothing", at("annotations", 0,
          segmentation={"counts": "\u0001\u0002ÿ", "size": [32, 64]}), "mask_malformed", "annotation 100",
          task=SEGMENT),
    _case("RLE without size", at("annotations", 0, segmentation={"counts": [1, 2]}), "mask_malformed",
          "annotation 100", task=SEGMENT),
]  # fmt: skip

KEYPOINTS = [
    _case("keypoints of an odd count", at("annotations", 0, keypoints=[1, 2]), "keypoints_malformed",
          "annotation 100", task=POSE),
    _case("one keypoint too many", at("annotations", 0, keypoints=[5, 5, 2] * 4), "keypoints_count",
          "annotation 100", task=POSE),
    _case("keypoint visibility 7", at("annotations", 0, keypoints=[5, 5, 7] * 3), "keypoint_visibility",
          "annotation 100", task=POSE),
    _case("keypoint outside the image", at("annotations", 0, keypoints=[900, 5, 2] * 3), "keypoint_outside",
          "annotation 100", task=POSE),
    _case("keypoint of NaN", at("annotations", 0, keypoints=[math.nan, 5, 2] * 3), "keypoint_not_finite",
          "annotation 100", task=POSE),
    _case("keypoints of words", at("annotations", 0, keypoints=["a"] * 9), "keypoints_malformed",
          "annotation 100", task=POSE),
    _case("no keypoints", without("annotations", 0, "keypoints"), "keypoints_unlabeled", task=POSE, level="warning"),
]  # fmt: skip

CLASSES = [
    _case("two classes on one image", document(lambda v: v["annotations"].append(
          {"id": 9, "image_id": 1, "category_id": 1})), "label_conflict", "image 1", task=CLASSIFY),
]  # fmt: skip

JSON = [
    _case("JSON with a comma too many", raw(b'{"images": [\n  {"id": 1,}\n]}'), "document_broken", "line 2"),
    _case("JSON cut in the middle", _half, "document_broken", "line 1"),
    _case("JSON empty", raw(b""), "document_broken"),
    _case("JSON of zeros", raw(b"\0" * 4096), "document_broken"),
    _case("JSON 100,000 levels deep", raw(b"[" * 100_000), "document_broken"),
    _case("JSON deep inside an annotation", raw(b'{"categories":[{"id":1,"name":"a"}],"images":[],"annotations":[{"id":'
          + b"[" * 100_000), "document_broken"),
    _case("JSON a list", raw(b"[]"), "layout_unsupported", "list"),
    _case("JSON a number", raw(b"7"), "layout_unsupported"),
    _case("JSON null", raw(b"null"), "layout_unsupported"),
    _case("JSON of unknown keys", raw(b'{"frames": []}'), "layout_unsupported", "frames"),
    _case("JSON in CP949", _rewrite("cp949"), "document_broken", "UTF-8"),
    _case("JSON in UTF-16", _rewrite("utf-16"), "document_broken", "UTF-8"),
    _case("JSON with a byte order mark is read", _rewrite("utf-8-sig"), None),
    _case("JSON followed by rubbish", lambda root: document_of(root).write_bytes(
          document_of(root).read_bytes() + b"}}"), "document_broken"),
    _case("document gone", lambda root: document_of(root).unlink(), "document_missing", "annotations"),
    _case("document a folder", lambda root: (document_of(root).unlink(),
          (root / "annotations_detection.json").mkdir()), "document_missing", "is a folder"),
    _case("document a link to itself", lambda root: (document_of(root).unlink(),
          (root / "annotations_detection.json").symlink_to("annotations_detection.json")), "document_missing",
          "in a circle"),
    _case("document of another task", lambda root: document_of(root).rename(root / "annotations_pose.json"),
          "document_missing", "annotations_pose.json"),
]  # fmt: skip

CASES = [*FIELDS, *OUTLINES, *KEYPOINTS, *CLASSES, *JSON]
