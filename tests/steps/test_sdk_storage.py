"""The SDK's files: folders and S3 alike, whole or not at all, and a dataset that is already there."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from moto.server import ThreadedMotoServer

from steps import trainer_sdk
from steps.trainer_sdk import Storage, TrainerError, TrainerSDK
from tests.steps.s3 import serving
from tests.steps.wire import Platform, environment


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving(tmp_path_factory.mktemp("s3")) as variables:
        yield variables


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, str]:
    """A storage and a prefix in it of the test's own."""
    if request.param == "file":
        return Storage({"STORAGE_TYPE": "file"}), f"file://{tmp_path}/store/a%20b/"
    return Storage(request.getfixturevalue("s3")), f"s3://bucket/{tmp_path.name}/a b/"


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    """The variables of a service that answers as AWS does: 206 to ranges, ETags of several parts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    variables |= {"STORAGE_TYPE": "s3", "STORAGE_BUCKET": "bucket"}
    # The service knows the regions of AWS alone, at the making of a bucket; the SDK signs for `auto`.
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"], **keys).create_bucket(Bucket="bucket")
    yield variables
    server.stop()


PLACES = ["file", "s3", "moto"]


@pytest.fixture(params=PLACES)
def everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, str], str]:
    """The variables of a storage, and a prefix in it of the test's own."""
    if request.param == "file":
        return {"STORAGE_TYPE": "file"}, f"file://{tmp_path}/store/"
    return request.getfixturevalue(request.param), f"s3://bucket/{tmp_path.name}/"


def test_a_checkpoint_of_many_parts_goes_up_with_its_digest(
    everywhere: tuple[dict[str, str], str], tmp_path: Path
) -> None:
    variables, prefix = everywhere
    storage, body = Storage(variables), os.urandom((20 << 20) + 7)
    (tmp_path / "best.pt").write_bytes(body)
    stored = storage.upload(tmp_path / "best.pt", f"{prefix}best.pt")
    assert stored == {"uri": f"{prefix}best.pt", "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    assert storage.stat(f"{prefix}best.pt") == stored
    assert storage.download(f"{prefix}best.pt", tmp_path / "back").read_bytes() == body


TORN = """
import os, signal, sys
from pathlib import Path
from steps.trainer_sdk import Storage
storage, left = Storage(dict(os.environ)), [2]
def deadly(*_, **__):
    left[0] -= 1
    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)
if os.environ["STORAGE_TYPE"] == "file":
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
else:
    storage.s3.meta.events.register("before-call.s3.UploadPart", deadly)
storage.upload(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("before", [False, True])
def test_a_killed_upload_is_never_visible(everywhere: tuple[dict[str, str], str], tmp_path: Path, before: bool) -> None:
    variables, prefix = everywhere
    storage, uri = Storage(variables), f"{prefix}best.pt"
    if before:
        (tmp_path / "old").write_bytes(b"the one before")
        storage.upload(tmp_path / "old", uri)
    (tmp_path / "best.pt").write_bytes(os.urandom(30 << 20))
    repository = Path(__file__).parents[2]
    env = {**variables, "PATH": os.environ["PATH"], "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", TORN, str(tmp_path / "best.pt"), uri]
    ran = subprocess.run(command, env=env, capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert list(storage.list(prefix)) == ([("best.pt", 14)] if before else [])
    assert storage.exists(uri) == before
    storage.upload(tmp_path / "best.pt", uri)
    assert list(storage.list(prefix)) == [("best.pt", 30 << 20)]


@pytest.mark.parametrize("everywhere", ["s3", "moto"], indirect=True)
def test_an_upload_that_fails_leaves_nothing(everywhere: tuple[dict[str, str], str], tmp_path: Path) -> None:
    variables, prefix = everywhere
    storage = Storage(variables)

    def fail(params: dict[str, object], **_: object) -> None:
        if params["query_string"].get("partNumber") == 2:  # type: ignore[attr-defined]
            raise ConnectionError("the line is cut")

    storage.s3.meta.events.register("before-call.s3.UploadPart", fail)
    (tmp_path / "best.pt").write_bytes(bytes(20 << 20))
    with pytest.raises(ConnectionError):
        storage.upload(tmp_path / "best.pt", f"{prefix}best.pt")
    assert list(storage.list(prefix)) == []
    if variables["STORAGE_TYPE"] == "s3":  # rclone does not tell
        begun = storage.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", ())
        assert not [upload for upload in begun if upload["Key"].startswith(tmp_path.name)]


ODD = ["a b.bin", "부품/나사.bin", "x+y%20#?=&.bin", "%zz.bin", "🙂.bin", "a~*(x)!.bin"]


def test_odd_keys_are_kept_apart(everywhere: tuple[dict[str, str], str], tmp_path: Path) -> None:
    variables, prefix = everywhere
    storage = Storage(variables)
    for name in ODD:
        (tmp_path / "w").write_text(name)
        uri = prefix + (quote(name) if prefix.startswith("file:") else name)
        storage.upload(tmp_path / "w", uri)
        assert storage.exists(uri)
        assert storage.download(uri, tmp_path / "back").read_text() == name
    assert sorted(name for name, _ in storage.list(prefix)) == sorted(ODD)


def test_more_than_a_thousand_objects_are_listed(everywhere: tuple[dict[str, str], str], tmp_path: Path) -> None:
    variables, prefix = everywhere
    storage = Storage(variables)
    (tmp_path / "w").write_bytes(b"w")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: storage.upload(tmp_path / "w", f"{prefix}{n:04}"), range(1100)))
    assert [name for name, _ in storage.list(prefix)] == [f"{n:04}" for n in range(1100)]


def test_what_goes_up_comes_down(place: tuple[Storage, str], tmp_path: Path) -> None:
    storage, prefix = place
    (tmp_path / "w.bin").write_bytes(b"w" * 100_000)
    digest = hashlib.sha256(b"w" * 100_000).hexdigest()
    stored = storage.upload(tmp_path / "w.bin", f"{prefix}x/w.bin")
    assert stored == {"uri": f"{prefix}x/w.bin", "size": 100_000, "sha256": digest}
    assert storage.stat(f"{prefix}x/w.bin") == stored
    assert storage.exists(prefix)
    assert storage.exists(f"{prefix}x/w.bin")
    assert not storage.exists(f"{prefix}x/w")
    assert not storage.exists(f"{prefix}y/")
    assert list(storage.list(prefix)) == [("x/w.bin", 100_000)]
    with storage.open(f"{prefix}x/w.bin") as stream:
        assert stream.read(3) == b"www"
    assert storage.download(f"{prefix}x/w.bin", tmp_path / "new" / "w").read_bytes() == b"w" * 100_000
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w"]


@pytest.mark.parametrize("key", ["sha256", "Sha256", "SHA256"])
def test_the_hash_is_known_however_the_server_writes_its_key(s3: dict[str, str], tmp_path: Path, key: str) -> None:
    def spell(parsed: dict[str, dict[str, str]], **_: object) -> None:
        (value,) = (value for name, value in parsed["Metadata"].items() if name.lower() == "sha256")
        parsed["Metadata"] = {"mtime": "1", key: value}

    storage = Storage(s3)
    (tmp_path / "w").write_bytes(b"w")
    stored = storage.upload(tmp_path / "w", f"s3://bucket/{tmp_path.name}/w")
    storage.s3.meta.events.register("after-call.s3.HeadObject", spell)
    assert storage.stat(stored["uri"]) == stored


def test_what_is_not_there_is_named(place: tuple[Storage, str], tmp_path: Path) -> None:
    storage, prefix = place
    with pytest.raises(TrainerError, match=r"absent\.bin") as caught:
        storage.download(f"{prefix}absent.bin", tmp_path / "x")
    assert (caught.value.error_type, caught.value.exit_code) == ("DATASET_ERROR", 1)
    assert not (tmp_path / "x").exists()


def test_a_storage_that_is_away_is_a_temporary_failure(
    s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    storage = Storage({**s3, "MINIO_ENDPOINT": "http://127.0.0.1:9"})
    storage.s3.meta.events.register("needs-retry.*", lambda **_: None)
    (tmp_path / "w").write_bytes(b"w")
    with pytest.raises(TrainerError) as caught:
        storage.upload(tmp_path / "w", "s3://bucket/w")
    assert (caught.value.error_type, caught.value.exit_code) == ("NETWORK_ERROR", 75)


def test_wrong_keys_are_no_temporary_failure(s3: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"w")
    with pytest.raises(TrainerError) as caught:
        Storage({**s3, "MINIO_SECRET_KEY": "wrong"}).upload(tmp_path / "w", "s3://bucket/w")
    assert caught.value.exit_code == 1


def test_a_full_disk_is_named_with_its_cure(
    workspace: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk = TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0)
    (workspace / "w.json").write_text("{}")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trainer_sdk.os, "fsync", full)
    assert sdk.run(lambda sdk: sdk.upload_checkpoint(workspace / "w.json")) == 1
    (done,) = platform.calls("done")
    assert (done["error_type"], done["detail"]) == ("RESOURCE_ERROR", "disk_full")
    assert "best.json: free space there, or give the job a larger volume" in done["error"]
    assert not [path for path in (workspace / "store").rglob("*") if path.is_file()]


def test_uploads_aside_do_not_wait_and_the_latest_wins(workspace: Path, platform: Platform) -> None:
    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0) as sdk:
        for epoch in range(1, 21):
            (workspace / "last.json").write_text(str(epoch))  # in place, as some frameworks do
            sdk.upload_async(workspace / "last.json", "last", {"loss": 1 / epoch}, epoch)
        uris = sdk.flush()
    assert uris == {"last": f"{sdk.checkpoints_uri}last.json"}
    assert Path(uris["last"].removeprefix("file://")).read_text() == "20"
    told = [body["data"] for body in platform.calls("event")]
    assert told[-1]["epoch"] == 20
    assert told[-1]["sha256"] == hashlib.sha256(b"20").hexdigest()
    assert list((workspace / "tmp").iterdir()) == []


def test_an_upload_aside_that_fails_is_a_warning(workspace: Path, platform: Platform) -> None:
    (workspace / "store").write_text("a file where a folder should be")
    (workspace / "last.json").write_text("{}")
    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0) as sdk:
        sdk.upload_async(workspace / "last.json", "last")
        assert sdk.flush() == {}
    (event,) = platform.calls("event")
    assert (event["event_type"], event["level"]) == ("checkpoint_upload_failed", "warning")


def test_files_go_below_the_logs(workspace: Path) -> None:
    sdk = TrainerSDK(environment(workspace, url=None))
    (workspace / "p.png").write_text("p")
    uri = sdk.upload_file(workspace / "p.png", "job1/a b.png", content_type="image/png", storage_type="internal")
    assert uri == f"{sdk.logs_uri}job1/a%20b.png"
    assert (workspace / "store/logs/job-7k3mqz2x/job1/a b.png").read_text() == "p"
    with pytest.raises(TrainerError, match=r"without '\.\.'"):
        sdk.upload_file(workspace / "p.png", "../p.png")
    with pytest.raises(TrainerError, match=r"absent\.pt does not exist") as caught:
        sdk.upload_checkpoint(workspace / "absent.pt")
    assert caught.value.error_type == "CHECKPOINT_ERROR"


METHODS: list[Callable[[TrainerSDK, Path], str]] = [
    lambda sdk, dest: sdk.download_dataset("digits", dest),
    lambda sdk, dest: sdk.download_dataset("digits", dest=dest),
    lambda sdk, dest: sdk.download_dataset_selective("digits", str(dest)),
    lambda sdk, dest: sdk.download_dataset_with_cache(
        snapshot_id="snap_a", dataset_id="digits", dataset_version_hash="dsv1:0", dest_dir=str(dest)
    ),
]


@pytest.mark.parametrize("method", METHODS)
def test_in_a_pipeline_the_dataset_is_there(workspace: Path, tmp_path: Path, method: Callable[..., str]) -> None:
    (workspace / "dataset").mkdir()
    sdk = TrainerSDK(environment(workspace, url=None, DATASET_S3_URI="s3://never/asked/"))
    assert method(sdk, tmp_path / "elsewhere") == str(workspace / "dataset")
    assert not (tmp_path / "elsewhere").exists()
    inside = workspace / "tmp" / "mine"
    assert method(sdk, inside) == str(workspace / "dataset")
    assert inside.readlink() == workspace / "dataset"
    assert method(sdk, workspace / "dataset") == str(workspace / "dataset")


def test_in_a_pipeline_the_conversion_is_there(workspace: Path) -> None:
    sdk = TrainerSDK(environment(workspace, url=None))
    with pytest.raises(TrainerError, match="no yolo dataset") as caught:
        sdk.convert_dataset(str(workspace), "dice", "yolo")
    assert caught.value.error_type == "CONFIG_ERROR"
    (workspace / "converted").mkdir()
    (workspace / "converted" / "data.yaml").write_text("names: [a]")
    assert sdk.convert_dataset(
        dataset_dir="/tmp/dataset", source_format="dice", target_format="yolo", split_config={}, task_type="detection"
    ) == str(workspace / "converted")
    with pytest.raises(TrainerError, match="no coco dataset"):
        sdk.convert_dataset("", "dice", "coco")


def test_outside_a_pipeline_a_prefix_is_fetched(place: tuple[Storage, str], s3: dict[str, str], tmp_path: Path) -> None:
    storage, prefix = place
    (tmp_path / "a.json").write_text("{}")
    for name in ("annotations.json", "images/1.png"):
        storage.upload(tmp_path / "a.json", prefix + name)
    sdk = TrainerSDK({**s3, "WORK_DIR": str(tmp_path / "none"), "DATASET_S3_URI": prefix})
    folder = Path(sdk.download_dataset("digits", tmp_path / "got"))
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*")) == ["annotations.json", "images/1.png"]
    with pytest.raises(TrainerError, match="nothing lies below"):
        TrainerSDK({**s3, "DATASET_S3_URI": f"{prefix}none/", "TMP_DIR": str(tmp_path)}).download_dataset()


def _zip(path: Path, *names: str) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return f"file://{path}"


def test_outside_a_pipeline_a_zip_is_unpacked_safely(tmp_path: Path) -> None:
    def fetch(uri: str, dest: str) -> Path:
        sdk = TrainerSDK({"WORK_DIR": str(tmp_path / "none"), "DATASET_S3_URI": uri})
        return Path(sdk.download_dataset("digits", tmp_path / dest))

    folder = fetch(_zip(tmp_path / "good.zip", "annotations.json", "images/1.png"), "good")
    assert (folder / "images" / "1.png").read_text() == "x"
    folder = fetch(_zip(tmp_path / "odd.zip", "a.json", "../out.txt", "/out.txt"), "sub/odd")
    assert [path.name for path in folder.rglob("*")] == ["a.json"]
    assert not list(tmp_path.rglob("out.txt"))
    assert not (tmp_path / "sub" / "odd.zip").exists()


def test_a_checkpoint_comes_down(workspace: Path) -> None:
    sdk = TrainerSDK(environment(workspace, url=None))
    (workspace / "w.pt").write_text("w")
    uri = sdk.upload_checkpoint(workspace / "w.pt", "epoch_50")
    assert uri.endswith("/epoch_50.pt")
    assert sdk.download_checkpoint(uri, workspace / "p.pt") == str(workspace / "p.pt")
    assert (workspace / "p.pt").read_text() == "w"
    with pytest.raises(TrainerError) as caught:
        sdk.download_checkpoint(uri + "x", workspace / "q.pt")
    assert caught.value.error_type == "CHECKPOINT_ERROR"
    assert os.listdir(workspace / "tmp") == []
