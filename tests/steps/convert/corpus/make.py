"""Makes the corpus: one folder for each broken dataset, with what must be told of it beside.

Run it as `python -m tests.steps.convert.corpus.make FOLDER [WORDS OF A NAME]`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.steps.convert.corpus import (
    broken_documents,
    broken_images,
    broken_nested,
    broken_splits,
    broken_voc,
    broken_yolo,
)
from tests.steps.convert.corpus.case import Case

TABLES = (broken_documents, broken_images, broken_nested, broken_splits, broken_voc, broken_yolo)
CASES: list[Case] = [case for table in TABLES for case in table.CASES]


def slug(case: Case) -> str:
    """Gives a folder name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{case.layout} {case.name}".lower()).strip("-")


def main(folder: Path, words: str = "") -> None:
    for case in CASES:
        if words not in case.name:
            continue
        case.make(folder / slug(case) / "dataset")
        expected = {"task": case.task, "code": case.code, "level": case.level, "says": case.says, "name": case.name}
        (folder / slug(case) / "expected.json").write_text(json.dumps(expected, indent=1))
        print(slug(case), case.code or "sound")


if __name__ == "__main__":
    main(Path(sys.argv[1]), " ".join(sys.argv[2:]))
