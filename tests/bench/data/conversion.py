"""Prints what a COCO document of COCO-2017's size costs to convert to YOLO labels, beside ultralytics' own converter.

Run it as `python -m tests.bench.data.conversion [--quick] [--skip-peer]`; the peer alone takes three minutes.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from tests.bench.data.coco_document import FULL, cached
from tests.bench.data.measuring import ULTRALYTICS, Ran, measure, scratch, steps_python, table, verdict

TASKS = {"detection": (6.5, 800.0), "segmentation": (13.0, 1000.0)}  # goals: CPU seconds, MB
LINEAR = 1.15  # what of the growth in size the growth in cost may be more
COMPARED = 2_000  # label files
CLOSE = 1e-5  # of the image's side
BARE = """
import os, sys
folder, count, text = sys.argv[1], int(sys.argv[2]), b"0" * int(sys.argv[3])
os.mkdir(folder)
place = os.open(folder, os.O_RDONLY)
for number in range(count):
    file = os.open(f"{number:012d}.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=place)
    os.write(file, text)
    os.close(file)
"""
PEER = "import sys; from ultralytics.data.converter import convert_coco as c; c(sys.argv[1], sys.argv[2], {segments})"


def ours(document: Path, out: Path, task: str) -> Ran:
    """Converts with the command that people use, labels only."""
    words = ["-m", "steps.convert", "convert", document.parent, out, "--to", "yolo", "--task", task, "--labels-only"]
    return measure([steps_python(), *words])


def peer(document: Path, out: Path, task: str) -> Ran:
    """Converts with ultralytics."""
    code = PEER.format(segments=task == "segmentation")
    settings = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_CONFIG_DIR": str(out.parent)}
    return measure([ULTRALYTICS, "-c", code, document.parent, out], env=settings)


def bare_files(images: int, of: Path, out: Path) -> Ran:
    """Writes as many files of the same mean size, and does nothing else: what no converter can go below."""
    some = list(itertools.islice((of / "labels").rglob("*.txt"), COMPARED))
    size = sum(path.stat().st_size for path in some) // len(some)
    return measure([steps_python(), "-c", BARE, out, images, size])


def labels(root: Path) -> dict[str, list[list[float]]]:
    """Reads the first label files by name, those of images without labels left out: the peer writes none for them."""
    files = sorted((root / "labels").rglob("*.txt"), key=lambda path: path.name)
    full = (path for path in files if path.stat().st_size)
    return {
        path.name: sorted([float(n) for n in line.split()] for line in path.read_text().splitlines())
        for path in itertools.islice(full, COMPARED)
    }


def agreement(here: Path, there: Path) -> str:
    """Says how far two label folders agree; outlines of several parts are joined differently by everyone."""
    mine, theirs = labels(here), labels(there)
    shared = mine.keys() & theirs.keys()
    if len(shared) < len(theirs):
        return f"{len(theirs) - len(shared)} of {len(theirs)} files are missing"
    equal = differ = 0
    for name in shared:
        if len(mine[name]) != len(theirs[name]):
            return f"{name}: {len(mine[name])} labels, the peer {len(theirs[name])}"
        for a, b in zip(mine[name], theirs[name], strict=True):
            close = len(a) == len(b) and all(abs(x - y) < CLOSE for x, y in zip(a, b, strict=True))
            equal, differ = equal + close, differ + (not close)
    return f"{equal:,} labels of {len(shared):,} files are equal within {CLOSE}, {differ:,} are not"


def full_size(images: int, folder: Path, *, with_peer: bool) -> None:
    """Prints the tables of both tasks at one size."""
    document = cached(images)
    for task, (seconds, memory) in TASKS.items():
        rows: list[list[object]] = []
        runs = [("ours", 0), ("ultralytics", 0), ("ours", 1)] if with_peer else [("ours", 0), ("ours", 1)]
        found: dict[str, Ran] = {}
        for who, turn in runs:
            out = folder / f"{task}-{who}-{turn}"
            ran = (ours if who == "ours" else peer)(document, out, task)
            rows.append([who, ran.wall, ran.cpu, ran.user, ran.system, ran.memory])
            if who not in found or ran.cpu < found[who].cpu:
                found[who] = ran
        bare = bare_files(images, folder / f"{task}-ours-0", folder / f"{task}-bare")
        rows.append(["as many bare files", bare.wall, bare.cpu, bare.user, bare.system, bare.memory])
        size = document.stat().st_size / 1e6
        title = f"COCO document → YOLO {task} labels: {images:,} images, {size:,.0f} MB of JSON"
        table(title, ["", "wall s", "CPU s", "user", "system", "peak MB"], rows)
        best = found["ours"]
        print(f"of ours {best.cpu - bare.cpu:.2f} CPU-s convert; the files alone take {bare.cpu:.2f} on this disk now")
        if images == FULL:
            print(f"goal ≤ {seconds} CPU-s: {best.cpu:.2f}, {verdict(best.cpu, seconds)}")
            print(f"goal ≤ {memory:.0f} MB: {best.memory:.0f}, {verdict(best.memory, memory)}")
        if with_peer:
            beside = found["ultralytics"]
            print(f"ultralytics costs {beside.cpu / best.cpu:.1f}× CPU and {beside.memory / best.memory:.1f}× memory")
            print(agreement(folder / f"{task}-ours-0", folder / f"{task}-ultralytics-0"))


def growth(sizes: list[int], folder: Path) -> None:
    """Prints time and memory against size."""
    rows: list[list[object]] = []
    for task in TASKS:
        for images in sizes:
            ran = ours(cached(images), folder / f"growth-{task}-{images}", task)
            each = ran.cpu / images * 1e6
            rows.append([task, images, ran.wall, ran.cpu, each, ran.memory, ran.memory / images * 1000])
    head = ["YOLO labels", "images", "wall s", "CPU s", "CPU µs/image", "peak MB", "KB/image"]
    table("Time and memory against size (start of the interpreter included)", head, rows)
    for task in TASKS:
        # What is the same at every size weighs on the smallest alone.
        middle, largest = (row for row in rows if row[0] == task and row[1] in sizes[1:])
        more, time, memory = (float(str(largest[at])) / float(str(middle[at])) for at in (1, 3, 5))
        for what, times in (("CPU", time), ("memory", memory)):
            print(f"{task}, {more:.0f}× the images: {times:.1f}× the {what}, linear: {verdict(times, LINEAR * more)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 images instead of 118,000")
    parser.add_argument("--skip-peer", action="store_true", help="measure ours alone")
    args = parser.parse_args()
    with_peer = ULTRALYTICS.exists() and not args.skip_peer
    if not with_peer:
        print(f"without the peer{'' if args.skip_peer else f': there is no {ULTRALYTICS}'}")
    with scratch() as folder:
        full_size(5_000 if args.quick else FULL, folder, with_peer=with_peer)
        growth([500, 1_000, 5_000] if args.quick else [1_000, 10_000, 100_000], folder)


if __name__ == "__main__":
    main()
