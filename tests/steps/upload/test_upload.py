"""The upload step brings what storage lacks, tells of what it brought, and minds a training without a checkpoint."""

import hashlib
from pathlib import Path

import pytest

from steps.upload.outputs import checkpoint_kind, sort_outputs
from tests.steps.download.running import Ran, run_step
from tests.steps.download.s3 import S3


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, s3: S3) -> tuple[dict[str, str], Path]:
    """Gives the variables of a job and the folder in which its objects come to lie."""
    name = request.node.name.partition("[")[0]
    if request.param == "folder":
        root, env = f"file://{tmp_path}/storage", {}
        folder = tmp_path / "storage"
    else:
        root, env, folder = f"s3://bucket/{name}", s3.environment, s3.folder / "bucket" / name
    return {**env, "CHECKPOINTS_URI": f"{root}/checkpoints/x/", "LOGS_URI": f"{root}/logs/job-x/"}, folder


def run_folder(work: Path) -> Path:
    run = work / "run"
    (run / "plots").mkdir(parents=True)
    (run / "weights").mkdir()
    (run / "best.pt").write_bytes(b"best weights")
    (run / "last.pt").write_bytes(b"last weights")
    (run / "classes.json").write_text("[]")
    (run / "results.csv").write_text("epoch\n")
    (run / "plots/a b.png").write_bytes(b"png")
    (run / ".cache").write_text("hidden")
    (run / "weights/best.pt").write_bytes(b"an older copy")
    (run / "secret").symlink_to("/etc/passwd")
    return run


def saved(ran: Ran) -> dict[str, dict]:
    return {b["data"]["kind"]: b["data"] for b in ran.told("event") if b["event_type"] == "checkpoint_saved"}


def test_what_is_missing_is_brought_and_told_once(tmp_path: Path, storage: tuple[dict[str, str], Path]) -> None:
    env, folder = storage
    run = run_folder(tmp_path / "w")
    ran = run_step("upload", tmp_path / "w", "--require-checkpoint", **env)
    assert ran.code == 0, ran.out + ran.err
    stored = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert stored == {
        "checkpoints/x/best.pt": b"best weights",
        "checkpoints/x/last.pt": b"last weights",
        "checkpoints/x/classes.json": b"[]",
        "logs/job-x/results.csv": b"epoch\n",
        "logs/job-x/plots/a b.png": b"png",
    }
    told = saved(ran)
    assert {kind: data["uri"] for kind, data in told.items()} == {
        "best": f"{env['CHECKPOINTS_URI']}best.pt",
        "last": f"{env['CHECKPOINTS_URI']}last.pt",
    }
    assert told["best"]["sha256"] == hashlib.sha256(b"best weights").hexdigest()
    assert told["best"]["size"] == 12
    assert ran.output("upload", "checkpoint_uri") == f"{env['CHECKPOINTS_URI']}best.pt"
    assert saved(run_step("upload", tmp_path / "w", **env)) == {}
    (run / "last.pt").write_bytes(b"LAST weights")
    assert set(saved(run_step("upload", tmp_path / "w", **env))) == {"last"}
    assert (folder / "checkpoints/x/last.pt").read_bytes() == b"LAST weights"


def test_checkpoints_that_the_trainer_brought_itself_count(
    tmp_path: Path, storage: tuple[dict[str, str], Path]
) -> None:
    env, folder = storage
    (folder / "checkpoints/x").mkdir(parents=True)
    (folder / "checkpoints/x/last.pth").write_bytes(b"weights")
    ran = run_step("upload", tmp_path / "w", "--require-checkpoint", **env)
    assert (ran.code, saved(ran)) == (0, {})
    assert ran.output("upload", "checkpoint_uri") == f"{env['CHECKPOINTS_URI']}last.pth"


def test_the_weights_come_before_what_was_made_of_them(tmp_path: Path, storage: tuple[dict[str, str], Path]) -> None:
    env, folder = storage
    run = run_folder(tmp_path / "w")
    (run / "best.onnx").write_bytes(b"an export")
    (run / "last.unusable").write_bytes(b"torn")
    for _ in range(2):  # also where all lies there already
        ran = run_step("upload", tmp_path / "w", **env)
        assert ran.output("upload", "checkpoint_uri") == f"{env['CHECKPOINTS_URI']}best.pt"
    stored = {path.name: path.read_bytes() for path in (folder / "checkpoints/x").iterdir()}
    assert (stored["best.pt"], stored["best.onnx"]) == (b"best weights", b"an export")
    assert "last.unusable" not in stored


def test_of_epochs_alone_the_latest_is_named(tmp_path: Path, storage: tuple[dict[str, str], Path]) -> None:
    env, folder = storage
    (folder / "checkpoints/x").mkdir(parents=True)
    for epoch in (9, 12):
        (folder / f"checkpoints/x/epoch_{epoch}.pt").write_bytes(b"weights")
    ran = run_step("upload", tmp_path / "w", "--require-checkpoint", **env)
    assert ran.output("upload", "checkpoint_uri") == f"{env['CHECKPOINTS_URI']}epoch_12.pt"


def test_no_checkpoint_at_all(tmp_path: Path, storage: tuple[dict[str, str], Path]) -> None:
    env, _ = storage
    ran = run_step("upload", tmp_path / "w", "--require-checkpoint", **env)
    done = ran.told("done")[0]
    assert (ran.code, done["error_type"]) == (1, "CHECKPOINT_ERROR")
    assert "left no checkpoint" in done["error"]
    assert ran.cause.startswith("CHECKPOINT_ERROR: ")
    tolerant = run_step("upload", tmp_path / "v", **env)
    assert (tolerant.code, tolerant.told("done")) == (0, [])
    assert [(b["event_type"], b["level"]) for b in tolerant.told("event")] == [("checkpoint_missing", "warning")]
    assert tolerant.output("upload", "checkpoint_uri") == ""


def test_storage_that_is_away_is_tried_again(tmp_path: Path) -> None:
    run_folder(tmp_path / "w")
    env = {"STORAGE_TYPE": "minio", "MINIO_ENDPOINT": "http://127.0.0.1:9", "MINIO_ACCESS_KEY": "a",
           "MINIO_SECRET_KEY": "b", "CHECKPOINTS_URI": "s3://b/c/", "LOGS_URI": "s3://b/l/"}  # fmt: skip
    assert run_step("upload", tmp_path / "w", **env).code == 75


@pytest.mark.parametrize(
    ("name", "kind"),
    [("best.pt", "best"), ("last.safetensors", "last"), ("epoch12.pt", "epoch_12"), ("epoch_3.pth", "epoch_3"),
     ("best.png", None), ("mybest.pt", None), ("best", None), ("latest.pt", None)],
)  # fmt: skip
def test_checkpoints_are_known_by_name(name: str, kind: str | None) -> None:
    assert checkpoint_kind(name) == kind


def test_a_run_folder_of_the_framework_itself_is_understood(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/best.pt").write_bytes(b"1")
    assert sort_outputs(tmp_path).checkpoints == {"best": tmp_path / "weights/best.pt"}
    assert sort_outputs(tmp_path / "nothing").checkpoints == {}


def test_weights_that_a_trainer_got_by_itself_are_kept_once(
    tmp_path: Path, storage: tuple[dict[str, str], Path]
) -> None:
    env, folder = storage
    uri = env["CHECKPOINTS_URI"].replace("checkpoints/x/", "pretrained_weights/ultralytics/yolo11n.pt")
    run_folder(tmp_path / "w")
    (tmp_path / "w/weights").mkdir()
    for content in (b"weights", b"other weights"):
        (tmp_path / "w/weights/yolo11n.pt").write_bytes(content)
        ran = run_step("upload", tmp_path / "w", **env, PRETRAINED_URI=uri)
        assert ran.code == 0, ran.out
        told = [body for body in ran.told("event") if body["event_type"] == "pretrained_kept"]
        assert len(told) == (content == b"weights")
    assert (folder / "pretrained_weights/ultralytics/yolo11n.pt").read_bytes() == b"weights"
