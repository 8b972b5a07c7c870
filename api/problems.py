"""How errors stand in the OpenAPI document: problem+json, one line for each status a route may answer with."""

from __future__ import annotations

from typing import Any

PROBLEM_JSON = "application/problem+json"

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong and what to do about it (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:tiphys:problem:not_found"]},
        "title": {"type": "string", "examples": ["Not found"]},
        "status": {"type": "integer", "examples": [404]},
        "code": {"type": "string", "description": "stable, for programs", "examples": ["not_found"]},
        "detail": {"type": "string", "description": "for people", "examples": ["there is no job k7m2qz9x"]},
        "cure": {"type": "string", "description": "what to do about it"},
        "errors": {
            "type": "array",
            "description": "every field that is wrong, where fields are",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "message", "cure")},
            },
        },
    },
}

MEANINGS = {
    400: "The request cannot be understood",
    401: "The bearer token is missing or wrong",
    403: "The token is not meant for this",
    404: "There is no such thing",
    405: "This address does not take that method",
    409: "Not in this state; `cure` says what is possible",
    413: "The body is too large",
    415: "The body's type is not understood",
    422: "The input is wrong; `errors` names every field",
    429: "Too fast; see Retry-After",
    503: "Something this needs cannot be reached",
    507: "There is no room left",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the `responses` of a route that may answer with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": MEANINGS[status], "content": {PROBLEM_JSON: {"schema": schema}}} for status in statuses
    }
