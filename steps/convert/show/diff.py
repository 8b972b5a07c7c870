"""Tells how two datasets differ: classes, images by content, labels by class and shape; in numbers and in sentences."""

from collections import Counter
from typing import Any

from steps.convert.check.inspection import Inspection
from steps.convert.check.telling import image_id
from steps.convert.show.labels import by_image, rows_by_image
from steps.convert.show.relabel import compare

NAMED = 100  # images of each kind that are listed
TOLD = 5  # names in a sentence


def diff(a: Inspection, b: Inspection) -> dict[str, Any]:
    """Compares two inspected datasets that could both be read."""
    assert a.dataset is not None
    assert b.dataset is not None
    classes = _classes([c.name for c in a.dataset.classes], [c.name for c in b.dataset.classes])
    pairs, images = _match(a, b)
    images["relabeled"] = _relabeled(a, b, pairs)
    told = [*_classes_told(classes), *_images_told(images)]
    same = not told and a.task == b.task
    if not told:
        both = a.version_hash == b.version_hash
        told = [
            "the datasets are the same" if both else "images, classes and labels are the same; only their form differs"
        ]
    return {
        "same": same,
        "a": _side(a),
        "b": _side(b),
        "classes": classes,
        "images": images,
        "told": told,
    }


def _side(found: Inspection) -> dict[str, Any]:
    assert found.dataset is not None
    dataset = found.dataset
    return {
        "layout": found.layout,
        "task": found.task,
        "images": len(dataset.image_names),
        "annotations": int(dataset.trained.sum()),
        "dataset_version_hash": found.version_hash,
    }


def _classes(before: list[str], after: list[str]) -> dict[str, Any]:
    both = [name for name in before if name in set(after)]
    at = {name: index for index, name in enumerate(after)}
    return {
        "added": [name for name in after if name not in set(before)],
        "removed": [name for name in before if name not in set(after)],
        "moved": [{"name": n, "from": before.index(n), "to": at[n]} for n in both if before.index(n) != at[n]],
    }


def _match(a: Inspection, b: Inspection) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    """Pairs image rows: by name, then by content under another name."""
    assert a.dataset is not None
    assert b.dataset is not None
    row_b = {name: row for row, name in enumerate(b.dataset.image_names)}
    pairs, changed = [], []
    left_a = []
    for row, name in enumerate(a.dataset.image_names):
        other = row_b.pop(name, None)
        if other is None:
            left_a.append(row)
            continue
        pairs.append((row, other))
        if a.files[row].digest != b.files[other].digest:
            changed.append(name)
    by_digest: dict[str, list[int]] = {}
    for row in row_b.values():
        if digest := b.files[row].digest:
            by_digest.setdefault(digest, []).append(row)
    removed, renamed = [], []
    for row in left_a:
        rows = by_digest.get(a.files[row].digest)
        name = a.dataset.image_names[row]
        if rows:
            other = rows.pop(0)
            new = b.dataset.image_names[other]
            del row_b[new]
            pairs.append((row, other))
            renamed.append({"from": name, "to": new})
        else:
            removed.append(name)
    kinds = {"added": sorted(row_b), "removed": removed, "changed": changed, "renamed": renamed}
    return pairs, {kind: {"count": len(rows), "first": rows[:NAMED]} for kind, rows in kinds.items()}


def _relabeled(a: Inspection, b: Inspection, pairs: list[tuple[int, int]]) -> dict[str, Any]:
    assert a.dataset is not None
    assert b.dataset is not None
    labels_a, labels_b = by_image(a.dataset), by_image(b.dataset)
    rows_a, rows_b = rows_by_image(a.dataset), rows_by_image(b.dataset)
    count, sums, first = 0, Counter[str](), []
    classes: Counter[tuple[str, str]] = Counter()
    for row, other in pairs:
        labeled = bool(a.dataset.image_labeled[row]) == bool(b.dataset.image_labeled[other])
        if labeled and labels_a[row] == labels_b[other]:
            continue
        change = compare(a.dataset, rows_a[row], b.dataset, rows_b[other])
        if labeled and not change:
            continue
        count += 1
        sums.update(change.facts())
        classes.update(change.classes)
        if len(first) < NAMED:
            ids = {"name": a.dataset.image_names[row], "id_a": image_id(a.dataset, row)}
            first.append({**ids, "id_b": image_id(b.dataset, other), **change.facts()})
    swapped = [{"from": old, "to": new, "count": n} for (old, new), n in classes.most_common(NAMED)]
    return {"count": count, "first": first, "annotations": dict(sums), "classes": swapped}


def _classes_told(classes: dict[str, Any]) -> list[str]:
    told = [
        f"{_many(len(classes[w]), 'class', 'classes')} {w}: {_few(classes[w])}"
        for w in ("added", "removed")
        if classes[w]
    ]
    if moved := classes["moved"]:
        names = _few([f"{m['name']} {m['from']} → {m['to']}" for m in moved])
        told.append(f"{_many(len(moved), 'class has', 'classes have')} another index: {names}")
    return told


def _images_told(images: dict[str, Any]) -> list[str]:
    told = []
    for word, says in (("added", "added"), ("removed", "removed"), ("changed", "with other pixels")):
        if count := images[word]["count"]:
            told.append(f"{_many(count, 'image', 'images')} {says}: {_few(images[word]['first'], of=count)}")
    if count := images["renamed"]["count"]:
        names = [f"{r['from']} → {r['to']}" for r in images["renamed"]["first"]]
        told.append(f"{_many(count, 'image', 'images')} renamed: {_few(names, of=count)}")
    if count := images["relabeled"]["count"]:
        sums = images["relabeled"]["annotations"]
        words = {"added": "added", "removed": "removed", "class_changed": "of another class", "shape_changed": "moved"}
        what = ", ".join(f"{sums[key]} {word}" for key, word in words.items() if sums.get(key)) or "now labeled or not"
        names = [f["name"] for f in images["relabeled"]["first"]]
        told.append(f"{_many(count, 'image', 'images')} labeled otherwise ({what}): {_few(names, of=count)}")
    for swap in images["relabeled"]["classes"][:TOLD]:
        told.append(f"{_many(swap['count'], 'annotation', 'annotations')} {swap['from']!r} → {swap['to']!r}")
    return told


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _few(names: list[str], *, of: int | None = None) -> str:
    return ", ".join(names[:TOLD]) + (", …" if (of or len(names)) > TOLD else "")
