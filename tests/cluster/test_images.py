"""Each image started in a pod as an arbitrary user on a read-only root: it works, and writes where it may."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.images import name_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

# Grey pictures with a bright box each, its class by its shape.
DATASET = """
import json, pathlib, random
from PIL import Image, ImageDraw
folder = pathlib.Path("/workspace/dataset"); (folder / "images").mkdir(parents=True)
images, boxes = [], []
for n in range(1, 17):
    wide = n % 2
    box = (10, 10, 30 if wide else 12, 12 if wide else 30)
    picture = Image.new("RGB", (64, 64), (random.randrange(90),) * 3)
    ImageDraw.Draw(picture).rectangle((box[0], box[1], box[0] + box[2], box[1] + box[3]), fill="white")
    picture.save(folder / "images" / f"{n:02}.png")
    images.append({"id": n, "file_name": f"{n:02}.png", "width": 64, "height": 64})
    boxes.append({"id": n, "image_id": n, "category_id": 1 + wide, "bbox": list(box)})
kinds = [{"id": 1, "name": "tall"}, {"id": 2, "name": "wide"}]
document = {"categories": kinds, "images": images, "annotations": boxes}
(folder / "annotations_detection.json").write_text(json.dumps(document))
"""

API = """
set -e
tiphys --help >/dev/null
python -m api --migrate
/opt/tiphys/environments/steps/bin/python -m steps.convert --help >/dev/null
python -c 'import psycopg, boto3'
"""
Step = tuple[str, list[str], dict[str, str]]
"""An image, a command, and its variables."""
Run = Callable[..., str]
DRY = {"JOB_ID": "22345678", "TRACE_ID": "0" * 32, "TASK_TYPE": "object_detection", "DATASET_ID": "boxes"}


@pytest.fixture(scope="module")
def namespace(kubectl: list[str]) -> Iterator[str]:
    name = f"chart-images-{secrets.token_hex(4)}"
    subprocess.run([*kubectl, "create", "namespace", name], check=True, capture_output=True)
    yield name
    subprocess.run([*kubectl, "delete", "namespace", name, "--wait=false"], check=True, capture_output=True)


@pytest.fixture
def run(kubectl: list[str], namespace: str, images: Callable[..., None]) -> Run:
    """Runs containers one after the other in a pod whose root nobody may write to; returns what they say."""

    def start(*steps: Step, memory: str = "512Mi") -> str:
        images(*(image for image, _, _ in steps))
        here = [*kubectl, "-n", namespace]
        name = f"pod-{secrets.token_hex(4)}"
        pod = json.dumps(locked_down(name, steps, memory))
        subprocess.run([*here, "apply", "-f", "-"], input=pod, text=True, check=True, capture_output=True)
        asked = [*here, "get", "pod", name, "-o", "jsonpath={.status.phase}"]
        deadline = time.monotonic() + 400
        while (phase := subprocess.check_output(asked, text=True)) not in ("Succeeded", "Failed"):
            assert time.monotonic() < deadline, f"still {phase}"
            time.sleep(1)
        logs = [*here, "logs", name, "--all-containers", "--prefix"]
        said = subprocess.check_output(logs, text=True)
        assert phase == "Succeeded", said
        return said

    return start


def locked_down(name: str, steps: tuple[Step, ...], memory: str) -> dict[str, Any]:
    """The pod: the last step is its container, those before it prepare the workspace."""
    user = 100_000 + secrets.randbelow(1_000_000_000)
    containers = [
        {
            "name": f"step-{number}",
            "image": name_of(image),
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "env": [{"name": name, "value": value} for name, value in (DRY | variables).items()],
            "resources": {"limits": {"memory": memory}},
            "securityContext": {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "workspace", "mountPath": "/workspace"}, {"name": "tmp", "mountPath": "/tmp"}],
        }
        for number, (image, command, variables) in enumerate(steps)
    ]
    security = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {**security, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": containers[:-1],
        "containers": containers[-1:],
        "volumes": [{"name": "workspace", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def python(script: str) -> list[str]:
    """The command that runs a script."""
    return ["python", "-c", script]


MAKE = ("steps", python(DATASET), {})
CONVERT = ("steps", ["python", "-m", "steps.convert", "--target", "yolo"], {})


def test_the_platform(run: Run) -> None:
    run(("api", ["sh", "-c", API], {"TIPHYS_HOME": "/tmp/home"}))


def test_the_steps_and_the_toy_trainer(run: Run) -> None:
    trains = ["sh", "-c", "python -m steps.train.toy && find /workspace -name 'best.*'"]
    said = run(MAKE, CONVERT, ("trainer-toy", trains, {"MODEL_NAME": "softmax", "EPOCHS": "3"}))
    assert '"epoch": 3' in said
    assert "/best." in said


def test_the_ultralytics_trainer(run: Run) -> None:
    trains = ["sh", "-c", "python -m steps.train.ultralytics && find /workspace -name best.pt"]
    settings = {"MODEL_NAME": "yolo11n", "EPOCHS": "1", "BATCH_SIZE": "4", "IMAGE_SIZE": "64", "DEVICE": "cpu"}
    said = run(MAKE, CONVERT, ("trainer-ultralytics", trains, settings), memory="3Gi")
    assert '"epoch": 1' in said
    assert "/best.pt" in said
