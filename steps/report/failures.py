"""Reads the workflow's own list of failures and finds the one that ended it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GENERIC = re.compile(
    r"No more retries left|retryStrategy\.expression evaluated|^child '|omitted|^Retry|Max duration limit",
    re.IGNORECASE,
)
EXIT = re.compile(r"^(?:main|wait|init): (?:Error|OOMKilled) \(exit code (\d+)\)(?:: )?")
TYPED = re.compile(r"\b([A-Z]+_ERROR): (.+)", re.DOTALL)
TRY = re.compile(r"\((\d+)\)$")
EXIT_HANDLER = "on-exit"
STOPPED = re.compile(
    r"shutdown with strategy|Stopped with strategy|workflow (?:was )?(?:stopped|terminated)", re.IGNORECASE
)
OUT_OF_MEMORY = re.compile(r"OOMKilled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a workflow failed, in the platform's words; `stopped` means that somebody ended it."""

    error_type: str
    message: str
    detail: str | None = None
    stopped: bool = False


def read_failures(text: str) -> list[Mapping[str, Any]]:
    """Parses `{{workflow.failures}}`, which is JSON, or JSON in a JSON string; empty where it is neither."""
    value: Any = text
    for _ in range(3):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def last_failure(text: str, *, status: str) -> Failure:
    """Picks the failure that came last and says something, and gives it a type.

    The list holds every failed try: those before were tried again, and what ended the workflow came after them.
    """
    found = sorted((item for item in read_failures(text) if item.get("templateName") != EXIT_HANDLER), key=_order)
    telling = [item for item in found if item.get("message") and not GENERIC.search(str(item["message"]))]
    if not (telling or found):
        return Failure(error_type="UNKNOWN_ERROR", message=f"the workflow ended as {status or 'failed'}, cause unknown")
    chosen = telling[-1] if telling else found[0]
    # The display name is for people and may be anything; the template's says which step it was.
    step = TRY.sub("", str(chosen.get("templateName") or chosen.get("displayName") or "a step"))
    words = str(chosen.get("message") or "it gave no message").strip()
    if STOPPED.search(words):
        return Failure(error_type="UNKNOWN_ERROR", message=f"{step} was stopped: {words}", stopped=True)
    if typed := TYPED.search(words):
        return Failure(error_type=typed[1], message=typed[2].strip())
    if OUT_OF_MEMORY.search(words):
        cure = "lower batch or image_size, or ask for more memory"
        return Failure(error_type="RESOURCE_ERROR", message=f"{step} ran out of memory ({words}); {cure}", detail="oom")
    plain = EXIT.sub("", words) or words
    return Failure(error_type="TRAINING_ERROR" if step == "train" else "UNKNOWN_ERROR", message=f"{step}: {plain}")


def _order(item: Mapping[str, Any]) -> tuple[str, int]:
    # Times are whole seconds, and a try that was just stopped has none yet.
    tried = TRY.search(str(item.get("displayName") or ""))
    return str(item.get("finishedAt") or "~"), int(tried[1]) if tried else -1
