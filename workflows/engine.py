"""What the platform asks of anything that runs a workflow: Argo in a cluster, or processes on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

LOG_CHUNK_BYTES = 1 << 20
"""The most bytes one call of `Engine.logs` returns."""


class EngineError(Exception):
    """An engine could not do what was asked; `message` is one sentence for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class EngineRefused(EngineError):
    """The engine will never run this workflow, however often it is asked."""


class EngineUnavailable(EngineError):
    """The engine cannot be reached or is busy; the same call may succeed later.

    `untouched` says that nothing can have come of this call: it was not heard, or turned away unread.
    """

    def __init__(self, message: str, *, untouched: bool = False) -> None:
        super().__init__(message)
        self.untouched = untouched


@runtime_checkable
class Engine(Protocol):
    """Runs compiled workflows, addressed by `metadata.name`, and reports them in Argo's own shape.

    Every method may raise `EngineUnavailable`; only `submit` raises `EngineRefused`.
    """

    @property
    def place(self) -> str:
        """Where its workflows are: `local`, or `argo/jobs@<cluster>`, the cluster being `?` where it cannot be told.

        Without the `@` it is not known yet.
        """
        ...

    def submit(self, manifest: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        """Starts a workflow; submitting the same `metadata.name` again changes nothing.

        `secrets` become the Secret named like the workflow, which goes when the workflow goes.
        """
        ...

    def get(self, name: str) -> dict[str, Any] | None:
        """Returns the whole workflow object with its `status`, or None where there is none of that name."""
        ...

    def names(self, *, live: bool = False) -> list[str]:
        """Lists the names of all workflows the engine holds, finished ones included unless `live`."""
        ...

    def logs(self, name: str, node_id: str, offset: int) -> bytes:
        """Returns a node's output from byte `offset`, at most `LOG_CHUNK_BYTES`; empty where there is no more yet."""
        ...

    def stop(self, name: str) -> None:
        """Ends the running nodes with SIGTERM and their grace, then runs the exit handler."""
        ...

    def terminate(self, name: str) -> None:
        """Ends the workflow at once, without its exit handler."""
        ...

    def delete(self, name: str) -> None:
        """Removes a workflow with its Secret, workspace and logs; one that is not there is no error."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """An engine that can tell cheaply whether a workflow has changed: worth it where there are thousands."""

    def version(self, name: str) -> str | None:
        """Returns what changes with every change of what `get` tells; None where `get` has to be asked.

        Raises EngineUnavailable.
        """
        ...


@runtime_checkable
class Described(Protocol):
    """An engine whose own pages show people what is written about a workflow."""

    def describe(self, name: str, text: str) -> None:
        """Writes what a workflow's page says about it, in Markdown; one that is not there is no error.

        Raises EngineUnavailable.
        """
        ...


@runtime_checkable
class Releasing(Protocol):
    """An engine whose processes may hang on a machine that is gone, and can be let go of."""

    def release(self, name: str, node_id: str) -> bool:
        """Lets go of a node's process if its machine is taken away or does not answer; tells whether it did.

        The engine then takes the node for lost and tries it again. Raises EngineUnavailable.
        """
        ...
