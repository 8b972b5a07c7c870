"""Reads an uploaded zip off the wire: into a file of its own, within a limit, gone again when anything fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from api.artifacts.stored import told_as_problem
from api.datasets.place import wrong
from api.datasets.schemas import DatasetUpload
from api.errors import BadRequest, TiphysError

_MOST_TEXT = 4096
_MOST_FIELDS = 16


class DatasetTooLarge(TiphysError):
    """An upload beyond the limit of the settings."""

    code, status, title = "dataset_too_large", 413, "Dataset too large"


@asynccontextmanager
async def received(request: Request, *, folder: Path, limit: int) -> AsyncIterator[tuple[Path, str, DatasetUpload]]:
    """Yields the uploaded file, its name and the fields beside it; the file is gone afterwards.

    Raises:
        DatasetTooLarge, BadRequest (broken multipart), Invalid (no file, unknown fields), StorageFull.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit + _MOST_TEXT * 4:
        raise _too_large(limit)
    with told_as_problem("the upload"):
        handle, name = tempfile.mkstemp(prefix=".upload-", suffix=".part", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            form = _Form(file.write, limit)
            parser = _parser(request, form)
            try:
                async for chunk in request.stream():
                    # A thread, since a disk may be slow and every other request waits for this loop.
                    with told_as_problem("the upload"):
                        await run_in_threadpool(parser.write, chunk)
                parser.finalize()
            except FormParserError as error:
                raise BadRequest(f"the upload is broken: {error}", cure="send multipart/form-data") from error
        yield path, form.file_name(), form.fields()
    finally:
        _forget(path)


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


class _Form:
    """What the parser calls: text fields are kept, the one file goes to `write`."""

    def __init__(self, write: Callable[[bytes], object], limit: int) -> None:
        self._write = write
        self._limit = limit
        self._size = 0
        self._headers: dict[str, bytes] = {}
        self._header = [b"", b""]
        self._field = ""
        self._is_file = False
        self._texts: dict[str, bytes] = {}
        self._file: str | None = None
        self._ended = False

    def on_part_begin(self) -> None:
        self._headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header[0].decode("latin-1").lower()] = self._header[1]
        self._header = [b"", b""]

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if not self._is_file:
            self._texts[self._field] = b""
            if len(self._texts) > _MOST_FIELDS:
                raise wrong(self._field, "there are too many fields", "known fields are file, id and name")
        elif self._file is not None or self._field != "file":
            raise wrong("file", "exactly one file is expected, in the field 'file'", "send the .zip as 'file'")
        else:
            self._file = options[b"filename"].decode("utf-8", "replace")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._size += end - start
            if self._size > self._limit:
                raise _too_large(self._limit)
            self._write(data[start:end])
        else:
            self._texts[self._field] += data[start:end]
            if len(self._texts[self._field]) > _MOST_TEXT:
                raise wrong(self._field, f"longer than {_MOST_TEXT} bytes", "shorten it")

    def on_end(self) -> None:
        self._ended = True

    def file_name(self) -> str:
        if not self._ended:
            raise BadRequest("the upload was cut off", cure="send it again")
        if self._file is None:
            raise wrong("file", "there is no file in the upload", "send the .zip as 'file'")
        return self._file

    def fields(self) -> DatasetUpload:
        texts = {name: value.decode("utf-8", "replace") for name, value in self._texts.items()}
        try:
            return DatasetUpload.model_validate({name: text for name, text in texts.items() if text})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise wrong(field, f"{field}: {first['msg']}", "known fields are file, id and name") from error


def _parser(request: Request, form: _Form) -> MultipartParser:
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest("the upload names no boundary", cure="send multipart/form-data")
    return MultipartParser(
        boundary,
        callbacks={
            "on_part_begin": form.on_part_begin,
            "on_header_field": form.on_header_field,
            "on_header_value": form.on_header_value,
            "on_header_end": form.on_header_end,
            "on_headers_finished": form.on_headers_finished,
            "on_part_data": form.on_part_data,
            "on_end": form.on_end,
        },
    )


def _too_large(limit: int) -> DatasetTooLarge:
    return DatasetTooLarge(
        f"the upload is larger than {limit / 2**30:.3g} GiB",
        cure="register the dataset by path or URI instead, or raise TIPHYS_UPLOAD_LIMIT",
    )
