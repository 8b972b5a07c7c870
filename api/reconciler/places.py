"""Compares the places that attempts were handed to, as `Engine.place` writes them: `argo/jobs@<cluster>`."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_

from api.models import Attempt

UNKNOWN = ("", "?")
"""What stands for a cluster that could not be told from others."""


def same(place: str | None, here: str) -> bool:
    """Tells whether a place may be the one that the settings lead to; a cluster that is not known may be any."""
    if place is None:
        return True
    (there, _, cluster), (name, _, this) = place.partition("@"), here.partition("@")
    return there == name and (cluster == this or cluster in UNKNOWN or this in UNKNOWN)


def is_here(here: str) -> ColumnElement[bool]:
    """Returns `same` as a condition on attempts, for the database to apply."""
    name, _, this = here.partition("@")
    unknown = [Attempt.place.is_(None), Attempt.place == name, Attempt.place == f"{name}@?"]
    return or_(
        *unknown, Attempt.place.startswith(f"{name}@", autoescape=True) if this in UNKNOWN else Attempt.place == here
    )


def certain(place: str | None, here: str) -> bool:
    """Tells whether it is settled that this is its cluster or another: until then nothing is gone or handed over."""
    return "@" in here or "@" not in (place or "")


def spoken(place: str, here: str) -> str:
    """Returns a place as people are told it."""
    name, other = place.partition("@")[0], here.partition("@")[0]
    return f"{name} of another cluster" if name == other else name


def cure(place: str, here: str) -> str:
    """Returns which settings lead to a place."""
    name, other = place.partition("@")[0], here.partition("@")[0]
    engine, _, namespace = name.partition("/")
    if name == other:
        return "let TIPHYS_KUBECONFIG and TIPHYS_KUBE_CONTEXT lead to that cluster"
    return f"set TIPHYS_ENGINE={engine}" + (f" and TIPHYS_ARGO_NAMESPACE={namespace}" if namespace else "")
