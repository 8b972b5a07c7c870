"""What a cluster's refusal means: whether to try again, and one sentence with the cure."""

from __future__ import annotations

import httpx
import msgspec

from workflows.engine import EngineError, EngineRefused, EngineUnavailable

MISSING = 404
TOO_LARGE = "request is too large"
POLICY = ("denied the request", "denied request")
"""How admission webhooks and Kubernetes' own admission policies say no."""
TURNED_AWAY = (401, 403, 404, 429)
QUOTA = ("exceeded quota", "status unknown for quota")


class _Said(msgspec.Struct):
    """The part of a Kubernetes `Status` or of an Argo Server's error that is read."""

    message: str = ""
    reason: str = ""


def said(answer: httpx.Response) -> str:
    """Returns the server's own words on one line; a proxy's error page gives the status line's."""
    words = _words(answer) or _plain(answer) or answer.reason_phrase or "no reason given"
    return words if len(words) <= 600 else words[:599] + "…"


def fault(answer: httpx.Response, *, who: str, what: str) -> EngineError:
    """Returns the error of an answer: `who` answered, `what` was asked (`create workflow train-x-1`).

    Only what the server itself says about the workflow is final; a wrong address, a login page or a proxy in between
    is the operator's to mend, and no job's end.
    """
    code, words = answer.status_code, said(answer)
    if code == 413 or TOO_LARGE in words:
        return EngineRefused(f"{who} cannot {what}, it is too large ({words}): shorten advanced_config or the labels")
    if code in (400, 403, 422) and any(word in words for word in POLICY):
        return EngineRefused(f"{who} cannot {what}, a policy of the cluster forbids it ({words}): ask who keeps it")
    if code in (400, 422) and _words(answer):
        return EngineRefused(f"{who} refused to {what} ({code}): {words}")
    return EngineUnavailable(_passing(answer, code, words, who=who, what=what), untouched=code in TURNED_AWAY)


def names_object(answer: httpx.Response, name: str) -> bool:
    """Tells whether a 404 speaks of the object itself, and not of a cluster without such objects."""
    return answer.status_code == MISSING and f'"{name}" not found' in said(answer)


def silent(error: httpx.HTTPError | httpx.InvalidURL, *, who: str, what: str) -> EngineUnavailable:
    """Returns the error of a call that got no answer."""
    if isinstance(error, httpx.TimeoutException):
        unheard = isinstance(error, httpx.ConnectTimeout)
        return EngineUnavailable(f"{who} did not {what} in time: it is overloaded or cut off", untouched=unheard)
    unheard = isinstance(error, httpx.ConnectError | httpx.InvalidURL)
    return EngineUnavailable(f"{who} does not answer: {error or type(error).__name__}", untouched=unheard)


def _words(answer: httpx.Response) -> str:
    try:
        return " ".join(msgspec.json.decode(answer.content, type=_Said).message.split())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _plain(answer: httpx.Response) -> str:
    """The line of text that Go's own servers say no with."""
    text = answer.content[:200].decode(errors="replace").strip()
    return text if text.isprintable() and not set("<{[") & set(text) else ""


def _passing(answer: httpx.Response, code: int, words: str, *, who: str, what: str) -> str:
    if code == 401:
        return (
            f"{who} does not accept the token any more ({words}): renew it (TIPHYS_ARGO_TOKEN, the kubeconfig or the "
            "service account)"
        )
    if code == 403:
        return _forbidden(who, what, words)
    if code == 404:
        return _missing(who, what, words)
    if code == 409:
        return f"{who} cannot {what}, something else changed it at the same moment ({words}): it is tried again"
    if code in (408, 425):
        return f"{who} did not {what} in time ({code}: {words})"
    if code == 429 or code >= 500:
        return f"{who} is busy or broken and cannot {what} now ({code}: {words})"
    where = answer.headers.get("Location")
    instead = f"leads to {where.partition('?')[0]} instead" if where else f"answered {code} ({words})"
    return f"{who} did not {what}, it {instead}: check the address, and what stands between"


def _forbidden(who: str, what: str, words: str) -> str:
    if any(word in words for word in QUOTA):
        return f"{who} cannot {what}, the namespace's quota is used up ({words}): raise it or wait"
    if "is being terminated" in words:
        return f"{who} cannot {what}, the namespace is being removed: choose another"
    if "system:anonymous" in words:
        return f"{who} was shown no token and does not allow to {what}: give the kubeconfig's user a token"
    return f"{who} does not allow to {what} ({words}): give this account the role it needs"


def _missing(who: str, what: str, words: str) -> str:
    if "namespaces" in words:
        return f"{who} cannot {what} ({words}): create the namespace, or set TIPHYS_ARGO_NAMESPACE to one that is there"
    if "could not find the requested resource" in words or "page not found" in words:
        return f"{who} knows no Argo workflows ({words}): install Argo Workflows, or check the address"
    return f"{who} cannot {what}: {words}"
