"""The steps of a training as Argo templates, for the whole pipeline and for scripts that arrange them anew."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from hera.workflows import Container, Parameter
from hera.workflows import models as m

from workflows.attempt import Run
from workflows.catalog import FRAMEWORKS
from workflows.environment import CACHE, dataset_id, environment, threads
from workflows.quantities import cpu_quantity
from workflows.retries import retried
from workflows.spec import JobSpec

WORKSPACE = "workspace"
CACHE_VOLUME = "cache"
TELL_TRIES = 16
"""Tries of the steps that only tell the platform: about an hour, on a core that holds no GPU."""
DISPLAY_NAME = "workflows.argoproj.io/display-name"
USER = 1000

# Argo's executor tells a training's progress once a minute by itself, and many epochs are shorter.
_PROGRESS = {"name": "ARGO_PROGRESS_PATCH_TICK_DURATION", "value": "10s"}


@dataclass(kw_only=True)
class Step(Container):
    """A container template that shows itself in Argo's UI under a name of its own."""

    display_name: str | None = None

    def _build_template(self) -> m.Template:
        # The wrapper hands `annotations` to the pod; the display name belongs on the template.
        template = super()._build_template()
        if self.display_name:
            template.annotations = {DISPLAY_NAME: self.display_name}
        return template


@dataclass(frozen=True)
class Steps:
    """The templates of one job; `branch` sets several jobs apart that share one workflow and its workspace."""

    spec: JobSpec
    """Resolved."""
    run: Run
    branch: str = ""
    """Suffix of the templates' names and folder below the workspace."""
    secret: str = ""
    """Name of the Secret; the attempt's workflow name where empty."""

    @property
    def work_dir(self) -> str:
        """The folder the steps work in."""
        return f"/workspace/{self.branch}" if self.branch else "/workspace"

    def download(self) -> Step:
        """Fetches the dataset, and the pretrained weights where the storage has them."""
        shown = f"download-{dataset_id(self.spec.dataset)}"
        return self._light("download", shown, outputs={"images": "0", "bytes": "0"}, cached=True)

    def convert(self) -> Step:
        """Checks the dataset, resolves its split and writes it as the trainer reads it."""
        target = self.spec.convert or FRAMEWORKS[self.spec.framework].targets[str(self.spec.task)]
        shown = "check-dataset" if target == "none" else f"convert-to-{target}"
        outputs = {"classes": "0", "images_train": "0", "images_val": "0", "snapshot_id": "-"}
        return self._light("convert", shown, args=["--target", target], outputs=outputs, cached=True)

    def branch_off(self) -> Step:
        """Opens the branch's folder with links to what the branches share: dataset, conversion and weights."""
        script = (
            'mkdir -p "$WORK_DIR" && cd "$WORK_DIR" && '
            'for name in dataset converted weights snapshot.json conversion.json; do ln -sfn "../$name" "$name"; done'
        )
        return self._light("open", "open-folder", command=["sh", "-c"], args=[script])

    def train(self) -> Step:
        """Trains; the only step that holds GPUs."""
        spec, home = self.spec, FRAMEWORKS[self.spec.framework]
        command = ["python", "-m", home.module] if home.module else list(spec.command or ())
        image = spec.image if home.image is None else self._image(home.image)
        memory = m.VolumeMount(name="shared-memory", mount_path="/dev/shm")
        # Memory-backed files count against the container's memory: the size is part of `memory`, not on top of it.
        source = m.EmptyDirVolumeSource(medium="Memory", size_limit=_quantity(spec.resources.shared_memory))
        return Step(
            name=self._name("train"),
            display_name=display_name(f"train-{spec.model}"),
            image=image,
            command=command,
            env=self._env({"OMP_NUM_THREADS": str(threads(spec))}, cached=True),
            resources=self._training_resources(),
            outputs=self._outputs("train", {"best_metric": "-", "epochs": "0"}),
            active_deadline_seconds=spec.limits.train.seconds if spec.limits.train else None,
            retry_strategy=retried(),
            volumes=[_tmp(), m.Volume(name="shared-memory", empty_dir=source), *self._cache_volumes()],
            # Read-only: links of the converted dataset lead there, and nobody else's training may feel this one.
            volume_mounts=[*_mounts(), memory, *self._cache_mounts(read_only=True)],
            pod_spec_patch=json.dumps(self._patch(), separators=(",", ":")),
            # What stands in somebody's own image may write where it likes; ours writes to the workspace and /tmp.
            security_context=_locked_down(read_only=home.image is not None),
            **self._gpu_nodes(),
        )

    def _patch(self) -> dict[str, Any]:
        return {
            "terminationGracePeriodSeconds": 60,  # time to save `last` and to upload it before the node is gone
            "containers": [{"name": self.run.placement.executor, "env": [_PROGRESS]}],
        }

    def upload(self) -> Step:
        """Makes sure that the checkpoints and logs lie in the storage, whole."""
        strict = FRAMEWORKS[self.spec.framework].requires_checkpoint
        args = ["--require-checkpoint"] if strict else []
        return self._light("upload", "upload-checkpoints", args=args, outputs={"checkpoint_uri": "-"})

    def report(self) -> Step:
        """Tells the platform how it ended, in case the trainer could not."""
        return self._light("report", "report-result", tries=TELL_TRIES, cached=True)

    def on_exit(self) -> Step:
        """Tells the platform how it ended where the steps could not get that far."""
        args = ["--on-exit", "--status={{workflow.status}}", "--failures={{workflow.failures}}"]
        command = ["python", "-m", "steps.report"]
        return self._light("on-exit", "report-at-exit", command=command, args=args, tries=TELL_TRIES, cached=True)

    def _light(
        self,
        step: str,
        shown: str,
        *,
        command: list[str] | None = None,
        args: list[str] | None = None,
        outputs: dict[str, str] | None = None,
        tries: int | None = None,
        cached: bool = False,
    ) -> Step:
        return Step(
            name=self._name(step),
            display_name=display_name(f"{shown}-{self.branch}" if self.branch else shown),
            image=self._image("steps"),
            # Always given: without it Argo asks the image's registry what to run, and private ones do not answer.
            command=command or ["python", "-m", f"steps.{step}"],
            args=args or None,
            env=self._env({"OMP_NUM_THREADS": "1"}, cached=cached),
            resources=m.ResourceRequirements(
                requests={"cpu": _quantity("250m"), "memory": _quantity("512Mi")}, limits={"memory": _quantity("4Gi")}
            ),
            outputs=self._outputs(step, outputs or {}),
            retry_strategy=retried(limit=tries) if tries else retried(),
            volumes=[_tmp(), *(self._cache_volumes() if cached else [])],
            volume_mounts=[*_mounts(), *(self._cache_mounts() if cached else [])],
            security_context=_locked_down(read_only=True),
        )

    def _name(self, step: str) -> str:
        return f"{step}-{self.branch}" if self.branch else step

    def _image(self, name: str) -> str:
        return f"{self.run.image_prefix}/{name}:{self.run.image_tag}"

    def _cache_volumes(self) -> list[m.Volume]:
        claim = self.run.cache_claim
        if claim is None:
            return []
        source = m.PersistentVolumeClaimVolumeSource(claim_name=claim)
        return [m.Volume(name=CACHE_VOLUME, persistent_volume_claim=source)]

    def _cache_mounts(self, *, read_only: bool = False) -> list[m.VolumeMount]:
        if self.run.cache_claim is None:
            return []
        return [m.VolumeMount(name=CACHE_VOLUME, mount_path=CACHE, read_only=read_only or None)]

    def _gpu_nodes(self) -> dict[str, Any]:
        place = self.run.placement
        if not self.spec.resources.gpu:
            return {}
        # Argo takes the template's selector in the place of the workflow's, not beside it.
        selector = {**place.node_selector, **place.gpu_node_selector} if place.gpu_node_selector else None
        tolerations = [m.Toleration.model_validate(toleration) for toleration in place.gpu_tolerations]
        return {"node_selector": selector, "tolerations": tolerations or None}

    def _env(self, more: dict[str, str], *, cached: bool) -> list[m.EnvVar]:
        literals = environment(self.spec, self.run, work_dir=self.work_dir, cached=cached) | more
        secret = self.secret or self.run.name
        return [m.EnvVar(name=name, value=value) for name, value in sorted(literals.items())] + [
            m.EnvVar(name=name, value_from=m.EnvVarSource(secret_key_ref=_key(secret, name)))
            for name in self.run.secret_variables
        ]

    def _outputs(self, step: str, defaults: dict[str, str]) -> list[Parameter]:
        # With a default throughout: a step that ended early would otherwise fail a second time, over its outputs.
        folder = f"{self.work_dir}/outputs/{step}"
        return [
            Parameter(name=name, value_from=m.ValueFrom(path=f"{folder}/{name}", default=default))
            for name, default in defaults.items()
        ]

    def _training_resources(self) -> m.ResourceRequirements:
        asked = self.spec.resources
        amounts = {"cpu": _quantity(cpu_quantity(asked.cpu or 1)), "memory": _quantity(asked.memory)}
        if asked.gpu:
            amounts["nvidia.com/gpu"] = _quantity(str(asked.gpu))
        # Requests equal to limits: the pod is the last one a full node evicts.
        return m.ResourceRequirements(requests=amounts, limits=dict(amounts))


def display_name(text: str) -> str:
    """Returns text as Argo lets a node be called: letters, digits, '-' and '.', 2 to 63 characters."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:63].strip("-.")
    return name if len(name) > 1 else f"{name}-step".strip("-")


def workspace_claim(size: str) -> m.PersistentVolumeClaim:
    """Returns the claim of the volume all steps of a workflow share."""
    # One node at a time is enough, for one step follows the other, and every cluster has such a class. The price: steps
    # that run side by side land on one node, and a volume bound to a zone binds the later steps to it.
    return m.PersistentVolumeClaim(
        metadata=m.ObjectMeta(name=WORKSPACE),
        spec=m.PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            resources=m.VolumeResourceRequirements(requests={"storage": _quantity(size)}),
        ),
    )


def _key(secret: str, name: str) -> m.SecretKeySelector:
    # A node may have rights to its buckets by itself: plain S3 works without keys, and then the Secret has none.
    optional = True if name.startswith("AWS_") else None
    return m.SecretKeySelector(name=secret, key=name, optional=optional)


def _mounts() -> list[m.VolumeMount]:
    return [m.VolumeMount(name=WORKSPACE, mount_path="/workspace"), m.VolumeMount(name="tmp", mount_path="/tmp")]


def _tmp() -> m.Volume:
    return m.Volume(name="tmp", empty_dir=m.EmptyDirVolumeSource())


def _locked_down(*, read_only: bool) -> m.SecurityContext:
    return m.SecurityContext(
        allow_privilege_escalation=False,
        capabilities=m.Capabilities(drop=["ALL"]),
        read_only_root_filesystem=read_only or None,
    )


def _quantity(text: str | None) -> m.Quantity:
    return m.Quantity(root=str(text))
