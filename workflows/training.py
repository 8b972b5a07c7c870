"""JobSpec and Run → the workflow that trains; pure: the same two give the same manifest, wherever and whenever."""

from __future__ import annotations

import contextvars
import itertools
import re

from hera.workflows import DAG, Task, Workflow
from hera.workflows import models as m

from workflows.attempt import Run
from workflows.spec import JobSpec
from workflows.templates import USER, Steps, workspace_claim

__all__ = ["Run", "labels_of", "pod_security", "training_workflow"]

KEEP_SECONDS = 7 * 24 * 3600
"""How long a finished workflow stays: longer than the platform may be away, for it reads the end from it."""


def training_workflow(spec: JobSpec, run: Run) -> Workflow:
    """Returns the workflow of one attempt: download, convert, train, upload, report, and a report at exit."""
    # Hera collects templates in a context variable that threads share once one of them has built something: a fresh
    # context keeps concurrent builds, and a script's own `with Workflow(...)`, out of each other.
    return contextvars.Context().run(_training_workflow, spec.resolved(), run)


def _training_workflow(spec: JobSpec, run: Run) -> Workflow:
    steps = Steps(spec, run)
    labels = labels_of(spec, run)
    with Workflow(
        name=run.name,
        labels=labels,
        annotations={
            "workflows.argoproj.io/title": title(spec, run),
            "workflows.argoproj.io/description": description(spec, run),
        },
        entrypoint="main",
        on_exit="on-exit",
        active_deadline_seconds=spec.limits.total.seconds if spec.limits.total else None,
        pod_metadata=m.Metadata(labels={key: labels[key] for key in ("tiphys/job-id", "tiphys/attempt")}),
        # With a delay: the last lines of a log are read from the pod.
        pod_gc=m.PodGC(strategy="OnWorkflowCompletion", delete_delay_duration="600s"),
        ttl_strategy=m.TTLStrategy(seconds_after_completion=KEEP_SECONDS),
        volume_claim_templates=[workspace_claim(str(spec.resources.workspace))],
        volume_claim_gc=m.VolumeClaimGC(strategy="OnWorkflowCompletion"),
        security_context=pod_security(),
        service_account_name=run.placement.service_account,
        image_pull_secrets=[m.LocalObjectReference(name=name) for name in run.placement.image_pull_secrets] or None,
        node_selector=dict(run.placement.node_selector) or None,
    ) as workflow:
        order = [steps.download(), steps.convert(), steps.train(), steps.upload(), steps.report()]
        steps.on_exit()
        with DAG(name="main"):
            tasks = [Task(name=str(step.name), template=step.name) for step in order]
            for before, after in itertools.pairwise(tasks):
                _ = before >> after
    return workflow


def pod_security() -> m.PodSecurityContext:
    """Returns what holds for every pod: no root, a group that owns the workspace, the runtime's own seccomp profile."""
    return m.PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        # Without it every mount walks through the whole dataset to change its group.
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=m.SeccompProfile(type="RuntimeDefault"),
    )


def labels_of(spec: JobSpec, run: Run) -> dict[str, str]:
    """Returns a job's labels, its own words under `label.tiphys/`; what no label can say is left out."""
    labels = {
        "tiphys/job-id": run.job_id,
        "tiphys/attempt": str(run.attempt),
        "tiphys/project": spec.project or "",
        "tiphys/framework": spec.framework,
        "tiphys/model": spec.model or "",
        "tiphys/task": spec.task or "",
        "tiphys/user": run.user or "",
    }
    labels |= {f"label.tiphys/{key}": value for key, value in sorted(spec.labels.items())}
    valid = {key: label_value(value) for key, value in labels.items()}
    return {key: value for key, value in valid.items() if value}


def label_value(text: str) -> str:
    """Returns text as Kubernetes lets a label say it: letters, digits, '-', '_' and '.', at most 63 characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("-._")


def title(spec: JobSpec, run: Run) -> str:
    """Returns what Argo's UI calls the workflow; the job id is in it, for a title hides the name."""
    what = f"{_plain(spec.name)}: " if spec.name else ""
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    return f"{what}{_plain(spec.model or '')} on {_plain(spec.dataset)} (job {run.job_id}{again})"


def description(spec: JobSpec, run: Run) -> str:
    """Returns the lines Argo's UI shows below the title, in Markdown."""
    hyper = spec.hyperparameters
    settings = [f"{hyper.epochs} epochs", f"batch {hyper.batch}"]
    settings += [f"{hyper.image_size} px"] if hyper.image_size else []
    settings += [f"{hyper.optimizer}"] if hyper.optimizer else []
    settings += [f"learning rate {hyper.learning_rate}"] if hyper.learning_rate else []
    lines = [
        f"{spec.framework} / {_plain(spec.model or '')}, {(spec.task or '').replace('_', ' ')}",
        _plain(", ".join(settings)),
        f"for {_plain(run.user)}" if run.user else "",
        f"[job {run.job_id}]({run.job_url})" if run.job_url else "",
    ]
    return "\n\n".join(line for line in lines if line)


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
