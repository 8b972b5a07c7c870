"""A trainer without the SDK: the contract spoken by hand, in any language's terms: environment, HTTP, files."""

import json
import math
import os
import shutil
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import unquote

ENV = os.environ
JOB = f"{ENV.get('BACKEND_BASE_URL', '').rstrip('/')}/v1/jobs/{ENV.get('JOB_ID')}"
WORK = Path(ENV.get("WORK_DIR", "/workspace"))


def say(level: str, message: str) -> None:
    """Prints a line as the platform's log keeps it."""
    print(f"[TRACE:{ENV.get('TRACE_ID')}] [{level}] {message}", flush=True)


def post(call: str, **body: object) -> dict[str, object] | None:
    """Posts one call; returns the answer, or None where that failed: which must not stop training."""
    request = urllib.request.Request(
        f"{JOB}/{call}",
        json.dumps({"trace_id": ENV.get("TRACE_ID"), **body}).encode(),
        {"Authorization": f"Bearer {ENV.get('CALLBACK_TOKEN')}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        say("WARNING", f"{call} was not heard: {error}")
        return None


def done(**body: object) -> bool:
    """Posts the end, again and again for some minutes: it must arrive."""
    for pause in (1, 2, 4, 8, 15, 30, 60, 60, 0):
        if post("done", **body) is not None:
            return True
        time.sleep(pause)
    return False


def upload(path: Path, name: str) -> str:
    """Stores a file below CHECKPOINTS_URI; returns its URI."""
    uri = ENV["CHECKPOINTS_URI"] + name
    if uri.startswith("file://"):
        target = Path(unquote(uri.removeprefix("file://")))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return uri
    import boto3  # only an S3 storage needs it

    kind = ENV["STORAGE_TYPE"]
    names = {"minio": ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"), "r2": ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY")}
    key, secret = (ENV[name] for name in names[kind]) if kind in names else (None, None)
    endpoint = ENV.get(f"{kind.upper()}_ENDPOINT")
    client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret)
    client.upload_file(str(path), *uri.removeprefix("s3://").split("/", 1))
    return uri


def read_sizes(folder: Path) -> list[tuple[int, float]]:
    """Reads YOLO label files as (class, logarithm of width over height)."""
    lines = [line.split() for file in sorted(folder.glob("*.txt")) for line in file.read_text().splitlines()]
    return [(int(line[0]), math.log(float(line[3]) / float(line[4]))) for line in lines]


def train() -> tuple[str, dict[str, float], dict[str, str]]:
    """Learns one mean per class by gradient descent; returns status, metrics, artifacts."""
    epochs, rate = int(ENV["EPOCHS"]), float(ENV["LEARNING_RATE"])
    boxes, checks = (read_sizes(WORK / "converted" / "labels" / part) for part in ("train", "val"))
    means = dict.fromkeys(sorted({index for index, _ in boxes}), 0.0)
    metrics: dict[str, float] = {}
    status = "succeeded"
    for epoch in range(1, epochs + 1):
        loss = 0.0
        for index, value in boxes:
            loss += (value - means[index]) ** 2 / len(boxes)
            means[index] += rate * (value - means[index])
        right = sum(min(means, key=lambda m: abs(means[m] - value)) == index for index, value in checks)
        metrics = {"loss": loss, "accuracy": right / len(checks)}
        say("INFO", f"epoch {epoch}/{epochs} {metrics}")
        answer = post("heartbeat", epoch=epoch, total_epochs=epochs, progress=100 * epoch / epochs, metrics=metrics)
        if answer and answer.get("should_continue") is False:
            status = "cancelled"
            break
    path = WORK / "run" / "last.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"means": means}))
    uri = upload(path, "last.json")
    data = {"checkpoint_path": uri, "kind": "last", "uri": uri, "metrics": metrics}
    post("event", level="info", event_type="checkpoint_saved", message=f"saved to {uri}", data=data)
    return status, metrics, {"last_checkpoint": uri}


def main() -> int:
    """Trains, tells the end, returns the exit code."""
    began = time.monotonic()
    try:
        status, metrics, artifacts = train()
    except Exception as error:
        say("ERROR", f"{type(error).__name__}: {error}")
        done(status="failed", error=f"{type(error).__name__}: {error}", error_type="TRAINING_ERROR")
        return 1
    seconds = round(time.monotonic() - began, 1)
    told = done(status=status, error=None, final_metrics=metrics, artifacts=artifacts, training_time_seconds=seconds)
    return 0 if told else 2


if __name__ == "__main__":
    sys.exit(main())
