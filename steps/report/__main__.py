"""Runs the report step, or with `--on-exit` the report at the workflow's end."""

import argparse
import sys

from steps.report.step import report, report_at_exit
from steps.trainer_sdk import TrainerSDK

PATIENCE = 60.0  # seconds; the pipeline retries the step


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code: 0 told (or at exit), 75 the platform is away."""
    parser = argparse.ArgumentParser(prog="python -m steps.report", description=__doc__)
    parser.add_argument("--on-exit", nargs="*", metavar="STATUS FAILURES", help="at the workflow's end")
    parser.add_argument("--status", default="", help="the workflow's status: Succeeded, Failed or Error")
    parser.add_argument("--failures", default="", help="the workflow's failures as JSON")
    options = parser.parse_args(arguments)
    sdk = TrainerSDK(give_up_seconds=PATIENCE)
    if options.on_exit is None:
        return int(sdk.run(report))
    given = [*options.on_exit, "", ""]
    status, failures = given[0] or options.status, given[1] or options.failures
    return int(sdk.run(lambda sdk: report_at_exit(sdk, status=status, failures=failures)))


if __name__ == "__main__":
    sys.exit(main())
