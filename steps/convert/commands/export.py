"""The command `export`: a self-contained copy of a dataset, as a folder or as a zip that is the same every time."""

import os
import shutil
import stat
import tempfile
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from steps.convert.check.files import Progress, tell_bytes
from steps.convert.check.inspection import Inspection, inspect
from steps.convert.commands.making import make
from steps.convert.commands.output import check_out, whole_file, whole_folder
from steps.convert.commands.speaking import Speaker
from steps.convert.commands.usage import Usage

SETTLED = (1980, 1, 1, 0, 0, 0)  # the date of every entry: when it was packed is no content
STORED = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".mpo", ".tif", ".tiff", ".zip"})  # small already
BLOCK = 1 << 20


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives what conversion.json holds and the size of the copy; nothing is written for a dataset with errors."""
    zipped = options.out.suffix.lower() == ".zip"
    if not zipped or options.out.is_dir():
        check_out(options.out, options.root)
    elif (os.path.realpath(options.out) + os.sep).startswith(os.path.realpath(options.root) + os.sep):
        raise Usage(f"{options.out} lies inside the dataset {options.root}, which is never written to")
    found = inspect(
        options.root,
        task=options.task,
        split=options.split,
        target=options.to,
        contained=options.contained,
        everything=True,
        progress=progress,
    )
    if not found.sound:
        return {**found.report(), "target": options.to}, 1
    if not zipped:
        with whole_folder(options.out) as fresh:
            made = _write(found, options.to, fresh, copy=True, progress=progress)
            size = sum(path.stat().st_size for path in fresh.rglob("*") if path.is_file())
        return {**made, "bytes": size}, 0
    with whole_file(options.out) as part:
        # Beside the zip, so that images can be linked and what is too much for the disk shows at once.
        scratch = Path(tempfile.mkdtemp(prefix=".export-", dir=part.parent))
        try:
            made = _write(found, options.to, scratch / "dataset", copy=False, progress=progress)
            pack(scratch / "dataset", part, progress=progress)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return {**made, "bytes": options.out.stat().st_size}, 0


def _write(found: Inspection, target: str, folder: Path, *, copy: bool, progress: Progress | None) -> dict[str, Any]:
    made = make(found, target=target, folder=folder, final=folder, copy=copy, progress=progress)
    yaml = folder / "data.yaml"
    if yaml.is_file():
        # Without a path the trainers look beside the file itself: right wherever the copy is put.
        lines = yaml.read_text(encoding="utf-8").splitlines(keepends=True)
        yaml.write_text("".join(line for line in lines if not line.startswith("path:")), encoding="utf-8")
    return made


def pack(folder: Path, out: Path, *, progress: Progress | None = None) -> None:
    """Packs a folder: names sorted, dates and modes fixed, links followed, images stored as they are."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(out, "x", allowZip64=True) as archive:
        for done, name in enumerate(names, 1):
            entry = zipfile.ZipInfo(name, date_time=SETTLED)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3
            packed = Path(name).suffix.lower() not in STORED
            entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            path = folder / name
            entry.file_size = path.stat().st_size
            with open(path, "rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, BLOCK)
            if progress:
                tell_bytes(progress, "pack", done, len(names), moved=path.stat().st_size)
