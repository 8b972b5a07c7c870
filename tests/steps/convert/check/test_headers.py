"""What the own header reader says of an image is what a decoder says of it; what is broken is told, never raised."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from steps.convert.check.files import ImageFile, read_images
from steps.convert.check.headers import Unread, Window, read_header
from steps.convert.check.inspection import inspect
from tests.steps.convert.making import document, write

PIXELS = np.random.default_rng(5).integers(0, 255, (37, 53, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)


def exif(orientation: int, *, order: str = "<") -> bytes:
    tags = Image.Exif()
    tags.endian = order
    tags[0x010E] = "made " * 9
    tags[0x0112] = orientation
    return tags.tobytes()


def saved(image: Image.Image = RGB, **options: Any) -> bytes:
    data = BytesIO()
    image.save(data, **options)
    return data.getvalue()


DEEP = Image.fromarray(np.arange(37 * 53, dtype=np.uint16).reshape(37, 53) * 30)
FRAMES = {"save_all": True, "append_images": [RGB.rotate(9), RGB.rotate(99)]}
KINDS: list[tuple[str, bytes, dict[str, Any]]] = [
    ("jpeg", saved(format="JPEG"), {"format": "JPEG"}),
    ("progressive jpeg", saved(format="JPEG", progressive=True), {"format": "JPEG"}),
    ("grey jpeg", saved(RGB.convert("L"), format="JPEG"), {"format": "JPEG", "cmyk": False}),
    ("cmyk jpeg", saved(RGB.convert("CMYK"), format="JPEG"), {"format": "JPEG", "cmyk": True}),
    ("jpeg with a long comment", saved(format="JPEG", comment=b"x" * 60_000), {"format": "JPEG"}),
    ("jpeg with a profile", saved(format="JPEG", icc_profile=b"p" * 9_000), {"format": "JPEG"}),
    *((f"jpeg turned {n}", saved(format="JPEG", exif=exif(n)), {"orientation": n}) for n in range(1, 9)),
    ("jpeg turned, the other byte order", saved(format="JPEG", exif=exif(6, order=">")), {"orientation": 6}),
    ("jpeg turned nowhere", saved(format="JPEG", exif=exif(77)), {"orientation": 1}),
    ("png", saved(format="PNG"), {"format": "PNG", "depth": 8}),
    ("palette png", saved(RGB.quantize(16), format="PNG"), {"format": "PNG"}),
    ("16-bit png", saved(DEEP, format="PNG"), {"format": "PNG", "depth": 16}),
    ("animated png", saved(format="PNG", **FRAMES), {"format": "PNG", "animated": True}),
    ("webp", saved(format="WEBP"), {"format": "WEBP", "animated": False}),
    ("lossless webp", saved(format="WEBP", lossless=True), {"format": "WEBP"}),
    ("webp with alpha", saved(RGB.convert("RGBA"), format="WEBP"), {"format": "WEBP"}),
    ("webp turned", saved(format="WEBP", exif=exif(8)), {"format": "WEBP", "orientation": 8}),
    ("animated webp", saved(format="WEBP", **FRAMES), {"format": "WEBP", "animated": True}),
    ("gif", saved(format="GIF"), {"format": "GIF", "animated": False}),
    ("animated gif", saved(format="GIF", **FRAMES), {"format": "GIF", "animated": True}),
    ("bmp", saved(format="BMP"), {"format": "BMP"}),
    ("tiff", saved(format="TIFF"), {"format": "TIFF"}),
    ("tiff turned", saved(format="TIFF", exif=exif(6)), {"format": "TIFF", "orientation": 6}),
    ("16-bit tiff", saved(DEEP, format="TIFF"), {"format": "TIFF", "depth": 16}),
]


def told(folder: Path, data: bytes) -> ImageFile:
    (folder / "a.bin").write_bytes(data)
    return read_images(folder, ["a.bin"], image_root=None, contained=True)[0]


@pytest.mark.parametrize(("data", "facts"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS])
def test_a_header_is_read_as_a_decoder_reads_it(tmp_path: Path, data: bytes, facts: dict[str, Any]) -> None:
    file = told(tmp_path, data)
    assert (file.problem, file.width, file.height, file.cut) == (None, 53, 37, False)
    assert {key: getattr(file, key) for key in facts} == facts
    assert file.size == len(data)


@pytest.mark.parametrize("data", [row[1] for row in KINDS], ids=[row[0] for row in KINDS])
def test_an_image_cut_anywhere_is_read_or_told(tmp_path: Path, data: bytes) -> None:
    for length in {*range(80), *range(80, len(data), max(1, len(data) // 40))}:
        file = told(tmp_path, data[:length])
        assert file.problem or (file.width, file.height) == (53, 37)
        assert not file.problem or file.problem[0] in {"image_unreadable", "image_huge"}


@given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b""]))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_fall(tmp_path_factory: pytest.TempPathFactory, rest: bytes, start: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x"
    path.write_bytes(start + rest)
    with open(path, "rb") as file:
        try:
            header = read_header(Window(file.fileno(), len(start + rest)))
        except Unread:
            return
    assert header.width > 0
    assert header.height > 0


def _png(width: int, height: int) -> bytes:
    data = bytearray(saved(format="PNG"))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(data)


LOOKS = [
    ("cut off in the middle", saved(format="JPEG")[:-300], "image_truncated", "error"),
    ("progressive, cut off", saved(format="JPEG", progressive=True)[:-300], "image_truncated", "error"),
    ("only the end mark missing", saved(format="JPEG")[:-2], "image_cut", "warning"),
    ("something behind the end", saved(format="JPEG") + b"\0" * 50, "image_cut", "warning"),
    ("png without its end", saved(format="PNG")[:-200], "image_truncated", "error"),
    ("webp without its end", saved(format="WEBP")[:-200], "image_truncated", "error"),
    ("empty", b"", "image_unreadable", "error"),
    ("a bomb", _png(60_000, 60_000), "image_huge", "error"),
    ("cmyk", saved(RGB.convert("CMYK"), format="JPEG"), "image_cmyk", "warning"),
    ("16 bits", saved(DEEP, format="PNG"), "image_deep", "warning"),
    ("animated", saved(format="WEBP", **FRAMES), "image_animated", "error"),
]


@pytest.mark.parametrize(("data", "code", "level"), [row[1:] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_an_unusual_image_is_told_by_name(tmp_path: Path, data: bytes, code: str, level: str) -> None:
    value = document(4)
    value["images"][1].update(width=53, height=37)
    value["annotations"][1]["bbox"] = [1, 1, 20, 20]
    root = write(tmp_path / "ds", value)
    (root / "images/line/002.png").write_bytes(data)
    found = [(p.code, p.level, p.image_id) for p in inspect(root, task="object_detection").problems if p.image_id == 2]
    assert (code, level, 2) in found
    assert len(found) == 1


def test_links_are_followed_inside_the_dataset_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "images").mkdir(parents=True)
    (tmp_path / "away").mkdir()
    for folder in (home, tmp_path / "away"):
        (folder / "a.png").write_bytes(saved(format="PNG"))
    (home / "images/in.png").symlink_to(home / "a.png")
    (home / "images/out.png").symlink_to(tmp_path / "away/a.png")
    (home / "linked").symlink_to(tmp_path / "away")
    (home / "images/loop.png").symlink_to("loop.png")
    names = ["in.png", "out.png", "../linked/a.png", "loop.png", "x" * 4000, "x" * 300, "a\0b", ""]
    for contained, codes in (
        (
            True,
            [
                None,
                "path_unsafe",
                "path_unsafe",
                "image_unreadable",
                "path_unsafe",
                "image_unreadable",
                "path_unsafe",
                "path_unsafe",
            ],
        ),
        (
            False,
            [
                None,
                None,
                "path_unsafe",
                "image_unreadable",
                "path_unsafe",
                "image_unreadable",
                "path_unsafe",
                "path_unsafe",
            ],
        ),
    ):
        files = read_images(home, names, image_root=None, contained=contained)
        assert [file.problem and file.problem[0] for file in files] == codes
    (linked,) = read_images(home, ["linked/a.png"], image_root=None, contained=True)
    assert linked.problem
    assert linked.problem[0] == "path_unsafe"
