"""How our own objects are told from others': the label every one has, and those that say whose attempt it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from workflows.argo.objects import JOB, Meta

MANAGED = "app.kubernetes.io/managed-by"
PLATFORM = "tiphys"
ATTEMPT = "tiphys/attempt"
DIGEST = "tiphys/manifest"
OURS = f"{MANAGED}={PLATFORM},{JOB}"
"""Selects our workflows; a script's own, which bears a job's labels only, is followed by nobody."""


@dataclass(frozen=True)
class Identity:
    """A workflow's name with the labels that make it ours, and the digest of its manifest."""

    name: str
    labels: Mapping[str, str]
    digest: str | None = None

    def matches(self, found: Meta) -> bool:
        """Tells whether an object of this name is the same attempt's by its labels."""
        return all(found.labels.get(key) == value for key, value in self.labels.items())

    def same(self, found: Meta) -> bool:
        """Tells whether a workflow of this name was made of the same manifest, too."""
        return self.matches(found) and found.annotations.get(DIGEST) == self.digest


def identify(manifest: Mapping[str, Any]) -> Identity:
    """Returns the identity of a manifest."""
    own = manifest["metadata"].get("labels") or {}
    labels = {MANAGED: PLATFORM, **{key: str(own[key]) for key in (JOB, ATTEMPT) if key in own}}
    return Identity(str(manifest["metadata"]["name"]), labels, _digest(manifest))


def by_digest(manifest: Mapping[str, Any]) -> Identity:
    """Returns the identity of a script's manifest: none of the platform's, and followed by nobody."""
    return Identity(str(manifest["metadata"]["name"]), {}, _digest(manifest))


def ours(found: Meta) -> bool:
    """Tells whether a workflow was made by a platform like this one."""
    return found.labels.get(MANAGED) == PLATFORM and JOB in found.labels


def noted(manifest: Mapping[str, Any], identity: Identity, *, namespace: str) -> dict[str, Any]:
    """Returns the manifest as it goes to the cluster: with namespace, labels of its identity, and recognisable."""
    metadata = dict(manifest["metadata"])
    metadata["namespace"] = namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), **identity.labels}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), DIGEST: identity.digest}
    return {**manifest, "metadata": metadata}


def _digest(manifest: Mapping[str, Any]) -> str:
    return blake2b(msgspec.json.encode(manifest, order="deterministic"), digest_size=16).hexdigest()
