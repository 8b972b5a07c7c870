"""Objects come whole or not at all: checked, tried again, gone on with; and every kind of storage is reached."""

import hashlib
import json
from pathlib import Path

import pytest

from steps.download.bucket import WHOLE, Bucket
from steps.trainer_sdk import Storage, TrainerError
from tests.steps.download.faulty import Faulty
from tests.steps.download.running import Ran, run_step
from tests.steps.download.s3 import KEY, S3, SECRET
from tests.steps.download.test_download import files

URI = "s3://bucket/ds/"


def fill(service: Faulty, *names: str, size: int = 1000) -> None:
    """Puts an object of random-looking bytes under each name below `ds/`."""
    for name in names:
        service.objects[f"ds/{name}"] = (hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size]


def opened(service: Faulty, uri: str = URI) -> Bucket:
    """Opens a prefix, with a client that waits for nothing."""
    return Bucket(uri, storage=Storage(service.environment), wait=lambda seconds: None)


@pytest.mark.parametrize("fault", ["cut", "damage", "503"])
@pytest.mark.parametrize("size", [1000, WHOLE + 1])
def test_what_comes_broken_is_fetched_again(tmp_path: Path, faulty: Faulty, fault: str, size: int) -> None:
    fill(faulty, "a.png", size=size)
    faulty.faults["ds/a.png"] = [fault, fault]
    bucket = opened(faulty)
    fact = bucket.fetch("a.png", f"{tmp_path}/a.png")
    content = faulty.objects["ds/a.png"]
    assert (tmp_path / "a.png").read_bytes() == content
    assert (fact.size, fact.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert fact.tag == hashlib.md5(content).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("fault", "words"), [("cut", "broke off"), ("damage", "do not match its ETag"), ("500", "500 Wrong on purpose")]
)
def test_what_stays_broken_is_a_temporary_failure_that_names_it(
    tmp_path: Path, faulty: Faulty, fault: str, words: str
) -> None:
    fill(faulty, "a.png")
    faulty.faults["ds/a.png"] = [fault] * 100
    with pytest.raises(TrainerError, match=words) as caught:
        opened(faulty).fetch("a.png", f"{tmp_path}/a.png")
    assert (caught.value.error_type, caught.value.exit_code) == ("NETWORK_ERROR", 75)
    assert "s3://bucket/ds/a.png" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_went_meanwhile_is_named_and_not_tried_again(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, "a.png")
    bucket = opened(faulty)
    bucket.listed()
    faulty.objects.clear()
    with pytest.raises(TrainerError, match=r"s3://bucket/ds/a\.png: it does not exist") as caught:
        bucket.fetch("a.png", f"{tmp_path}/a.png")
    assert (caught.value.error_type, faulty.gets()) == ("DATASET_ERROR", 1)


def test_an_object_that_changed_meanwhile_is_told(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, "a.png")
    bucket = opened(faulty)
    bucket.listed()
    faulty.objects["ds/a.png"] = b"another"
    with pytest.raises(TrainerError, match="was changed while the dataset was fetched") as caught:
        bucket.fetch("a.png", f"{tmp_path}/a.png")
    assert caught.value.exit_code == 75


def test_an_encrypted_bucket_has_etags_that_are_no_md5(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, "a.png", "b.png")
    for key in faulty.objects:
        faulty.etags[key] = hashlib.md5(key.encode()).hexdigest()
        faulty.encrypted.add(key)
    bucket = opened(faulty)
    for name in ("a.png", "b.png"):
        bucket.fetch(name, f"{tmp_path}/{name}")
    assert files(tmp_path) == {"a.png": faulty.objects["ds/a.png"], "b.png": faulty.objects["ds/b.png"]}
    assert (faulty.requests["GET /bucket/ds/b.png"], faulty.requests["HEAD /bucket/ds/b.png"]) == (1, 0)


def test_an_etag_of_several_parts_is_known_again_by_what_was_noted(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, *(f"images/{n}.png" for n in range(30)))
    faulty.etags = {key: f"{'ab' * 16}-{n + 2}" for n, key in enumerate(faulty.objects)}
    faulty.faults["ds/images/7.png"] = ["403"]
    env = {**faulty.environment, "DATASET_S3_URI": URI}
    ran = run_step("download", tmp_path / "w", **env)
    assert (ran.code, "refuses the job's keys (Wrong on purpose)" in ran.cause) == (1, True), ran.out
    there = len(files(tmp_path / "w/dataset"))
    faulty.requests.clear()
    assert run_step("download", tmp_path / "w", **env).code == 0
    assert faulty.gets() == 30 - there > 0
    assert len(files(tmp_path / "w/dataset")) == 30
    digests = json.loads((tmp_path / "w/digests.json").read_text())["files"]
    for name, (size, mtime, digest, _) in digests.items():
        path = tmp_path / "w/dataset" / name
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, mtime)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert len(digests) == 30
    assert not list((tmp_path / "w").glob(".*"))


def test_what_the_dataset_no_longer_has_does_not_stay(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, "images/a.png", "images/b.png")
    env = {**faulty.environment, "DATASET_S3_URI": URI}
    run_step("download", tmp_path / "w", **env)
    (tmp_path / "w/dataset/images/.0123.part").write_text("cut off")
    del faulty.objects["ds/images/b.png"]
    assert run_step("download", tmp_path / "w", **env).code == 0
    assert set(files(tmp_path / "w/dataset")) == {"images/a.png"}


def test_markers_of_folders_and_odd_keys_hide_nothing(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, "images/a.png", "x/y/b.png")
    faulty.objects |= {"ds/": b"", "ds/images/": b"", "ds/x/": b"", "ds/x/y/": b""}
    assert set(opened(faulty).sizes()) == {"images/a.png", "x/y/b.png"}
    faulty.objects |= {"ds/odd//c.png": b"c", "ds/../d.png": b"d"}
    bucket = opened(faulty)
    assert set(bucket.sizes()) == {"images/a.png", "x/y/b.png", "odd//c.png"}
    bucket.fetch("odd//c.png", f"{tmp_path}/c.png")
    assert (tmp_path / "c.png").read_bytes() == b"c"


def test_a_file_that_is_a_folder_too_is_named(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, "images", "images/a.png")
    ran = run_step("download", tmp_path / "w", **faulty.environment, DATASET_S3_URI=URI)
    assert (ran.code, "a file and a folder at once" in ran.cause) == (1, True)


def test_a_name_that_no_disk_takes_is_refused_by_name(tmp_path: Path, faulty: Faulty) -> None:
    fill(faulty, f"{'n' * 300}.png")
    ran = run_step("download", tmp_path / "w", **faulty.environment, DATASET_S3_URI=URI)
    assert (ran.code, "give the file a shorter, plain name" in ran.cause) == (1, True)


ODD = ["a b.png", "부품/나사 1.png", "x+y%20#?=&.png", "%zz.png", "quote'\".png", "🙂.png", "a~*(x)!.png"]


def test_odd_names_come_as_they_are(tmp_path: Path, s3: S3) -> None:
    for name in ODD:
        path = s3.folder / "bucket/odd/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for number, uri in enumerate(("s3://bucket/odd/", f"file://{s3.folder}/bucket/odd/")):
        ran = run_step("download", tmp_path / f"w{number}", **s3.environment, DATASET_S3_URI=uri)
        assert ran.code == 0, ran.out
        assert {n: b.decode() for n, b in files(tmp_path / f"w{number}/dataset").items()} == {
            f"images/{name}": name for name in ODD
        }


VARIABLES = {
    "minio": ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "us-east-1"),
    "r2": ("R2_ENDPOINT", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "auto"),
    "s3": ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "auto"),
}


@pytest.mark.parametrize("kind", VARIABLES)
def test_every_kind_of_storage_is_reached_by_its_own_variables(
    tmp_path: Path, s3: S3, faulty: Faulty, kind: str
) -> None:
    *names, region = VARIABLES[kind]
    (s3.folder / "bucket/kind").mkdir(exist_ok=True)
    (s3.folder / "bucket/kind/a.txt").write_text("a")
    env = {"STORAGE_TYPE": kind, "DATASET_S3_URI": "s3://bucket/kind/", "AWS_MAX_ATTEMPTS": "1"}
    env |= dict(zip(names, (s3.endpoint, KEY, SECRET), strict=True))
    assert run_step("download", tmp_path / "w", **env).code == 0  # rclone refuses a wrong signature
    fill(faulty, "a.txt")
    env |= {names[0]: faulty.endpoint, "DATASET_S3_URI": URI}
    for number, (more, scope) in enumerate([({}, region), ({"AWS_REGION": "eu-north-1"}, "eu-north-1")]):
        faulty.headers.clear()
        ran = run_step("download", tmp_path / f"v{number}", **env, **more, AWS_SESSION_TOKEN="a-token")
        assert ran.code == 0, ran.out
        signed = {header["authorization"].split("/")[2] for header in faulty.headers}
        assert signed == {scope}
        assert {header["x-amz-security-token"] for header in faulty.headers} == {"a-token"}
    assert all(path.startswith("/bucket") for path in faulty.paths)


def test_the_words_of_errors(tmp_path: Path, s3: S3) -> None:
    def cause(**env: str) -> str:
        return run_step("download", tmp_path / "w", **{**s3.environment, "DATASET_S3_URI": URI, **env}).cause

    assert "the bucket nope does not exist; check the address" in cause(DATASET_S3_URI="s3://nope/x/")
    assert "storage refuses the job's keys (SignatureDoesNotMatch" in cause(MINIO_SECRET_KEY="wrong")
    assert "use s3://bucket/prefix/" in cause(DATASET_S3_URI="ftp://somewhere/")


def weights(tmp_path: Path, faulty: Faulty, work: str, **env: str) -> Ran:
    fill(faulty, "a.png")
    uri = "s3://bucket/pretrained_weights/ultralytics/yolo11n.pt"
    given = {**faulty.environment, "DATASET_S3_URI": URI, "PRETRAINED_URI": uri, **env}
    return run_step("download", tmp_path / work, **given)


def test_weights_are_looked_up_first(tmp_path: Path, faulty: Faulty) -> None:
    faulty.objects["pretrained_weights/ultralytics/yolo11n.pt"] = b"weights"
    for _ in range(2):
        ran = weights(tmp_path, faulty, "w", PRETRAINED_SOURCE=f"{faulty.endpoint}/bucket/never")
        assert ran.code == 0, ran.out
    assert (tmp_path / "w/weights/yolo11n.pt").read_bytes() == b"weights"
    assert faulty.requests["GET /bucket/pretrained_weights/ultralytics/yolo11n.pt"] == 1
    assert faulty.requests["GET /bucket/never"] == 0


def test_weights_that_storage_lacks_are_fetched_once_and_kept_there(tmp_path: Path, faulty: Faulty) -> None:
    faulty.objects["outside/yolo11n.pt"] = b"weights"
    env = {"PRETRAINED_URI": f"file://{tmp_path}/store/yolo11n.pt"}
    env["PRETRAINED_SOURCE"] = f"{faulty.endpoint}/bucket/outside/yolo11n.pt"
    for work in ("one", "two"):
        ran = weights(tmp_path, faulty, work, **env)
        assert ran.code == 0, ran.out
        assert (tmp_path / work / "weights/yolo11n.pt").read_bytes() == b"weights"
    assert (tmp_path / "store/yolo11n.pt").read_bytes() == b"weights"
    assert faulty.requests["GET /bucket/outside/yolo11n.pt"] == 1


@pytest.mark.parametrize("source", ["", "http://127.0.0.1:9/yolo11n.pt", "ftp://x/y.pt", "cut"])
def test_without_weights_the_log_says_what_that_means(tmp_path: Path, faulty: Faulty, source: str) -> None:
    faulty.objects["outside/yolo11n.pt"] = b"weights"
    faulty.faults["outside/yolo11n.pt"] = ["cut"]
    place = f"{faulty.endpoint}/bucket/outside/yolo11n.pt" if source == "cut" else source
    ran = weights(tmp_path, faulty, "w", PRETRAINED_SOURCE=place)
    assert ran.code == 0
    assert "[WARNING] no pretrained weights at s3://bucket/pretrained_weights/ultralytics/yolo11n.pt" in ran.out
    assert "training starts from random" in ran.out
    assert "upload yolo11n.pt to s3://bucket/pretrained_weights/ultralytics/yolo11n.pt" in ran.out
    assert not list((tmp_path / "w/weights").iterdir() if (tmp_path / "w/weights").exists() else ())
