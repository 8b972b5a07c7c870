"""The commands of `tiphys dataset`, put together."""

from __future__ import annotations

import typer

from api.cli.datasets import add, check, convert, listing, look, split

dataset = typer.Typer(
    help="Register datasets; check, repair, look at, convert, split, compare and export them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

for group in (add.commands, check.commands, look.commands, convert.commands, split.commands, listing.commands):
    dataset.registered_commands.extend(group.registered_commands)
