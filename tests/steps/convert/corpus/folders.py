"""Writes the sample as the layouts that live in folders: YOLO, Roboflow's D5, Pascal VOC and ImageFolder."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from tests.steps.convert.corpus.sample import Label, Picture, Sample, paint

ONE_BASED = 0  # Pascal counted pixels from 1; the tools that write it today count from 0


def write_yolo(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """Plain YOLO: data.yaml, images/{part}, labels/{part}; a negative has an empty label file."""
    for picture in sample.pictures:
        paint(root / "images" / picture.part / picture.name, picture)
        _lines(root / "labels" / picture.part, picture, task)
    parts = "".join(f"{part}: images/{part}\n" for part in sample.parts)
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(sample.classes))
    (root / "data.yaml").write_text(f"path: .\n{parts}names:\n{names}{_shape(task)}", encoding="utf-8")
    return root


def write_d5(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """D5: train|valid|test/{images,labels}; the folder is `valid` and the key is `val`."""
    for picture in sample.pictures:
        folder = root / {"val": "valid"}.get(picture.part, picture.part)
        paint(folder / "images" / picture.name, picture)
        _lines(folder / "labels", picture, task)
    names = ", ".join(sample.classes)
    text = f"names: [{names}]\nnc: {len(sample.classes)}\ntrain: ../train/images\nval: ../valid/images\n"
    (root / "data.yaml").write_text(text + _shape(task), encoding="utf-8")
    return root


def write_voc(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """Pascal VOC: one XML for each image, the split as lists of stems."""
    assert task == "object_detection"
    for picture in sample.pictures:
        paint(root / "JPEGImages" / picture.name, picture)
        path = root / "Annotations" / f"{Path(picture.name).stem}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(voc_xml(sample, picture), encoding="utf-8")
    for part in sample.parts:
        path = root / "ImageSets" / "Main" / f"{part}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{Path(picture.name).stem}\n" for picture in sample.of(part)), encoding="utf-8")
    return root


def write_imagefolder(root: Path, sample: Sample, task: str = "image_classification") -> Path:
    """ImageFolder: {part}/{class}/; every picture has the class of its first label."""
    assert task == "image_classification"
    for picture in sample.pictures:
        paint(root / picture.part / sample.classes[picture.labels[0].kind] / picture.name, picture)
    return root


def voc_xml(sample: Sample, picture: Picture) -> str:
    """Gives the XML of one image."""
    width, height = picture.size
    objects = "".join(_object(sample, label) for label in picture.labels)
    return (
        f"<annotation><folder>JPEGImages</folder><filename>{escape(picture.name)}</filename>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{objects}</annotation>\n"
    )


def _object(sample: Sample, label: Label) -> str:
    x, y, w, h = label.box
    low, high = (x + ONE_BASED, y + ONE_BASED), (x + w, y + h)
    return (
        f"<object><name>{escape(sample.classes[label.kind])}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{low[0]}</xmin><ymin>{low[1]}</ymin>"
        f"<xmax>{high[0]}</xmax><ymax>{high[1]}</ymax></bndbox></object>"
    )


def _lines(folder: Path, picture: Picture, task: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(_line(label, picture.size, task) for label in picture.labels)
    (folder / f"{Path(picture.name).stem}.txt").write_text(text, encoding="utf-8")


def _line(label: Label, size: tuple[int, int], task: str) -> str:
    width, height = size
    if task == "instance_segmentation":
        sides = (width, height) * (len(label.outline) // 2)
        numbers = [n / side for n, side in zip(label.outline, sides, strict=True)]
    else:
        x, y, w, h = label.box
        numbers = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
    if task == "pose_estimation":
        numbers += [n for x, y, v in label.points for n in (x / width, y / height, v)]
    return " ".join([str(label.kind), *map(repr, numbers)]) + "\n"


def _shape(task: str) -> str:
    return "kpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\n" if task == "pose_estimation" else ""
