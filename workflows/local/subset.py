"""What the local engine understands of a Workflow; everything else is refused by its path, at submit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workflows.engine import EngineRefused
from workflows.local import meaning
from workflows.local.images import LocalImages
from workflows.local.quantities import duration, quantity

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", re.ASCII)


class _Nothing:
    """A field that is known and has no meaning on one machine."""


NOTHING = _Nothing()
Shape = Any  # a type, a function that raises ValueError, [shape], {field: shape}, or NOTHING


def is_name(text: str) -> bool:
    """Tells whether a text can be a workflow's or node's name: it becomes the name of a folder."""
    return _NAME.fullmatch(text) is not None


def check(manifest: Mapping[str, Any], images: LocalImages) -> None:
    """Raises EngineRefused naming every field and value that this engine cannot run as it is meant."""
    problems = list(_walk(manifest, WORKFLOW, ""))
    # References are looked at only in what has the right shape.
    problems = problems or list(meaning.problems(manifest))
    if problems:
        raise EngineRefused("the local engine cannot run this workflow: " + "; ".join(problems))
    for template in manifest["spec"]["templates"]:
        image = (template.get("container") or {}).get("image", "")
        if image and "{{" not in image:
            images.environment(image)


def _walk(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if shape is NOTHING or (value is None and path.count(".") > 0):
        return
    if isinstance(shape, dict):
        if not isinstance(value, Mapping):
            yield f"{path or 'the manifest'} must be an object"
            return
        for required in shape.get("", ()):
            if required not in value:
                yield f"{_join(path, required)} is missing"
        for key, inner in value.items():
            if key in shape and key != "":
                yield from _walk(inner, shape[key], _join(path, key))
            elif inner not in (None, "", [], {}):
                yield f"{_join(path, str(key))} is not known to it"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{path} must be a list"
            return
        for index, inner in enumerate(value):
            name = inner.get("name") if isinstance(inner, Mapping) else None
            yield from _walk(inner, shape[0], f"{path}[{name or index}]")
    elif isinstance(shape, type):
        if not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
            yield f"{path} must be {'a text' if shape is str else 'a number' if shape is int else 'true or false'}"
    else:
        try:
            shape(value)
        except (ValueError, TypeError) as error:
            yield f"{path}: {error}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _name(value: Any) -> None:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"{value!r} is not a name of lower-case letters, digits, dots and dashes")


def _count(value: Any) -> None:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value), re.ASCII):
        raise ValueError(f"{value!r} is not a whole number")


def _positive(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"{value!r} is not a whole number of seconds above 0")


def _scalar(value: Any) -> None:
    if not isinstance(value, str | int | float | bool):
        raise ValueError("must be a text, a number, true or false")


def _one_of(*allowed: str) -> Callable[[Any], None]:
    def test(value: Any) -> None:
        if value not in allowed:
            raise ValueError(f"{value!r} is not known to it; known: {', '.join(allowed)}")

    return test


def _path(value: Any) -> None:
    if not isinstance(value, str) or not value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{value!r} is not an absolute path")


def _inner_path(value: Any) -> None:
    if not isinstance(value, str) or value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{value!r} is not a path inside the volume")


def _patch(value: Any) -> None:
    """A pod patch may set the grace, and the executor's own variables, which mean nothing here."""
    try:
        patch = json.loads(value)
    except ValueError:
        raise ValueError("must be JSON") from None
    shape = {
        "terminationGracePeriodSeconds": _positive,
        "containers": [{"name": str, "env": [{"name": _executor_variable, "value": NOTHING}]}],
    }
    found = list(_walk(patch, shape, "patch"))
    if found:
        raise ValueError("; ".join(found))


def _executor_variable(value: Any) -> None:
    if not isinstance(value, str) or not value.startswith("ARGO_"):
        raise ValueError(f"{value!r} is not a variable of Argo's executor")


def _quantities(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")
    for name, amount in value.items():
        if name not in {"cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"}:
            raise ValueError(f"{name} is not known to it")
        quantity(amount)


_PARAMETERS = [{"": ("name", "value"), "name": str, "value": _scalar, "description": NOTHING, "enum": NOTHING}]
_INPUTS = [{"": ("name",), "name": str, "value": _scalar, "default": _scalar, "description": NOTHING, "enum": NOTHING}]

VOLUMES: Shape = [
    {
        "": ("name",),
        "name": _name,
        "emptyDir": {"medium": NOTHING, "sizeLimit": NOTHING},
        "persistentVolumeClaim": {"": ("claimName",), "claimName": _name, "readOnly": NOTHING},
    }
]

CONTAINER: dict[str, Shape] = {
    "": ("image", "command"),
    "name": _one_of("", "main"),
    "image": str,
    "command": [str],
    "args": [str],
    "workingDir": _path,
    "env": [
        {
            "": ("name",),
            "name": str,
            "value": _scalar,
            "valueFrom": {
                "": ("secretKeyRef",),
                "secretKeyRef": {"": ("name", "key"), "name": str, "key": str, "optional": bool},
            },
        }
    ],
    "resources": {"requests": _quantities, "limits": _quantities},
    "volumeMounts": [
        {
            "": ("name", "mountPath"),
            "name": str,
            "mountPath": _path,
            "subPath": _inner_path,
            "readOnly": NOTHING,
        }
    ],
    "imagePullPolicy": NOTHING,
    "securityContext": NOTHING,
    "ports": NOTHING,
    "terminationMessagePath": _one_of("/dev/termination-log"),
    "terminationMessagePolicy": _one_of("File"),
}

# Where a pod is placed, with what rights and in what company: there is one machine and one user.
_PLACEMENT: dict[str, Shape] = dict.fromkeys(
    (
        "affinity", "nodeSelector", "tolerations", "schedulerName", "priority", "priorityClassName", "securityContext",
        "serviceAccountName", "automountServiceAccountToken", "executor", "hostAliases", "archiveLocation", "metrics",
    ),
    NOTHING,
)  # fmt: skip

TEMPLATE: dict[str, Shape] = {
    **_PLACEMENT,
    "": ("name",),
    "name": str,
    "annotations": NOTHING,
    "metadata": NOTHING,
    "failedPodRestart": NOTHING,
    "activeDeadlineSeconds": _positive,
    "inputs": {"parameters": _INPUTS},
    "outputs": {
        "parameters": [
            {
                "": ("name", "valueFrom"),
                "name": str,
                "valueFrom": {"": ("path",), "path": _path, "default": _scalar},
                "description": NOTHING,
            }
        ]
    },
    "container": CONTAINER,
    "volumes": VOLUMES,
    "podSpecPatch": _patch,
    "dag": {
        "": ("tasks",),
        "failFast": bool,
        "tasks": [
            {
                "": ("name", "template"),
                "name": str,
                "template": str,
                "depends": str,
                "dependencies": [str],
                "arguments": {"parameters": _PARAMETERS},
            }
        ],
    },
    "retryStrategy": {
        "limit": _count,
        "retryPolicy": _one_of("Always", "OnFailure", "OnError", "OnTransientError"),
        "expression": str,
        "backoff": {"duration": duration, "factor": _count, "cap": duration, "maxDuration": duration},
        "affinity": NOTHING,
    },
}

WORKFLOW: dict[str, Shape] = {
    "": ("metadata", "spec"),
    "apiVersion": _one_of("argoproj.io/v1alpha1"),
    "kind": _one_of("Workflow"),
    "metadata": {
        "": ("name",),
        "name": _name,
        "namespace": str,
        "labels": NOTHING,
        "annotations": NOTHING,
        "creationTimestamp": NOTHING,
        "ownerReferences": NOTHING,
        "finalizers": NOTHING,
    },
    "spec": {
        **_PLACEMENT,
        **dict.fromkeys(
            (
                "podGC", "ttlStrategy", "imagePullSecrets", "podPriorityClassName", "podDisruptionBudget",
                "podMetadata", "workflowMetadata", "archiveLogs", "dnsPolicy", "dnsConfig", "hostNetwork",
                "artifactRepositoryRef", "artifactGC",
            ),
            NOTHING,
        ),
        "": ("entrypoint", "templates"),
        "entrypoint": str,
        "onExit": str,
        "arguments": {"parameters": _PARAMETERS},
        "activeDeadlineSeconds": _positive,
        "podSpecPatch": _patch,
        "templates": [TEMPLATE],
        "volumes": VOLUMES,
        "volumeClaimTemplates": [
            {
                "": ("metadata",),
                "metadata": {"": ("name",), "name": _name, "labels": NOTHING, "annotations": NOTHING},
                "spec": NOTHING,
                "apiVersion": NOTHING,
                "kind": NOTHING,
            }
        ],
        "volumeClaimGC": {"strategy": _one_of("OnWorkflowCompletion", "OnWorkflowSuccess")},
    },
}  # fmt: skip
