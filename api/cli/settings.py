"""Reads the platform's settings for a command, and says which variable is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from api.cli.fault import Exit, Fault
from api.settings import Settings


def read_settings(home: Path, **given: Any) -> Settings:
    """The settings of a home folder: what is given here, else what the environment says, else the defaults.

    Raises:
        Fault: a TIPHYS_ variable cannot be understood; never with its value, which may be a secret.
    """
    try:
        return Settings(home=home, **given)
    except ValidationError as error:
        first = error.errors()[0]
        name, what = f"TIPHYS_{str(first['loc'][0]).upper()}", first["msg"]
    except ValueError as error:  # a variable that should hold JSON and does not
        name, what = "a TIPHYS_ variable", str(error)
    raise Fault(f"{name} is wrong: {what}", cure="correct it, or unset it", exit_code=Exit.USAGE)
