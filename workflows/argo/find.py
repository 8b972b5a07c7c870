"""Finds the way into a cluster: a pod's own service account, or a kubeconfig."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from workflows.argo.access import Access, AccessError, FileToken
from workflows.argo.kubeconfig import from_kubeconfig

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def find_access(
    *, namespace: str | None = None, kubeconfig: Path | None = None, context: str | None = None, env: Mapping[str, str]
) -> Access:
    """Returns the way into the cluster: the kubeconfig that was named, else the pod's own account, else the default.

    `env` is the process's environment: Kubernetes itself says there, in a pod, where its API is. Raises AccessError.
    """
    if kubeconfig is not None or context is not None:
        return from_kubeconfig(kubeconfig or _default(env), context=context, namespace=namespace)
    if env.get("KUBERNETES_SERVICE_HOST") and (SERVICE_ACCOUNT / "token").exists():
        return in_cluster(env, namespace=namespace)
    path = _default(env)
    if not path.exists():
        raise AccessError(
            f"no cluster is known: this is no pod with a service account, and there is no {path}. "
            "Set TIPHYS_KUBECONFIG to a kubeconfig, or TIPHYS_ENGINE=local"
        )
    return from_kubeconfig(path, namespace=namespace)


def in_cluster(env: Mapping[str, str], *, namespace: str | None = None, account: Path = SERVICE_ACCOUNT) -> Access:
    """Returns the access of the pod this process runs in."""
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    own = account / "namespace"
    token = FileToken(account / "token")
    return Access(
        url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace or (own.read_text().strip() if own.exists() else "default"),
        token=token,
        renew=token.forget,
        tls=ssl.create_default_context(cafile=str(account / "ca.crt")),
    )


def _default(env: Mapping[str, str]) -> Path:
    # Several files may be named; the first that is there holds the current context in all but unusual set-ups.
    paths = [Path(part).expanduser() for part in env.get("KUBECONFIG", "").split(":") if part]
    paths.append(Path("~/.kube/config").expanduser())
    return next((path for path in paths if path.exists()), paths[0])
