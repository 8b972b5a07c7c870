"""Options that say how a dataset is divided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.fault import Exit, Fault

Ratio = Annotated[
    str | None, typer.Option("--ratio", metavar="TRAIN,VAL[,TEST]", help="Divide by ratio, such as 0.8,0.1,0.1.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Of the automatic split; default: 42.", min=0)]
SplitText = Annotated[
    str | None, typer.Option("--split", metavar="JSON|@FILE", help="The whole split as in a job file, as JSON.")
]


def the_split(ratio: str | None, seed: int | None, text: str | None, **more: Any) -> dict[str, Any] | None:
    """Returns a split in the job file's words, None where nothing is asked for; raises Fault."""
    asked = _read(text) if text is not None else {}
    if ratio is not None:
        try:
            asked["ratio"] = [float(part) for part in ratio.replace("/", ",").replace(":", ",").split(",")]
        except ValueError:
            raise _wrong(f"--ratio {ratio!r} is no list of numbers", "write for example 0.8,0.1,0.1") from None
    if seed is not None:
        asked["seed"] = seed
    asked |= {name: value for name, value in more.items() if value is not None}
    if not asked:
        return None
    # Looked at here: a path needs no API to say what is wrong.
    from pydantic import ValidationError

    from workflows.split import Split

    try:
        return Split.model_validate(asked).config()
    except ValidationError as error:
        first = error.errors()[0]
        context = first.get("ctx") or {}
        field = context.get("field") or ".".join(str(part) for part in first["loc"])
        raise _wrong(
            f"split: {field}: {first['msg']}", str(context.get("cure") or "see the README's job file")
        ) from None


def split_words_of(asked: dict[str, Any] | None, work: Path) -> list[str]:
    """Returns the program's option for a split; by a file, since a list of images may be long."""
    if asked is None:
        return []
    file = work / "split-request.json"
    file.write_text(json.dumps(asked))
    return ["--split", f"@{file}"]


def _read(text: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(text[1:]).expanduser().read_bytes() if text.startswith("@") else text)
    except FileNotFoundError:
        raise Fault(f"there is no file {text[1:]}", cure="check the path", exit_code=Exit.NOT_FOUND) from None
    except ValueError as error:
        raise _wrong(f"--split is no JSON: {error}", "write for example '{\"ratio\": [0.8, 0.2]}'") from None
    if not isinstance(value, dict):
        raise _wrong("--split is no JSON object", "write for example '{\"ratio\": [0.8, 0.2]}'")
    # What `split --out` wrote holds the lists of ids: they are a split, too.
    if isinstance(value.get("ids"), dict):
        splits = {str(id): part for part in ("train", "val", "test") for id in value["ids"].get(part) or []}
        left_out = [str(id) for id in value["ids"].get("left_out") or []]
        return {"method": "manual", "splits": splits, "exclude_images": left_out}
    return value


def _wrong(message: str, cure: str) -> Fault:
    return Fault(message, cure=cure, exit_code=Exit.USAGE)
