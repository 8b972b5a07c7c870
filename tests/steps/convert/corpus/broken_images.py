"""Image files that are missing, broken, huge, odd or elsewhere, and names that trouble file systems."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from tests.steps.convert.corpus.case import Case, at, both, document
from tests.steps.convert.corpus.sample import renamed, sample

IMAGE = "images/t000.png"  # 64 × 32, image 1
NAMES = (
    "볼트 사진.png",
    "🔩 bolt.png",
    "Ünïcode.png",
    "a b  c.png",
    "#hash%41.png",
    "quote'\".png",
    "-rf.png",
    "v.png",
)


def _case(name: str, breaks: object, code: str | None, *says: str, **more: object) -> Case:
    return Case(name=name, breaks=breaks, code=code, says=says, **more)  # type: ignore[arg-type]


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and brings no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    more = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"\x89PNG\r\n\x1a\n" + chunk + more + b"\0\0\0\0IEND\xaeB`\x82"


def _put(name: str = IMAGE, *, mode: str = "RGB", size: tuple[int, int] = (64, 32), **save: Any) -> Any:
    """Puts another image in the place of the first."""

    def breaks(root: Path) -> None:
        (root / IMAGE).unlink()
        Image.new(mode, size, None).save(root / name, **save)

    return breaks


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _bytes(change: Any) -> Any:
    return lambda root: (root / IMAGE).write_bytes(change((root / IMAGE).read_bytes()))


def _link(target: str) -> Any:
    def breaks(root: Path) -> None:
        (root / IMAGE).unlink()
        (root / IMAGE).symlink_to(target)

    return breaks


def _link_out(root: Path) -> None:
    outside = root.parent / "outside.png"
    os.rename(root / IMAGE, outside)
    (root / IMAGE).symlink_to(outside)


def _folder_out(root: Path) -> None:
    os.rename(root / "images", root.parent / "elsewhere")
    (root / "images").symlink_to(root.parent / "elsewhere")


def _swap(make: Any) -> Any:
    def breaks(root: Path) -> None:
        (root / IMAGE).unlink()
        make(root / IMAGE)

    return breaks


def _frames(root: Path) -> None:
    frames = [Image.new("RGB", (64, 32), color) for color in ("red", "green", "blue")]
    frames[0].save(root / IMAGE, format="WEBP", save_all=True, append_images=frames[1:])


JPG = at("images", 0, file_name="t000.jpg")
BROKEN = [
    _case("image missing", lambda root: (root / IMAGE).unlink(), "image_missing", "image 1", IMAGE),
    _case("image of 0 bytes", _bytes(lambda b: b""), "image_unreadable", "image 1", "empty"),
    _case("image a text", _bytes(lambda b: b"x" * 99), "image_unreadable", "image 1"),
    _case("image an HTML page", _bytes(lambda b: b"<html>404</html>"), "image_unreadable", "image 1"),
    _case("image cut in its header", _bytes(lambda b: b[:20]), "image_unreadable", "image 1"),
    _case("PNG cut in its pixels", _bytes(lambda b: b[: len(b) // 2]), "image_truncated", "image 1"),
    _case("PNG with a changed byte", _bytes(lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:]), "image_damaged",
          "image 1", "IDAT"),
    _case("PNG without its pixels", _bytes(lambda b: b[:33] + b[-12:]), "image_damaged", "image 1", "no pixels"),
    _case("JPEG without its end", both(_put("images/t000.jpg"), JPG, lambda root: (root / "images/t000.jpg")
          .write_bytes((root / "images/t000.jpg").read_bytes()[:-2])), "image_cut", "image 1", level="warning"),
    _case("image of another size", _put(size=(30, 20)), "size_mismatch", "image 1", "30×20"),
    _case("PNG that claims 60,000 × 60,000", _bytes(lambda b: _png_header(60_000, 60_000)), "image_huge", "image 1",
          along=frozenset({"size_mismatch", "image_unreadable"})),
    _case("PNG and document claim 60,000 × 60,000", both(_bytes(lambda b: _png_header(60_000, 60_000)),
          at("images", 0, width=60_000, height=60_000)), "image_huge", "image 1",
          along=frozenset({"image_unreadable"})),
    _case("PNG that claims 2**31 pixels a side", _bytes(lambda b: _png_header(2**31 - 1, 2**31 - 1)),
          "image_huge", "image 1", along=frozenset({"size_mismatch", "image_unreadable"})),
    _case("PNG that claims no pixels", _bytes(lambda b: _png_header(0, 0)), "image_unreadable", "image 1",
          along=frozenset({"size_mismatch"})),
    _case("image a folder", _swap(lambda path: path.mkdir()), "image_unreadable", "image 1",
          along=frozenset({"image_missing"})),
    _case("image a pipe", _swap(os.mkfifo), "image_unreadable", "image 1", "a pipe",
          along=frozenset({"image_missing"})),
    _case("image a link to itself", _link("t000.png"), "image_unreadable", "image 1",
          along=frozenset({"image_missing", "link_loop"})),
    _case("image a link to nothing", _link("nowhere.png"), "image_missing", "image 1"),
    _case("image a device", _link("/dev/zero"), "path_unsafe", "image 1", along=frozenset({"image_unreadable"})),
    _case("image a link out", _link_out, "path_unsafe", "image 1", "leaves the dataset"),
    _case("folder of images a link out", _folder_out, "path_unsafe", "image 1", "leaves the dataset"),
    _case("image root with links in a circle", lambda root: (root / "images/loop").symlink_to("."), None),
]  # fmt: skip

ODD = [
    _case("photo turned by EXIF, annotated as stored", both(_put("images/t000.jpg", exif=_turned(6)), JPG),
          "image_turned", "image 1"),
    _case("photo turned by EXIF, annotated as shown", both(_put("images/t000.jpg", size=(32, 64), exif=_turned(8)),
          JPG), "image_turned", "image 1", level="warning"),
    _case("photo upside down by EXIF", both(_put("images/t000.jpg", exif=_turned(3)), JPG), "image_turned",
          "image 1", level="warning"),
    _case("JPEG in CMYK", both(_put("images/t000.jpg", mode="CMYK"), JPG), "image_cmyk", "image 1", level="warning"),
    _case("PNG of 16 bits", _put(mode="I;16"), "image_deep", "image 1", level="warning"),
    _case("PNG grey with alpha is read", _put(mode="LA"), None),
    _case("PNG of one bit is read", _put(mode="1"), None),
    _case("GIF named PNG", _put(format="GIF"), "image_format", "image 1", "GIF", target="yolo"),
    _case("animated WebP", _frames, "image_animated", "image 1", target="yolo"),
    _case("JPEG named PNG is read", _put(format="JPEG"), None, target="yolo"),
    _case("BMP is read", both(_put("images/t000.bmp"), at("images", 0, file_name="t000.bmp")), None, target="yolo"),
    _case("TIFF is read", both(_put("images/t000.tif"), at("images", 0, file_name="t000.tif")), None, target="yolo"),
    _case("image of 4 pixels", both(_put(size=(4, 4)), at("images", 0, width=4, height=4),
          document(lambda v: v["annotations"].pop(0))), "image_small", "image 1", level="warning"),
    _case("the same picture in train and val", lambda root: (root / "images/v007.png").write_bytes(
          (root / "images/t001.png").read_bytes()), "duplicate_across_splits", level="warning",
          ),
]  # fmt: skip

NAMED = [
    _case("names of every script, emoji, blanks", lambda root: None, None, target="yolo",
          of=renamed(sample(), NAMES)),
    _case("names of every script in VOC", lambda root: None, None, target="yolo", layout="VOC",
          of=renamed(sample(), NAMES)),
    _case("names of every script in YOLO", lambda root: None, None, target="yolo", layout="YOLO",
          of=renamed(sample(), NAMES)),
    _case("names that differ in case alone", lambda root: None, None, target="yolo",
          of=renamed(sample(4), ("a.png", "A.png", "b.png", "B.PNG"))),
    _case("names that are one once flattened", lambda root: None, None, target="yolo",
          of=renamed(sample(4), ("a/b.png", "a__b.png", "a__b-1.png", "a__b-2.png"))),
    _case("names that differ in their suffix alone", both(
          lambda root: Image.new("RGB", (64, 32)).save(root / "images/t001.jpg"),
          at("images", 1, file_name="t001.jpg", width=64, height=32),
          lambda root: os.rename(root / IMAGE, root / "images/t001.png"), at("images", 0, file_name="t001.png"),
          document(lambda v: v.update(annotations=v["annotations"][:1]))), None, target="yolo"),
    _case("Korean name in the other normal form", at("images", 0, file_name="\u1107\u1169\u11af\u1110\u1173.png"),
          "name_form", "1 images", of=renamed(sample(2), ("볼트.png", "v.png")), level="warning"),
    _case("names with dots and slashes too many", document(lambda v: [i.update(file_name=f".//{i['file_name']}")
          for i in v["images"]]), None, target="yolo"),
    _case("name of 250 bytes", lambda root: None, None, target="yolo",
          of=renamed(sample(2), ("x" * 246 + ".png", "v.png"))),
    _case("path of 30 folders", lambda root: None, None, target="yolo",
          of=renamed(sample(2), ("deep/" * 30 + "a.png", "v.png"))),
    _case("names that say other formats", both(lambda root: os.rename(root / IMAGE, root / "images/t000.exe"),
          at("images", 0, file_name="t000.exe")), None, target="yolo"),
    _case("10,000 classes", document(lambda v: v["categories"].extend(
          {"id": 200 + n, "name": f"class {n}"} for n in range(10_000))), "class_empty", level="warning",
          target="yolo"),
    _case("class names of YAML and shells", document(lambda v: [c.update(name=name) for c, name in zip(
          v["categories"][1:], ("no: \"yes\" # $(rm) 'x'", "null\u2028볼트 🔩"), strict=True)]), None, target="yolo"),
]  # fmt: skip

CASES = [*BROKEN, *ODD, *NAMED]
