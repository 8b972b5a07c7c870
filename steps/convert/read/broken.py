"""Says where a document is broken: line and column of the first place that makes no sense."""

import json
from pathlib import Path

from steps.convert.problems import DatasetRefused, Problem

PARSED_AGAIN = 1 << 26  # bytes up to which the standard parser is asked for its words
BLOCK = 1 << 22


class BrokenJson(Exception):
    """A document that cannot be understood at `offset` bytes; `kind` names what stands there instead of an object."""

    def __init__(self, message: str, offset: int, *, kind: str = "", cure: str = "") -> None:
        super().__init__(message)
        self.message, self.offset, self.kind, self.cure = message, offset, kind, cure


def refusal(path: Path, name: str, error: BrokenJson) -> DatasetRefused:
    """Gives the refusal for a document, in the words of the standard parser where it finds the place as well."""
    if error.cure:
        return DatasetRefused([_problem(name, error.message, error.cure)])
    if path.stat().st_size <= PARSED_AGAIN and (exact := _parse(path.read_bytes(), name)):
        return exact
    if error.kind:
        message = f"recognised as an unknown layout ({name} is a JSON {error.kind}, not an object)"
        problem = Problem(code="layout_unsupported", file=name, message=message, cure="convert it to DICE 1.0 (D1)")
        return DatasetRefused([problem])
    line, column = _place(path, error.offset)
    where = f"line {line}, column {column}"
    if "UTF" in error.message:
        return DatasetRefused([_problem(name, f"{error.message} (line {line})", "save it as UTF-8")])
    return DatasetRefused([_problem(name, f"broken JSON at {where}: {error.message}", f"mend {where}")])


def _parse(raw: bytes, name: str) -> DatasetRefused | None:
    if b"\0" in raw[:4] or raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return DatasetRefused([_problem(name, f"it is not UTF-8 text (line {line})", "save it as UTF-8")])
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return DatasetRefused([_problem(name, f"broken JSON at {place}: {error.msg}", f"mend {place}")])
    except (RecursionError, ValueError) as error:
        return DatasetRefused([_problem(name, f"unreadable JSON: {error}", "export the document again")])
    return None


def _place(path: Path, offset: int) -> tuple[int, int]:
    line, column = 1, 0
    with open(path, "rb") as file:
        while offset > 0 and (block := file.read(min(BLOCK, offset))):
            offset -= len(block)
            newlines = block.count(b"\n")
            line += newlines
            column = len(block) - block.rfind(b"\n") - 1 if newlines else column + len(block)
    return line, column + 1


def _problem(name: str, message: str, cure: str) -> Problem:
    return Problem(code="document_broken", file=name, message=message, cure=cure)
