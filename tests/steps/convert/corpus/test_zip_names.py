"""Zips of Windows in Korea name their files in CP949, of old tools in CP437: what comes out is a sound dataset."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

import pytest

from steps.convert.check.inspection import inspect
from steps.download.step import run_step
from steps.trainer_sdk import TrainerSDK
from tests.steps.convert.corpus.layouts import write
from tests.steps.convert.corpus.sample import renamed, sample

KOREAN = ("볼트.png", "너트 (2).png", "공장/라인1/사진.png", "검사.png")
WESTERN = ("café.png", "Größe.png", "señal.png", "plain.png")


class Named(zipfile.ZipInfo):
    """An entry whose name is in the code page of its writer, and that does not say so."""

    def __init__(self, name: str, encoding: str) -> None:
        super().__init__(name)
        self.encoding = encoding

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


def pack(root: Path, target: Path, encoding: str | None) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = str(path.relative_to(root))
            entry = Named(name, encoding) if encoding else zipfile.ZipInfo(name)
            archive.writestr(entry, path.read_bytes())
    return target


@pytest.mark.parametrize(
    ("names", "encoding"),
    [(KOREAN, "cp949"), (KOREAN, "utf-8"), (KOREAN, None), (WESTERN, "cp437"), (WESTERN, None)],
    ids=["Korean in CP949", "Korean in UTF-8 unsaid", "Korean in UTF-8", "Western in CP437", "Western in UTF-8"],
)
@pytest.mark.parametrize("layout", ["D1", "YOLO"])
def test_names_of_every_code_page_come_out_as_meant(
    tmp_path: Path, names: tuple[str, ...], encoding: str | None, layout: str
) -> None:
    if layout == "YOLO":
        names = tuple(name.replace("/", "_") for name in names)
    root = write(layout, tmp_path / "ds", renamed(sample(4), names))
    archive = pack(root, tmp_path / "ds.zip", encoding)
    work = tmp_path / "work"
    work.mkdir()
    env = {"DATASET_S3_URI": archive.as_uri(), "WORK_DIR": str(work), "TMP_DIR": str(work), "STORAGE_TYPE": "file"}
    with contextlib.redirect_stdout(io.StringIO()), TrainerSDK(env) as sdk:
        assert run_step(sdk) == 0
    found = inspect(work / "dataset", task="object_detection", target="yolo", contained=True)
    assert found.sound, [problem.line() for problem in found.problems]
    came = {path.name for path in (work / "dataset").rglob("*.png")}
    assert came == {name.rpartition("/")[2] for name in names}
