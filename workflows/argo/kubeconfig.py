"""Reads a kubeconfig: cluster, certificates, and the user's token, password file or credential command."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from workflows.argo.access import Access, AccessError, FileToken, Token

EXEC_TIMEOUT = 60.0
NOT_UNDERSTOOD = ("as", "as-uid", "as-groups", "as-user-extra", "auth-provider", "username")
"""What a user's entry may hold besides: passed over, it would mean other rights than were meant."""
RENEW_BEFORE = 60.0
"""Seconds before its end from which on a command's token is not used any more."""


def from_kubeconfig(path: Path, *, context: str | None = None, namespace: str | None = None) -> Access:
    """Returns the access a kubeconfig describes, of its current context where none is named; raises AccessError."""
    path = path.expanduser()
    try:
        config = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise AccessError(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise AccessError(f"the kubeconfig {path} is not YAML: {error}") from None
    chosen = context or config.get("current-context")
    if not chosen:
        raise AccessError(f"the kubeconfig {path} has no current-context: set TIPHYS_KUBE_CONTEXT")
    place = _named(config, "contexts", chosen, path).get("context") or {}
    cluster = _named(config, "clusters", place.get("cluster"), path).get("cluster") or {}
    user = (_named(config, "users", place.get("user"), path).get("user") or {}) if place.get("user") else {}
    url = cluster.get("server")
    if not url:
        raise AccessError(f"the kubeconfig {path} names no server for its cluster {place.get('cluster')}")
    odd = [key for key in NOT_UNDERSTOOD if user.get(key)]
    if odd:
        raise AccessError(
            f"the kubeconfig {path} lets its user {place.get('user')} in by {', '.join(odd)}, which is not understood "
            "here: use a token, a tokenFile, a client certificate or an exec command"
        )
    token, forget = _token(user, path)
    return Access(
        url=str(url).rstrip("/"),
        namespace=namespace or place.get("namespace") or "default",
        token=token,
        renew=forget,
        tls=_tls(cluster, user, path) if str(url).startswith("https:") else True,
        proxy=cluster.get("proxy-url"),
        server_name=cluster.get("tls-server-name"),
    )


def _named(config: Mapping[str, Any], kind: str, name: Any, path: Path) -> Mapping[str, Any]:
    found = next((entry for entry in config.get(kind) or () if entry.get("name") == name), None)
    if found is None:
        known = ", ".join(str(entry.get("name")) for entry in config.get(kind) or ()) or "none"
        raise AccessError(f"the kubeconfig {path} has no {kind.removesuffix('s')} {name!r}; it has: {known}")
    return dict(found)


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority", path)
    try:
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except (ssl.SSLError, UnicodeDecodeError):
        raise AccessError(f"the certificate authority of the kubeconfig {path} is no PEM certificate") from None
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate, key = _material(user, "client-certificate", path), _material(user, "client-key", path)
    if certificate and key:
        # The library reads a client's certificate from a file only; this one is nobody else's, and gone at once.
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(certificate + b"\n" + key)
            pair.flush()
            try:
                tls.load_cert_chain(pair.name)
            except ssl.SSLError:
                raise AccessError(f"client-certificate and client-key of the kubeconfig {path} do not fit") from None
    return tls


def _material(entry: Mapping[str, Any], name: str, path: Path) -> bytes | None:
    if entry.get(f"{name}-data"):
        try:
            return base64.b64decode("".join(str(entry[f"{name}-data"]).split()), validate=True)
        except ValueError:
            raise AccessError(f"{name}-data of the kubeconfig {path} is not base64") from None
    if not entry.get(name):
        return None
    try:
        return (path.parent / str(entry[name])).read_bytes()
    except OSError as error:
        raise AccessError(f"{name} {entry[name]} of the kubeconfig {path} cannot be read: {error.strerror}") from None


def _token(user: Mapping[str, Any], path: Path) -> tuple[Token, Any]:
    if user.get("tokenFile"):
        file = FileToken(path.parent / str(user["tokenFile"]))
        return file, file.forget
    if user.get("token"):
        fixed = str(user["token"])
        return (lambda: fixed), (lambda: None)
    if user.get("exec"):
        command = _Command(user["exec"])
        return command, command.forget
    return (lambda: None), (lambda: None)


class _Command:
    """A token that a program gives, as managed clusters have it; kept until shortly before it expires."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        self._lock = threading.Lock()
        self._value: str | None = None
        self._until = 0.0

    def __call__(self) -> str | None:
        with self._lock:
            if self._value is None or time.time() >= self._until:
                self._value, self._until = self._ask()
            return self._value

    def forget(self) -> None:
        with self._lock:
            self._value = None

    def _ask(self) -> tuple[str, float]:
        entry = self._entry
        version = str(entry.get("apiVersion", "client.authentication.k8s.io/v1"))
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        more = {str(pair["name"]): str(pair["value"]) for pair in entry.get("env") or ()}
        words = [str(entry["command"]), *map(str, entry.get("args") or ())]
        try:
            done = subprocess.run(
                words,
                env={**os.environ, **more, "KUBERNETES_EXEC_INFO": json.dumps(info)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=EXEC_TIMEOUT,
                check=True,
            )
            status = json.loads(done.stdout)["status"]
            value, until = status["token"], status.get("expirationTimestamp")
            ends = datetime.fromisoformat(until).timestamp() - RENEW_BEFORE if until else float("inf")
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            raise AccessError(
                f"{words[0]}, which the kubeconfig names, failed: {said[-1] if said else error}"
            ) from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AccessError(f"{words[0]}, which the kubeconfig names, cannot be run: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise AccessError(f"{words[0]}, which the kubeconfig names, gave no token") from None
        return str(value), ends
