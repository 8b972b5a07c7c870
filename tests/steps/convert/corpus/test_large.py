"""A document of two gigabytes is read piece by piece, or refused at once where it is broken; memory stays bounded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.bench.data.measuring import Ran, measure, steps_python

GIGABYTE = 1_000_000_000
SIZE = 2 * GIGABYTE
MOST = 1200.0  # MB: the document itself is never held


def room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        pytest.skip(f"{needed / GIGABYTE:.0f} GB of disk are needed, {free / GIGABYTE:.1f} GB are free")


def check(root: Path) -> tuple[Ran, dict[str, Any]]:
    ran = measure([steps_python(), "-m", "steps.convert", "check", root, "--task", "detection"], codes=(0, 1))
    return ran, json.loads(ran.out)


def test_a_sparse_document_of_two_gigabytes_is_refused_at_its_first_hole(tmp_path: Path) -> None:
    """The file takes no room on the disk: the hole is zeros, which no JSON holds."""
    with (tmp_path / "annotations_detection.json").open("wb") as file:
        file.write(b'{"categories":[{"id":1,"name":"bolt"}],"images":[],"annotations":[')
        file.truncate(SIZE)
    ran, report = check(tmp_path)
    assert [problem["code"] for problem in report["errors"]] == ["document_broken"]
    assert ran.memory < MOST


@pytest.mark.skipif("FUZZ_EXAMPLES" not in os.environ, reason="takes a minute: `make fuzz` runs it")
def test_a_sound_document_of_two_gigabytes_is_converted(tmp_path: Path) -> None:
    room(tmp_path, SIZE + 2 * GIGABYTE)
    points = json.dumps([n % 60 + 0.25 for n in range(600)])[1:-1]
    images = 40_000
    name = '{"id":%d,"file_name":"%06d.png","width":64,"height":32}'
    label = f'{{"id":%d,"image_id":%d,"category_id":1,"bbox":[%d,2,30,20],"segmentation":[[{points}]]}}'
    (root := tmp_path / "dataset").mkdir()
    with (root / "annotations_detection.json").open("w") as file:
        file.write('{"categories":[{"id":1,"name":"bolt"}],"images":[')
        file.write(",".join(name % (n, n) for n in range(1, images + 1)))
        file.write('],"annotations":[')
        made = 0
        while file.tell() < SIZE:
            rows = range(made, made + 1000)
            file.write(",".join(label % (n, n % images + 1, n // images % 30) for n in rows) + ",")
            made += 1000
        file.write(label % (made, 1, 33) + "]}")
    out = tmp_path / "yolo"
    command = [steps_python(), "-m", "steps.convert", "convert", root, out, "--to", "yolo"]
    ran = measure([*command, "--task", "detection", "--labels-only"])
    print(f"2 GB: {ran.wall:.1f} s, {ran.cpu:.1f} CPU-s, {ran.memory:.0f} MB")
    assert sum(path.read_bytes().count(b"\n") for path in out.rglob("labels/*/*.txt")) == made + 1
    assert ran.memory < MOST
