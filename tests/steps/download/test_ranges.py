"""A zip in a bucket is read where it lies: in parts, never stored twice, refused before anything is written."""

import random
import zipfile
from pathlib import Path

import pytest

from steps.download.archive import Archive
from steps.download.objects import Objects
from steps.download.reader import RANGE, RangeReader
from steps.trainer_sdk import Storage, TrainerError
from tests.steps.download.faulty import Faulty
from tests.steps.download.running import run_step
from tests.steps.download.s3 import S3
from tests.steps.download.test_download import files

METHODS = {
    "stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA,
}  # fmt: skip


def noise(name: str, size: int) -> bytes:
    """Gives bytes that hardly pack."""
    return random.Random(name).randbytes(size)


def pack(path: Path, method: int, *, count: int = 40, size: int = 8192) -> dict[str, bytes]:
    """Writes a zip of `count` small files and a large one; gives its content."""
    content = {f"images/{n:03}.png": noise(str(n), size) for n in range(count)}
    content["images/large.png"] = noise("large", 2 * RANGE)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    return content


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_entry_comes_whole_from_a_bucket(tmp_path: Path, s3: S3, method: str) -> None:
    content = pack(s3.folder / f"bucket/{method}.zip", METHODS[method])
    ran = run_step("download", tmp_path / "w", **s3.environment, DATASET_S3_URI=f"s3://bucket/{method}.zip")
    assert ran.code == 0, ran.out
    assert files(tmp_path / "w/dataset") == content
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".zip" or path.name.startswith(".")]


def test_each_part_is_fetched_about_once(faulty: Faulty, tmp_path: Path) -> None:
    content = pack(tmp_path / "ds.zip", zipfile.ZIP_DEFLATED, count=200)
    faulty.objects["ds.zip"] = (tmp_path / "ds.zip").read_bytes()
    ran = run_step("download", tmp_path / "w", **faulty.environment, DATASET_S3_URI="s3://bucket/ds.zip")
    assert (ran.code, files(tmp_path / "w/dataset")) == (0, content)
    assert faulty.sent < 1.5 * len(faulty.objects["ds.zip"]) + (1 << 20)


def test_a_part_that_breaks_off_is_fetched_again(faulty: Faulty, tmp_path: Path) -> None:
    content = pack(tmp_path / "ds.zip", zipfile.ZIP_STORED)
    faulty.objects["ds.zip"] = (tmp_path / "ds.zip").read_bytes()
    faulty.faults["ds.zip"] = ["cut", "", "cut", "503"]
    ran = run_step("download", tmp_path / "w", **faulty.environment, DATASET_S3_URI="s3://bucket/ds.zip")
    assert (ran.code, files(tmp_path / "w/dataset")) == (0, content), ran.out


def test_a_damaged_part_is_refused_by_its_checksum(faulty: Faulty, tmp_path: Path) -> None:
    pack(tmp_path / "ds.zip", zipfile.ZIP_STORED, count=2)
    raw = bytearray((tmp_path / "ds.zip").read_bytes())
    raw[200] ^= 1
    faulty.objects["ds.zip"] = bytes(raw)
    ran = run_step("download", tmp_path / "w", **faulty.environment, DATASET_S3_URI="s3://bucket/ds.zip")
    assert (ran.code, "images/000.png cannot be unpacked: its checksum is wrong" in ran.cause) == (1, True)
    assert "images/000.png" not in files(tmp_path / "w/dataset")


def test_a_dangerous_zip_is_refused_before_anything_is_written(faulty: Faulty, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a.png", noise("a", 1 << 20))
        archive.writestr("../../b.png", "b")
    faulty.objects["bad.zip"] = (tmp_path / "bad.zip").read_bytes()
    ran = run_step("download", tmp_path / "w", **faulty.environment, DATASET_S3_URI="s3://bucket/bad.zip")
    assert (ran.code, "climbs with `..`" in ran.cause) == (1, True)
    assert not (tmp_path / "w/dataset").exists()


def test_any_span_is_what_the_object_holds(s3: S3) -> None:
    body = noise("span", 3 * RANGE + 320)
    (s3.folder / "bucket/span").write_bytes(body)
    storage = Storage(s3.environment)
    objects = Objects("bucket", storage=storage)
    listed = objects.head("span")
    assert listed is not None
    reader = RangeReader(objects, "span", listed=listed, storage=storage)
    for start, count in ((0, 10), (RANGE - 5, 10), (RANGE, RANGE), (2 * RANGE + 1, 5 * RANGE), (len(body) - 3, 100)):
        assert reader.at(start, count) == body[start : start + count]
    reader.close()
    assert reader.fetched <= len(body)
    archive = Archive(reader, uri="s3://bucket/span")
    with pytest.raises(TrainerError, match="cannot be unpacked"):
        archive.sizes()
