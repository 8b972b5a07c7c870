"""Runs a script's workflow on this machine, hands it to Argo in a cluster, or prints it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.engine import EngineError
from workflows.keys import StorageTarget
from workflows.locate import dataset_uri
from workflows.manifest import ManifestError, build, to_yaml
from workflows.problems import SpecError

if TYPE_CHECKING:
    from hera.workflows import Workflow

Plan = Callable[[StorageTarget, str], "Workflow"]
"""From a storage and a dataset's URI to a workflow."""

SOURCE = Path(__file__).resolve().parents[1]
ENDED = ("Succeeded", "Failed", "Error")


def submit(
    w: Workflow,
    *,
    argo: str | None = None,
    token: str | None = None,
    namespace: str = "argo",
    ca: Path | str | None = None,
) -> str:
    """Creates a workflow and returns its name; the same one that is there already is left alone.

    Through the Argo Server at `argo`, which checks it first; without one through the Kubernetes API that the kubeconfig
    or the pod's own account leads to, which checks less. Where the workflow reads secrets, the Secret of its name has
    to be in the namespace. Hera's own `w.create()` works, too, but waits without end for a server that is away.

    Raises EngineUnavailable, and EngineRefused also where another workflow has the name.
    """
    # Imported here: a script that only prints or runs has no use for TLS and certificates.
    from workflows.argo.door import through_kubernetes, through_server

    manifest = build(w)
    if argo is None:
        through_kubernetes(manifest, namespace=namespace, env=os.environ)
    else:
        through_server(manifest, url=argo, token=token, namespace=namespace, ca=Path(ca) if ca else None)
    return str(manifest["metadata"]["name"])


def run(
    w: Workflow,
    *,
    home: Path | str = ".tiphys",
    secrets: Mapping[str, str] | None = None,
    on_change: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Runs a workflow as processes on this machine until it has ended, and returns it with its status."""
    # Imported here: a script that only prints or submits has no use for the engine.
    from workflows.local import LocalEngine, LocalImages

    manifest = build(w)
    # Beside the platform's own engine, not in it: `tiphys up` may be running on the same home.
    place = Path(home).resolve() / "adhoc"
    images = LocalImages(environments=SOURCE / ".venvs", source=SOURCE, cwd=Path.cwd())
    engine = LocalEngine(place, images=images, claims=Path(home).resolve() / "engine" / "claims")
    name = str(manifest["metadata"]["name"])
    try:
        engine.step()  # ends what an interrupted script left half removed
        before = engine.get(name)
        # A script run again means anew; one that was interrupted goes on where it was.
        if before is not None and before.get("status", {}).get("phase") in ENDED:
            engine.delete(name)
            engine.step()  # which is what removes it
        engine.submit(manifest, secrets=secrets or {})
        return engine.run(name, on_change=on_change)
    finally:
        engine.close()


def main(plan: Plan, *, dataset: str, argv: list[str] | None = None) -> int:
    """Does with a script's workflow what the command line says, and returns the exit code: 0, 1 failed, 2 refused."""
    options = _options(argv)
    try:
        w = plan(*_place(options, dataset))
        if options.print:
            print(to_yaml(build(w)), end="")
            return 0
        if options.service_account:
            w.service_account_name = options.service_account
        if options.argo or options.kubernetes:
            token = os.environ.get("ARGO_TOKEN")
            print(submit(w, argo=options.argo, token=token, namespace=options.namespace, ca=options.ca))
            return 0
        ended = run(w, home=options.home, on_change=_Teller())
    except (SpecError, ManifestError, EngineError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("no longer watched: what runs goes on to its end; start the script again to go on", file=sys.stderr)
        return 130
    status = ended.get("status", {})
    print(f"{ended['metadata']['name']}: {status.get('phase')} {status.get('message', '')}".rstrip())
    return 0 if status.get("phase") == "Succeeded" else 1


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Without options the workflow runs on this machine.")
    door = parser.add_mutually_exclusive_group()
    door.add_argument("--argo", metavar="URL", help="create it through this Argo Server (token: ARGO_TOKEN)")
    door.add_argument(
        "--kubernetes", action="store_true", help="create it through the Kubernetes API of the kubeconfig"
    )
    parser.add_argument("--namespace", default="argo", help="Kubernetes namespace for both (default: argo)")
    parser.add_argument("--ca", metavar="FILE", type=Path, help="certificate authority of the Argo Server")
    parser.add_argument("--service-account", metavar="NAME", help="account of the pods (default: the namespace's own)")
    parser.add_argument("--bucket", default="tiphys", help="S3 bucket the cluster's steps use (default: tiphys)")
    parser.add_argument("--endpoint", metavar="URL", help="S3 service the pods reach (default: the node's own, or AWS)")
    parser.add_argument("--print", action="store_true", help="print the manifest instead of running it")
    parser.add_argument("--dataset", metavar="ID|PATH|URI", help="another dataset than the script's")
    parser.add_argument("--home", default=".tiphys", help="folder of storage and runs here (default: .tiphys)")
    return parser.parse_args(argv)


def _place(options: argparse.Namespace, dataset: str) -> tuple[StorageTarget, str]:
    if options.argo or options.kubernetes:
        storage = StorageTarget("s3", options.bucket, endpoint=options.endpoint)
    else:
        storage = StorageTarget("file", "tiphys", root=str(Path(options.home).resolve() / "storage"))
    return storage, dataset_uri(options.dataset or dataset, storage)


class _Teller:
    """Prints each node once per phase it reaches."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def __call__(self, workflow: dict[str, Any]) -> None:
        for node in (workflow.get("status", {}).get("nodes") or {}).values():
            phase = str(node.get("phase", ""))
            if node.get("type") == "Pod" and self._told.get(node["id"]) != phase:
                self._told[node["id"]] = phase
                message = f": {node['message']}" if node.get("message") else ""
                print(f"{node.get('displayName', node['name'])} {phase}{message}", flush=True)
