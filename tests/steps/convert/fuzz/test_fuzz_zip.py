"""Mutated zips are unpacked whole or refused by a reason for people: never a traceback, a hang or a stray write.

FUZZ_EXAMPLES sets how many datasets the fuzzing has in all; zips take a tenth of them. FUZZ_RANDOM=1 draws others.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from steps.download.step import run_step
from steps.trainer_sdk import TrainerError, TrainerSDK
from tests.steps.convert.fuzz.guard import guarded
from tests.steps.convert.fuzz.mutations import NAMES
from tests.steps.convert.fuzz.tree import fresh, place, remove

EXAMPLES = max(30, int(os.environ.get("FUZZ_EXAMPLES", "300")) // 10)
SIGNATURES = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
SYMLINK, PIPE, DEVICE = 0o120777, 0o010644, 0o060644
Change = Callable[[bytearray], None]


def packed(layout: str, entries: list[tuple[str, bytes, int, int]], *, deflated: bool) -> bytearray:
    """Packs a sound dataset and further entries: name, content, Unix mode, general flags."""
    out = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", kind) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that stand there twice are wanted
        for name, node in fresh(layout, "object_detection").items():
            assert isinstance(node, bytes)
            archive.writestr(name, node)
        for name, content, mode, flags in entries:
            entry = zipfile.ZipInfo("x")
            # Set afterwards: the constructor mends what it takes for a mistake.
            entry.filename, entry.external_attr, entry.flag_bits = name, mode << 16, flags
            entry.compress_type = kind
            with contextlib.suppress(ValueError, UnicodeEncodeError, struct.error):
                archive.writestr(entry, content)
    return bytearray(out.getvalue())


def _flip(position: int, mask: int) -> Change:
    def change(data: bytearray) -> None:
        if data:
            data[position % len(data)] ^= mask

    return change


def _header(which: int, offset: int, value: int, width: int) -> Change:
    """Sets a number in the header that some signature begins."""

    def change(data: bytearray) -> None:
        spots = [at for mark in SIGNATURES for at in _finds(data, mark)]
        if spots:
            at = spots[which % len(spots)] + 4 + offset
            new = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
            data[at : at + width] = new[: max(0, len(data) - at)]

    return change


def _finds(data: bytearray, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def _cut(length: int) -> Change:
    def change(data: bytearray) -> None:
        del data[length % (len(data) + 1) :]

    return change


def _insert(position: int, more: bytes) -> Change:
    def change(data: bytearray) -> None:
        at = position % (len(data) + 1)
        data[at:at] = more

    return change


far = st.integers(0, 2**20)
changes = st.lists(
    st.one_of(
        st.builds(_flip, far, st.integers(1, 255)),
        st.builds(_header, far, st.integers(0, 44), st.sampled_from([0, 1, 0xFFFF, 0xFFFFFFFF, 8, 12, 99]) | far,
                  st.sampled_from([1, 2, 4])),
        st.builds(_cut, far),
        st.builds(_insert, far, st.binary(max_size=40) | st.sampled_from(SIGNATURES)),
    ),
    max_size=5,
)  # fmt: skip
entries = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "annotations_detection.json", "images/t000.png", "images", "Images/T000.png"]),
        st.sampled_from([b"", b"x", b"\0" * 3_000_000, b"../../etc/passwd", b"/etc", b"PK\x03\x04"]),
        st.sampled_from([0, 0o644, 0o755 | 0o040000, SYMLINK, PIPE, DEVICE]),
        st.sampled_from([0, 0x800, 1, 8]),
    ),
    max_size=3,
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not os.environ.get("FUZZ_RANDOM"),
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    layout=st.sampled_from(["D1", "YOLO", "VOC"]), more=entries, deflated=st.booleans(), broken=changes,
    cached=st.booleans(),
)  # fmt: skip
@example(layout="D1", more=[], deflated=True, broken=[], cached=False)
@example(layout="YOLO", more=[], deflated=False, broken=[], cached=True)
def test_a_mutated_zip_is_unpacked_or_refused(
    layout: str, more: list[tuple[str, bytes, int, int]], deflated: bool, broken: list[Change], cached: bool
) -> None:
    data = packed(layout, more, deflated=deflated)
    for change in broken:
        change(data)
    folder = place()
    try:
        (folder / "dataset.zip").write_bytes(data)
        work = folder / "work"
        work.mkdir()
        env = {"DATASET_S3_URI": (folder / "dataset.zip").as_uri(), "WORK_DIR": str(work), "TMP_DIR": str(work),
               "STORAGE_TYPE": "file", "PATH": "/usr/bin"}  # fmt: skip
        env |= {"CACHE_DIR": str(work / "cache")} if cached else {}
        refused = ""
        with guarded(work), contextlib.redirect_stdout(io.StringIO()), TrainerSDK(env) as sdk:
            try:
                run_step(sdk)
            except TrainerError as error:
                refused = str(error)
                assert refused.strip()
                assert error.exit_code == 1, f"a broken zip is not mended by trying again: {error}"
        assert not refused or more or broken, refused
        if not refused:
            look_through(work / "dataset", work, enough=not more and not broken, layout=layout)
        assert {path.name for path in folder.iterdir()} == {"dataset.zip", "work"}
    finally:
        remove(folder)


def look_through(dataset: Path, work: Path, *, enough: bool, layout: str) -> None:
    """Nothing but files and folders came out, none of them above where it belongs."""
    inside = os.path.realpath(work) + os.sep
    found = {}
    for path in dataset.rglob("*"):
        assert os.path.realpath(path).startswith(inside), path
        assert path.is_dir() or path.is_file(), path
        if path.is_file():
            found[str(path.relative_to(dataset))] = path.read_bytes()
    if enough:
        assert found == fresh(layout, "object_detection")
