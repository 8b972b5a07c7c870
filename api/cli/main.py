"""The `tiphys` command: wires the commands together and turns faults into one line and an exit code."""

from __future__ import annotations

import errno
import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from api.cli import catalog, datasets, demo, jobs, train, up
from api.cli.fault import Exit, Fault
from workflows.version import __version__

# Help as plain text: drawing it with Rich costs 0.4 s, longer than most commands take.
app = typer.Typer(
    name="tiphys",
    help="Train vision models on Argo Workflows, or on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},  # every command below takes them over
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"tiphys {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Folder of the platform's state; default: TIPHYS_HOME or the nearest .tiphys."),
    ] = None,
    version: Annotated[  # answered before any command runs
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep what holds for every command."""
    context.obj = home


for group in (up.commands, train.commands, jobs.commands, catalog.commands, demo.commands):
    app.registered_commands.extend(group.registered_commands)
app.add_typer(jobs.job, name="job")
app.add_typer(datasets.dataset, name="dataset")


def run() -> None:
    """Run the command line; never shows a traceback for a fault a user can mend."""
    try:
        code = app(standalone_mode=False)
    except Fault as fault:
        _say(fault)
        sys.exit(fault.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(Exit.INTERRUPTED)
    except OSError as error:
        _say(Fault(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), cure=_cure_of(error)))
        sys.exit(Exit.FAILED)
    except Exception as error:
        shown = getattr(error, "show", None)
        if shown is None:
            _say(_unexpected(error))
            sys.exit(Exit.FAILED)
        shown()  # Typer's own usage errors know how to print themselves
        sys.exit(getattr(error, "exit_code", Exit.USAGE))
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _cure_of(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, then try again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return "name a place that is there and may be read and written"
    return ""


def _unexpected(error: Exception) -> Fault:
    """A fault of ours: what Python says of it goes to a file, for whoever mends it."""
    with tempfile.NamedTemporaryFile("w", prefix="tiphys-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return Fault(f"this should not happen: {type(error).__name__}: {error}", cure=f"report it, with {file.name}")


def _say(fault: Fault) -> None:
    if "--json" in sys.argv:
        problem = {"error": fault.message, "cure": fault.cure, "exit_code": int(fault.exit_code), "problem": fault.body}
        print(json.dumps(problem, ensure_ascii=False), file=sys.stderr)
        return
    red, bold, off = ("\x1b[31m", "\x1b[1m", "\x1b[0m") if sys.stderr.isatty() else ("", "", "")
    print(f"{red}error:{off} {fault.message}", file=sys.stderr)
    if fault.cure and fault.cure not in fault.message:
        print(f"{bold}cure:{off}  {fault.cure}", file=sys.stderr)


if __name__ == "__main__":
    run()
