"""Ways to break a dataset in memory, each driven by small drawn numbers so that a failure shrinks."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.steps.convert.fuzz.tree import Folder, Link, Tree

Mutation = Callable[[Tree], None]
MOST = 100_000  # bytes of a file: what is repeated again and again would grow without end
Slot = tuple[Any, Any]  # a container of the JSON, and the key or index of the value in it

NAMES = [
    "", ".", "..", "../x.png", "/etc/passwd", "a\\b.png", "C:\\x.png", "a\0b.png", "a\nb.png", "x" * 300 + ".png",
    "a/" * 2100 + "b.png", "볼트.png", "🔩.png", "\ud800.png", "images/t000.png", "train/t000.png", "t000.PNG", "con",
    "t000", "t000.gif", ".hidden.png", "~/x", "$HOME", "*", "images", "%00.png", "a//b.png", "./t000.png", " ",
]  # fmt: skip
NUMBERS = [
    0, -1, 1, 2, 3, 7, 9, 0.5, -0.0, 1e-300, 1e308, -1e308, 2**31, 2**53 + 1, 2**63, -(2**63), 10**30, float("nan"),
    float("inf"), float("-inf"), 64, 32, 64.5, 65.1, 1e9,
]  # fmt: skip
WORDS = [
    "", "train", "val", "unlabeled", "__background__", "bolt", "볼트", "null", "-1", "1", "1e999", "NaN", "xywh",
    "xyxy", "no", "{", "\ud83d", "object_detection", "semantic_segmentation", "a" * 5000, "s3://x/", "masks/x.png",
]  # fmt: skip
KEYS = [
    "id", "image_id", "category_id", "class_id", "bbox", "bbox_format", "segmentation", "keypoints", "num_keypoints",
    "file_name", "width", "height", "split", "annotation", "annotations", "metadata", "status", "classes", "categories",
    "images", "split_config", "splits", "method", "ratio", "seed", "exclude_images", "stratify", "group_by",
    "storage_info", "image_root", "format_version", "task_type", "iscrowd", "area", "mask_file", "counts", "size",
    "skeleton", "name", "supercategory", "class_name", "x",
]  # fmt: skip
SHAPES = ["bbox", "segmentation", "keypoints", "area"]
TOKENS = [
    b"", b"0", b"-1", b"1e5", b"nan", b"inf", b"1.0000001", b"99", b"x", b"\xff\xfe", b"\0", b":", b"- ", b"&a", b"*a",
    b"!!python/object:os.system", b"<<: *a", b"[", b"]", b"{", b"}", b"\t", b"'", b'"', b"|", b"#", b"---", b"~",
    b"null", b"<", b">", b"</annotation>", b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>", b"&x;", b"&#0;",
    b"<![CDATA[", b"train", b"../../etc", b"/etc/passwd", b"images/train", b"http://x/y.zip", b"1 2 3 4 5 6 7 8 9 10",
    b"\r\n", b" ", "볼트".encode(), b"\xc0\xaf", b"1_000", b"0x10", b"1,5", b"NaN NaN NaN NaN",
]  # fmt: skip

number = st.one_of(st.sampled_from(NUMBERS), st.integers(-5, 200), st.floats())
word = st.one_of(st.sampled_from(WORDS), st.sampled_from(NAMES), st.text(max_size=8))
leaf = st.one_of(st.none(), st.booleans(), number, word)
value = st.one_of(
    leaf,
    st.lists(number, max_size=10),
    st.lists(st.lists(number, max_size=8), max_size=3),
    st.dictionaries(st.one_of(st.sampled_from(KEYS), word), leaf, max_size=3),
    st.just([]),
    st.just({}),
    st.fixed_dictionaries(
        {"counts": st.one_of(st.lists(number, max_size=6), word), "size": st.lists(number, max_size=3)}
    ),
)
pick = st.integers(0, 2**16)


def _documents(tree: Tree) -> list[str]:
    return [name for name, node in tree.items() if name.endswith(".json") and isinstance(node, bytes)]


def _slots(found: Any) -> list[Slot]:
    """Lists every value of a JSON document by where it stands, in no more than a few thousand steps."""
    slots: list[Slot] = []
    waiting = [found]
    while waiting and len(slots) < 4000:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        slots += [(here, key) for key in keys]
        waiting += [here[key] for key in keys if isinstance(here[key], (dict, list))]
    return slots


def _json(change: Callable[[list[Slot], Any], None]) -> Mutation:
    def mutate(tree: Tree) -> None:
        for name in _documents(tree)[:1]:
            try:
                found = json.loads(tree[name])  # type: ignore[arg-type]
            except (ValueError, RecursionError):
                return
            if isinstance(found, (dict, list)) and (slots := _slots(found)):
                change(slots, found)
                tree[name] = json.dumps(found, ensure_ascii=False).encode("utf-8", "surrogatepass")

    return mutate


def _set(at: int, new: Any) -> Mutation:
    def change(slots: list[Slot], _: Any) -> None:
        here, key = slots[at % len(slots)]
        here[key] = new

    return _json(change)


def _set_named(key: str, at: int, new: Any) -> Mutation:
    """Sets a field that some object has, or gives it to one that has not."""

    def change(slots: list[Slot], _: Any) -> None:
        having = [here for here, own in slots if own == key] or [here for here, _ in slots if isinstance(here, dict)]
        if having:
            having[at % len(having)][key] = new

    return _json(change)


def _annotation(at: int, crowd: bool, key: str, place: int, new: Any) -> Mutation:
    """Sets one number of one annotation's shape, which may become a crowd: few other mutations get that deep."""

    def change(slots: list[Slot], _: Any) -> None:
        boxed = [here for here, own in slots if own == "bbox"]
        if not boxed:
            return
        one = boxed[at % len(boxed)]
        one.update({"iscrowd": 1} if crowd else {})
        within = _slots(one[key]) if isinstance(one.get(key), (dict, list)) else []
        here, own = within[place % len(within)] if within else (one, key)
        here[own] = new

    return _json(change)


def _drop(at: int) -> Mutation:
    def change(slots: list[Slot], _: Any) -> None:
        here, key = slots[at % len(slots)]
        del here[key]

    return _json(change)


def _double(at: int) -> Mutation:
    def change(slots: list[Slot], _: Any) -> None:
        lists = [(here, key) for here, key in slots if isinstance(here, list)]
        if lists:
            here, key = lists[at % len(lists)]
            here.append(json.loads(json.dumps(here[key])))

    return _json(change)


def _swap(a: int, b: int) -> Mutation:
    def change(slots: list[Slot], _: Any) -> None:
        (one, i), (two, j) = slots[a % len(slots)], slots[b % len(slots)]
        copy = json.loads(json.dumps([one[i], two[j]]))
        one[i], two[j] = copy[1], copy[0]

    return _json(change)


def _wrap(at: int, how: int) -> Mutation:
    def change(slots: list[Slot], _: Any) -> None:
        here, key = slots[at % len(slots)]
        here[key] = [[here[key]], {"id": here[key]}, str(here[key])[:100]][how % 3]

    return _json(change)


def _name(tree: Tree, at: int) -> str | None:
    names = sorted(tree)
    return names[at % len(names)] if names else None


def _bytes(at: int, change: Callable[[bytes], bytes]) -> Mutation:
    def mutate(tree: Tree) -> None:
        # Texts decide more than pixels: they are chosen three times out of four.
        texts = [n for n in sorted(tree) if not n.endswith(".png") and isinstance(tree[n], bytes)]
        name = texts[at // 4 % len(texts)] if texts and at % 4 else _name(tree, at)
        node = tree.get(name or "")
        if name and isinstance(node, bytes):
            tree[name] = change(node)[:MOST]

    return mutate


def _flip(at: int, places: list[tuple[int, int]]) -> Mutation:
    def change(old: bytes) -> bytes:
        new = bytearray(old)
        for position, mask in places:
            if new:
                new[position % len(new)] ^= mask
        return bytes(new)

    return _bytes(at, change)


def _cut(at: int, length: int) -> Mutation:
    return _bytes(at, lambda old: old[: length % (len(old) + 1)])


def _insert(at: int, position: int, more: bytes) -> Mutation:
    def change(old: bytes) -> bytes:
        place = position % (len(old) + 1)
        return old[:place] + more + old[place:]

    return _bytes(at, change)


def _token(at: int, position: int, new: bytes) -> Mutation:
    """Replaces one word, number or tag of a text."""

    def change(old: bytes) -> bytes:
        spans = [found.span() for found in re.finditer(rb"[^\s<>:,\[\]{}\"]+", old[:20_000])]
        if not spans:
            return new
        start, end = spans[position % len(spans)]
        return old[:start] + new + old[end:]

    return _bytes(at, change)


def _lines(at: int, position: int, times: int) -> Mutation:
    """Drops a line, or repeats it."""

    def change(old: bytes) -> bytes:
        lines = old.split(b"\n")
        place = position % len(lines)
        return b"\n".join(lines[:place] + [lines[place]] * times + lines[place + 1 :])

    return _bytes(at, change)


def _file(at: int, deed: Callable[[Tree, str], None]) -> Mutation:
    def mutate(tree: Tree) -> None:
        if name := _name(tree, at):
            deed(tree, name)

    return mutate


def _rename(tree: Tree, name: str, new: str) -> None:
    folder = name.rpartition("/")[0]
    tree[f"{folder}/{new}" if folder else new] = tree.pop(name)


def _huge() -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IEND"


CONTENTS = [b"", b"\0" * 100, b"GIF89a\x40\0\x20\0\0\0\0;", _huge(), b"\xff\xd8\xff\xe0", b"[]", b"{}", b"[" * 5000,
            b"<a>" * 3000, b"- " * 3000, b"<annotation></annotation>", b"names: []", b"a: &a [*a]", b"\xef\xbb\xbf{}",
            b"RIFF\0\0\0\0WEBPVP8X", b"II*\0\x08\0\0\0\xff\xff", b"0 0.5 0.5 0.1 0.1\n" * 2000]  # fmt: skip
TARGETS = ["..", ".", "/etc/passwd", "/dev/zero", "t000.png", "../..", "nowhere", "annotations.json", "/"]
# A member may name a file outside; it must not be laid there by the test itself.
PLACES = [n for n in NAMES if n and ".." not in n and not n.startswith("/") and "\0" not in n and len(n) < 1000]

json_mutation = st.one_of(
    st.builds(_set, pick, value),
    st.builds(_set_named, st.sampled_from(KEYS), pick, value),
    st.builds(_set_named, st.sampled_from(KEYS), pick, leaf),
    st.builds(_annotation, pick, st.booleans(), st.sampled_from(SHAPES), pick, number),
    st.builds(_drop, pick),
    st.builds(_double, pick),
    st.builds(_swap, pick, pick),
    st.builds(_wrap, pick, pick),
)
text_mutation = st.one_of(
    st.builds(_token, pick, pick, st.sampled_from(TOKENS)),
    st.builds(_token, pick, pick, st.binary(max_size=6)),
    st.builds(_insert, pick, pick, st.sampled_from(TOKENS)),
    st.builds(_lines, pick, pick, st.sampled_from([0, 2, 3, 500])),
    st.builds(_flip, pick, st.lists(st.tuples(pick, st.integers(1, 255)), min_size=1, max_size=8)),
    st.builds(_cut, pick, pick),
)
file_mutation = st.one_of(
    st.builds(_file, pick, st.just(lambda tree, name: tree.pop(name))),
    st.builds(lambda at, new: _file(at, lambda tree, name: _rename(tree, name, new)), pick, st.sampled_from(PLACES)),
    st.builds(lambda at, new: _file(at, lambda tree, name: tree.update({name: new})), pick, st.sampled_from(CONTENTS)),
    st.builds(lambda at, to: _file(at, lambda t, name: t.update({name: Link(to)})), pick, st.sampled_from(TARGETS)),
    st.builds(_file, pick, st.just(lambda tree, name: tree.update({name: Folder()}))),
    st.builds(
        lambda at, new: _file(at, lambda t, name: t.update({f"{name.rpartition('/')[0]}/{new}".lstrip("/"): t[name]})),
        pick,
        st.sampled_from(PLACES),
    ),
    st.builds(lambda new, content: lambda tree: tree.update({new: content}),
              st.sampled_from(["data.yaml", "metadata.json", "annotations.json", "label_map.json", "Annotations/x.xml",
                               "labels/train/x.txt", "train/a/b.png", "ImageSets/Main/train.txt", "classes.txt",
                               "instances_a.json", "train.txt", "images/.DS_Store", "__MACOSX/._a.png"]),
              st.sampled_from(CONTENTS)),
)  # fmt: skip


def mutations(*, documents: bool) -> st.SearchStrategy[list[Mutation]]:
    """Gives one to four mutations; layouts with a JSON document are broken there most of the time."""
    kinds = [json_mutation] * 3 if documents else [text_mutation] * 2
    return st.lists(st.one_of(*kinds, text_mutation, file_mutation), min_size=1, max_size=4)
