"""Reads one annotation document, flat or nested, of any of the layouts that are JSON, into the in-memory dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps.convert.dataset import Dataset, Ints, Outlines
from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.annotation_rows import AnnotationRows, Settling
from steps.convert.read.annotations import Annotations
from steps.convert.read.broken import BrokenJson, refusal
from steps.convert.read.categories import read_categories
from steps.convert.read.forms import disagreement
from steps.convert.read.image_rows import ImageRows, settle
from steps.convert.read.images import Images
from steps.convert.read.records import annotation_type, image_type, records
from steps.convert.read.result import Progress
from steps.convert.read.rle import gather
from steps.convert.read.shapes import MOST_NUMBERS, TooManyPoints
from steps.convert.read.split_fields import image_parts
from steps.convert.read.stream import Frame, Walk
from steps.convert.tasks import READS_KEYPOINTS, READS_OUTLINES

OUTLINE_FLAWS = frozenset({"polygon_malformed", "mask_malformed"})
KEYPOINT_FLAWS = frozenset({"keypoints_malformed", "keypoints_count"})


@dataclass(slots=True, kw_only=True)
class Document:
    """What stands in an annotation document, not yet made sense of."""

    path: Path
    name: str
    value: dict[str, Any]  # without images and annotations
    frame: Frame
    images: Images
    flat: Annotations

    @property
    def nested(self) -> bool:
        """Whether any image, not only the first, carries its annotations itself."""
        return bool(self.images.has_form)


def parse_document(
    path: Path, name: str, *, outlines: bool, keypoints: bool, progress: Progress | None = None
) -> Document:
    """Reads a document to its end; raises DatasetRefused with line and column where it is broken."""
    wanted = annotation_type(outlines=outlines, keypoints=keypoints)
    flat, nested = (Annotations(outlines=outlines, keypoints=keypoints) for _ in range(2))
    images = Images(document=name, nested=nested)
    image_decoder = msgspec.json.Decoder(list[image_type(wanted)])  # type: ignore[misc]
    annotation_decoder = msgspec.json.Decoder(list[wanted])  # type: ignore[valid-type]
    decoders = {"images": image_decoder.decode, "annotations": annotation_decoder.decode}
    walk = Walk(path, decoders=decoders, progress=progress)
    try:
        for piece in walk:
            if piece.key == "images":
                images.add(records(piece, image_decoder, images.mend))
            else:
                flat.add(records(piece, annotation_decoder, flat.mend))
        value = walk.frame.value()
    except BrokenJson as error:
        raise refusal(path, name, error) from None
    except TooManyPoints:
        size, points = path.stat().st_size / 1e9, MOST_NUMBERS // 2_000_000
        message = f"it is {size:.1f} GB long and its outlines have more than {points} million points"
        cure = "make several datasets of it, or choose a task that needs no outlines"
        raise DatasetRefused([_problem(name, "document_large", message, cure)]) from None
    except OSError as error:
        message = f"it cannot be read: {error.strerror}"
        problem = Problem(code="document_broken", file=name, message=message, cure="make the file readable")
        raise DatasetRefused([problem]) from None
    return Document(path=path, name=name, value=value, frame=walk.frame, images=images, flat=flat)


def document_dataset(document: Document, *, layout: str, task: str) -> tuple[Dataset, list[Problem]]:
    """Makes sense of a document; what is malformed is left out of the dataset and told in the problems."""
    value, images = document.value, document.images
    categories, lost, problems = read_categories(value, document.name)
    inside = document.nested or "classes" in value  # where annotations stand in the images, the flat list may lack
    for key, default in (("images", None), ("annotations", [] if inside else None)):
        if not isinstance(value.get(key, default), list):
            cure = f"add `{key}` as a list to the document"
            problems.append(_problem(document.name, "field_missing", f"`{key}` is not a list", cure))
    rows = settle(images, problems)
    problems += images.problems
    use_flat = len(document.flat) > 0 or not document.nested
    chosen = document.flat if use_flat else images.nested
    nested, ids = not use_flat, frozenset(lost)
    settling = partial(Settling, rows=rows, images=images, categories=categories, spare=spare_flaws(task))
    settled = settling(chosen, problems=problems, nested=nested, lost=ids).settle()
    both = document.nested and isinstance(value.get("annotations"), list) and "annotations" in document.frame.spans
    if both and (problem := _disagreement(document, rows, settled, use_flat=use_flat, settling=settling)):
        problems.append(problem)
    parts, told = image_parts(images, rows, layout)
    storage, split = value.get("storage_info"), value.get("split_config")
    root = storage.get("image_root") if isinstance(storage, dict) else None
    items = rows.items.tolist()
    areas = chosen.area_column()
    dataset = Dataset(
        layout=layout,
        document=document.name,
        task=task,
        categories=categories,
        image_ids=rows.ids,
        image_names=[str(images.names[item]) for item in items],
        image_sizes=_sizes(images)[rows.items],
        image_labeled=np.array([item not in images.unlabeled for item in items], dtype=bool),
        annotation_ids=settled.ids,
        annotation_image=settled.images,
        annotation_class=settled.classes,
        annotation_crowd=chosen.crowd_column()[settled.items],
        boxes=chosen.box_table()[settled.items],
        areas=None if areas is None else areas[settled.items],
        **_shapes(chosen, settled, categories),
        image_parts=parts,
        image_masks=[images.masks.get(item) for item in items] if images.masks else None,
        image_keys=rows.keys,
        image_root=root if isinstance(root, str) and root else None,
        split_config=split if isinstance(split, dict) else None,
        image_attributes=Attributes([(document.path, rows.items)]),
    )
    return dataset, problems + told


def _problem(name: str, code: str, message: str, cure: str, **more: Any) -> Problem:
    return Problem(code=code, file=name, message=message, cure=cure, **more)


def spare_flaws(task: str) -> frozenset[str]:
    """Gives the codes of flaws in what a task does not train on; none while the task is not known."""
    outlines = frozenset[str]() if task in READS_OUTLINES else OUTLINE_FLAWS
    return outlines | (frozenset() if task in READS_KEYPOINTS else KEYPOINT_FLAWS) if task else frozenset()


def _sizes(images: Images) -> Ints:
    return np.array([images.widths, images.heights], dtype=np.int64).reshape(2, -1).T


def _shapes(chosen: Annotations, settled: AnnotationRows, categories: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if chosen.outlines is not None:
        outlines, rles = chosen.outlines.outlines(), chosen.outlines.rles()
        if len(settled.items) < len(chosen):
            row_of = np.full(len(chosen), -1, dtype=np.int64)
            row_of[settled.items] = np.arange(len(settled.items))
            rles = rles.moved(row_of)
            outlines = pick_outlines(outlines, settled.items) if outlines else None
        found = {"outlines": outlines, "rles": rles}
    if chosen.keypoints is not None:
        widest = max((len(category.keypoints) for category in categories), default=0)
        found["keypoints"] = chosen.keypoints.table(settled.items, widest=widest)
    return found


def pick_outlines(outlines: Outlines, rows: Ints) -> Outlines:
    """Gives the polygons of some annotations, in their order."""
    rings, first_ring = gather(np.arange(len(outlines.first_point) - 1), outlines.first_ring, rows)
    numbers, first_point = gather(np.arange(len(outlines.points)), outlines.first_point, rings)
    return Outlines(points=outlines.points[numbers], first_point=first_point, first_ring=first_ring)


def _disagreement(
    document: Document,
    rows: ImageRows,
    settled: AnnotationRows,
    *,
    use_flat: bool,
    settling: Callable[..., Settling],
) -> Problem | None:
    other = document.images.nested if use_flat else document.flat
    theirs = settling(other, problems=[], nested=use_flat).settle()
    chosen = document.flat if use_flat else document.images.nested
    flat, nested = ((chosen, settled), (other, theirs)) if use_flat else ((other, theirs), (chosen, settled))
    with_form = rows.row_of_item[np.array(document.images.has_form, dtype=np.int64)]
    row = disagreement(flat, nested, images=with_form[with_form >= 0])
    if row is None:
        return None
    here, there = int((nested[1].images == row).sum()), int((flat[1].images == row).sum())
    message = (
        f"{here} annotations stand in the image and {there} in the flat list, "
        f"and they differ: the document carries both forms"
    )
    id_ = rows.keys[row] if rows.keys else int(rows.ids[row])
    return _problem(document.name, "forms_disagree", message, "keep one form, or make both say the same", image_id=id_)


class Attributes(Sequence[Mapping[str, Any]]):
    """All that documents say of images, read from them once somebody asks: few do, and it is much."""

    def __init__(self, sources: list[tuple[Path, Ints]]) -> None:
        self.sources = sources
        self._loaded: list[Mapping[str, Any]] | None = None

    def __len__(self) -> int:
        return sum(len(items) for _, items in self.sources)

    def __getitem__(self, row: Any) -> Any:
        if self._loaded is None:
            self._loaded = [entry for path, items in self.sources for entry in _entries(path, items)]
        return self._loaded[row]


def _entries(path: Path, items: Ints) -> Iterator[Mapping[str, Any]]:
    loaded: list[Mapping[str, Any]] = []
    for piece in Walk(path):
        if piece.key == "images":
            for entry in records(piece, msgspec.json.Decoder(list[Any]), lambda value: value):
                whole = entry if isinstance(entry, dict) else {}
                loaded.append({key: value for key, value in whole.items() if key not in ("annotations", "annotation")})
    return (loaded[item] for item in items.tolist())
