"""Reads DICE 1.0 standard (D1) and plain COCO documents into the in-memory dataset."""

from typing import Any

import numpy as np

from steps.convert.dataset import Dataset, index_categories
from steps.convert.documents import Document
from steps.convert.fields import as_box, as_id, as_list, as_object
from steps.convert.nested import disagreement
from steps.convert.problems import Problem


def read_dice(document: Document, *, layout: str, task: str) -> tuple[Dataset, list[Problem]]:
    """Reads a flat document; what is malformed is left out of the dataset and told in the problems."""
    reader = _Reader(document)
    reader.read_categories()
    reader.read_images()
    reader.read_annotations()
    if problem := disagreement(document.name, document.value):
        reader.problems.append(problem)
    return reader.dataset(layout=layout, task=task), reader.problems


class _Reader:
    def __init__(self, document: Document) -> None:
        self.name = document.name
        self.value: dict[str, Any] = document.value
        self.problems: list[Problem] = []
        self.categories: dict[int, str] = {}
        self.class_of: dict[int, int] = {}
        self.row_of: dict[int, int] = {}
        self.images: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.annotations: list[tuple[int, int, int, bool]] = []
        self.boxes: list[tuple[float, float, float, float]] = []

    def bad(self, code: str, message: str, cure: str, *, image: Any = None, annotation: Any = None) -> None:
        self.problems.append(
            Problem(code=code, file=self.name, image_id=image, annotation_id=annotation, message=message, cure=cure)
        )

    def items(self, key: str) -> list[Any]:
        found = as_list(self.value.get(key))
        if found is None:
            self.bad("field_missing", f"`{key}` is not a list", f"add `{key}` as a list to the document")
        return found or []

    def read_categories(self) -> None:
        for position, item in enumerate(self.items("categories"), 1):
            category = as_object(item)
            id_, name = as_id(category.get("id")), category.get("name")
            if id_ is None or id_ < 0:
                self.bad("category_id", f"category number {position} has no id ≥ 0", "give it a whole number as id")
            elif not isinstance(name, str) or not name.strip():
                self.bad("category_name", f"category {id_} has no name", "give it a name")
            elif id_ in self.categories:
                first = self.categories[id_]
                self.bad("category_duplicate", f"category id {id_} is both {first!r} and {name!r}", "renumber one")
            elif name in self.categories.values():
                self.bad("category_duplicate", f"category name {name!r} is used twice", "merge or rename one")
            else:
                self.categories[id_] = name
        self.class_of = {c.id: -1 if c.index is None else c.index for c in index_categories([*self.categories.items()])}

    def read_images(self) -> None:
        seen: dict[str, int] = {}
        for position, item in enumerate(self.items("images"), 1):
            image = as_object(item)
            id_, name = as_id(image.get("id")), image.get("file_name")
            width, height = as_id(image.get("width")), as_id(image.get("height"))
            if id_ is None or id_ < 0:
                given = image.get("id")
                self.bad("image_id", f"image number {position} has id {given!r}", "give it a whole number as id")
            elif id_ in self.row_of:
                self.bad("image_duplicate", f"image id {id_} is used twice", "renumber one of them", image=id_)
            elif not isinstance(name, str) or not name:
                self.bad("image_file_name", "the image has no file_name", "name its file", image=id_)
            elif name in seen:
                cure = "merge the two entries"
                self.bad("file_name_duplicate", f"{name!r} is also the file of image {seen[name]}", cure, image=id_)
                self.row_of[id_] = self.row_of[seen[name]]
            elif not width or not height or width < 1 or height < 1:
                given = f"{image.get('width')!r} × {image.get('height')!r}"
                self.bad("image_size", f"width and height are {given}", "write both in pixels, ≥ 1", image=id_)
                self.row_of[id_] = -1
            else:
                seen[name], self.row_of[id_] = id_, len(self.images)
                self.images.append(image)
                self.names.append(name)
                self.sizes.append((width, height))

    def read_annotations(self) -> None:
        seen: set[int] = set()
        for position, item in enumerate(self.items("annotations"), 1):
            annotation = as_object(item)
            id_, image = as_id(annotation.get("id")), as_id(annotation.get("image_id"))
            given = annotation.get("category_id", annotation.get("class_id"))
            category = as_id(given)
            if id_ is None or id_ < 0:
                shown = annotation.get("id")
                self.bad("annotation_id", f"annotation number {position} has id {shown!r}", "number it", image=image)
                continue
            if id_ in seen:
                self.bad("annotation_duplicate", f"annotation id {id_} is used twice", "renumber one", annotation=id_)
            seen.add(id_)
            row = self.row_of.get(image) if image is not None else None
            if row is None:
                message = f"image_id {annotation.get('image_id')!r} is not among the images"
                self.bad("image_dangling", message, "add the image or drop the annotation", annotation=id_)
                continue
            if category is None or category not in self.class_of:
                message, known = f"category {given!r} is unknown", ", ".join(map(str, sorted(self.class_of)[:12]))
                cure = f"add it to the categories or use one of: {known or 'none'}"
                self.bad("category_unknown", message, cure, image=image, annotation=id_)
                continue
            box = as_box(annotation.get("bbox"))
            if box is None:
                message = f"bbox {str(annotation['bbox'])[:60]} is not four numbers"
                self.bad("box_malformed", message, "write [x, y, width, height]", image=image, annotation=id_)
            elif row >= 0:
                self.annotations.append((id_, row, self.class_of[category], bool(annotation.get("iscrowd"))))
                self.boxes.append(box)

    def dataset(self, *, layout: str, task: str) -> Dataset:
        columns = np.array([a[:3] for a in self.annotations], dtype=np.int64).reshape(-1, 3)
        storage, split = self.value.get("storage_info"), self.value.get("split_config")
        root = storage.get("image_root") if isinstance(storage, dict) else None
        rows = sorted((row, id_) for id_, row in self.row_of.items() if row >= 0)
        first = dict(reversed(rows))
        return Dataset(
            layout=layout,
            document=self.name,
            task=task,
            categories=index_categories([*self.categories.items()]),
            image_ids=np.array([first[row] for row in range(len(self.names))], dtype=np.int64),
            image_names=self.names,
            image_sizes=np.array(self.sizes, dtype=np.int64).reshape(-1, 2),
            image_labeled=np.array([_labeled(image) for image in self.images], dtype=bool),
            annotation_ids=columns[:, 0],
            annotation_image=columns[:, 1],
            annotation_class=columns[:, 2],
            annotation_crowd=np.array([a[3] for a in self.annotations], dtype=bool),
            boxes=np.array(self.boxes, dtype=np.float64).reshape(-1, 4),
            image_root=root if isinstance(root, str) and root else None,
            split_config=split if isinstance(split, dict) else None,
            image_attributes=self.images,
        )


def _labeled(image: dict[str, Any]) -> bool:
    if "annotation" in image and image["annotation"] is None:
        return False
    if "annotations" in image and image["annotations"] is None:
        return False
    metadata = image.get("metadata")
    return not (isinstance(metadata, dict) and metadata.get("status") == "unlabeled")
