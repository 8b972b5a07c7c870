"""Opens the engine that the settings name: processes on this machine, or Argo in a cluster."""

from __future__ import annotations

import ipaddress
import os
import ssl
import threading
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from api.settings import SOURCE, Settings
from workflows.engine import Engine
from workflows.local import Capacity, LocalEngine, LocalImages


class NoEngine(Exception):
    """The engine cannot be opened as it is set up; the text names what to set."""


class ServedEngine(Engine, Protocol):
    """An engine that works in a thread of its own."""

    def serve(self, stop: threading.Event) -> None:
        """Works until `stop` is set."""
        ...

    def close(self) -> None:
        """Lets go of everything; what runs goes on."""
        ...


def open_engine(settings: Settings) -> ServedEngine:
    """Returns the engine of the settings; raises NoEngine."""
    return _local(settings) if settings.engine == "local" else _argo(settings)


def _local(settings: Settings) -> ServedEngine:
    # A custom job's command may name a script as the person sees it from where the platform was started.
    images = LocalImages(environments=settings.environments, source=SOURCE, cwd=Path.cwd())
    indices = None if settings.gpus is None else ",".join(map(str, range(settings.gpus))) or "none"
    capacity = Capacity.detect(gpus=indices)
    if settings.cpus is not None:
        capacity = replace(capacity, cpus=settings.cpus)
    return LocalEngine(settings.resolved_home(), images=images, capacity=capacity, claims=settings.claims())


def _argo(settings: Settings) -> ServedEngine:
    # Costs an HTTP library and a TLS context, which the local engine has no use for.
    from workflows.argo import Access, AccessError, ArgoEngine, ArgoServer, find_access
    from workflows.argo.access import FileToken, bearer
    from workflows.argo.client import Client

    _check(settings)
    try:
        access = find_access(
            namespace=settings.argo_namespace,
            kubeconfig=settings.kubeconfig,
            context=settings.kube_context,
            env=os.environ,
        )
        server = None
        if settings.argo_server:
            token, renew = access.token, access.renew
            if settings.argo_token_file:
                file = FileToken(settings.argo_token_file)
                token, renew = file, file.forget
            elif settings.argo_token:
                fixed = settings.argo_token.get_secret_value()
                bearer(fixed)  # a mistyped one is said now, not with the first job
                token, renew = (lambda: fixed), (lambda: None)
            tls = ssl.create_default_context(cafile=str(settings.argo_ca)) if settings.argo_ca else True
            url = settings.argo_server.rstrip("/")
            server = ArgoServer(Access(url=url, namespace=access.namespace, token=token, renew=renew, tls=tls))
    except AccessError as error:
        raise NoEngine(str(error)) from None
    except OSError as error:  # TIPHYS_ARGO_CA, or a certificate of the pod
        raise NoEngine(f"a certificate cannot be read: {error}") from None
    return ArgoEngine(Client(access), server=server)


def _check(settings: Settings) -> None:
    """Refuses what cannot work in pods, before the first job finds it out."""
    if settings.storage_type == "file":
        raise NoEngine(
            "pods cannot reach a folder of this machine: with TIPHYS_ENGINE=argo set TIPHYS_STORAGE_TYPE to minio, r2 "
            "or s3, with its endpoint and keys"
        )
    server = urlsplit(settings.argo_server or "https://none")
    if server.scheme not in ("http", "https") or not server.hostname:
        raise NoEngine(f"TIPHYS_ARGO_SERVER is {settings.argo_server}: write it as https://host:2746, or http://")
    host = urlsplit(settings.api_url()).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        raise NoEngine(
            f"pods cannot reach this platform at {settings.api_url()}: set TIPHYS_PUBLIC_URL to an address that leads "
            "here from the cluster"
        )
