"""What a process that gave no cause wrote last: of a traceback the error, of anything else its last line."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from api.errors import TiphysError
from api.jobs.files import log_folder
from api.reconciler.causes import own_words
from api.reconciler.load import OpenAttempt
from api.reconciler.logs import LIMIT_BYTES, bring, log_name
from api.reconciler.nodes import Node, nodes_of, workflow_ended
from api.reconciler.tools import Tools
from api.reconciler.verdict import culprit_of
from api.settings import Settings
from workflows.engine import EngineError

log = logging.getLogger("tiphys.reconciler")

TAIL_BYTES = 16 << 10
"""How much of a log's end is read."""
LONGEST = 300
"""Characters that are quoted."""
AFTERWARDS = 5
"""Lines that others may print after a traceback that ended the process; one with more after it was got over."""

_TRACEBACK = "Traceback (most recent call last)"
_RANK = re.compile(r"\[rank\d+\]:\s?")
_GROUP = re.compile(r"[ |+-]*[|+] ?")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SDK = "[TRACE:"
# What opens something, wherever it stands: a password in an address, a signature in a link, a token.
_SECRET = re.compile(
    r"(?P<user>\w://)[^\s/@]+@|(?P<key>[?&;](?:x-amz-[\w-]+|signature|sig|token|key|password)=)[^&\s'\"]+|eyJ[\w-]+\.[\w.-]+",
    re.IGNORECASE,
)


def last_words(tools: Tools, attempt: OpenAttempt, status: Mapping[str, Any]) -> str:
    """Returns the last words of the process that ended a workflow, brought home first; empty where it said a cause."""
    if not workflow_ended(status) or attempt.judged:
        return ""
    node = culprit_of(nodes_of(status))
    if node is None or node.exit_code in (None, 0) or own_words(node.message):
        return ""
    try:
        bring(tools, attempt, node, most=None)
        return blotted(words_in(_tail(tools, attempt, node)), _secrets(tools.settings))
    except (EngineError, TiphysError, OSError) as error:
        log.info("job %s: the log of its failed step cannot be read: %s", attempt.job_id, error)
        return ""


def words_in(text: str) -> str:
    """Returns the line of a log's end that tells most, without what only the SDK prints; it may be empty."""
    # A progress bar writes over its own line: what stood there last is what was seen.
    lines = [_COLOUR.sub("", line.rstrip().rpartition("\r")[2]) for line in text.split("\n")]
    # Of several processes each tells its own end, and their launcher only that one of them has ended.
    ranked = [_RANK.sub("", line, count=1) for line in lines if _RANK.match(line)]
    said = [line.strip() for line in lines if not line.startswith(_SDK) and re.search(r"\w", line)]
    words = (_raised(ranked) or _raised(lines, followed_by=AFTERWARDS) or said[-1:] or [""])[0]
    words = "".join(letter for letter in words if letter.isprintable())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def blotted(text: str, secrets: Iterable[str]) -> str:
    """Returns a text without secrets: the platform's own, and what has the shape of one."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return _SECRET.sub(lambda found: f"{found['user'] or found['key'] or ''}***{'@' if found['user'] else ''}", text)


def _raised(lines: list[str], *, followed_by: int | None = None) -> list[str]:
    """Returns the error of the last traceback, if no more than so many lines follow it."""
    lines = [_GROUP.sub("", line, count=1) if _GROUP.match(line) else line for line in lines]
    began = max((n for n, line in enumerate(lines) if line.strip().startswith(_TRACEBACK)), default=None)
    if began is None:
        return []
    ended = next((n for n, line in enumerate(lines) if n > began and line and not line[0].isspace()), len(lines))
    after = [line for line in lines[ended + 1 :] if line.strip()]
    went_on = any(line.startswith(_SDK) and "[EPOCH:" in line for line in after)
    if followed_by is not None and (went_on or len(after) > followed_by):
        return []
    return lines[ended : ended + 1]


def _secrets(settings: Settings) -> Iterable[str]:
    _, login = settings.mlflow()
    return (*settings.storage_secrets().values(), *login.values())


def _tail(tools: Tools, attempt: OpenAttempt, node: Node) -> str:
    path = log_folder(tools.settings, attempt.job_id, attempt.number) / log_name(node)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size >= LIMIT_BYTES:
            return ""  # no more is kept, and its end is not the process's
        file.seek(max(0, size - TAIL_BYTES))
        return file.read().decode(errors="replace")
