"""The download step fetches what a dataset needs, once, from a folder or a bucket, and says what is wrong."""

import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest

from tests.steps.convert.making import document, write
from tests.steps.download.running import run_step
from tests.steps.download.s3 import S3


def zipped(root: Path, target: Path, *, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, f"{top}{path.relative_to(root)}")
    return target


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def inodes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {str(p.relative_to(folder)): p.lstat() for p in folder.rglob("*.png")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def test_a_folder_is_linked_and_only_what_is_needed(tmp_path: Path) -> None:
    root = write(tmp_path / "my data", document(10))
    (root / "images/unused.png").write_bytes(b"x" * 999)
    (root / "notes.txt").write_text("private")
    uri = f"file://{tmp_path}/my%20data/"
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=uri)
    assert ran.code == 0, ran.out + ran.err
    fetched = tmp_path / "w/dataset"
    wanted = {name: data for name, data in files(root).items() if "unused" not in name and "notes" not in name}
    assert files(fetched) == wanted
    assert all(p.samefile(root / p.relative_to(fetched)) and not p.is_symlink() for p in fetched.rglob("*.*"))
    data = ran.event("dataset_loaded")
    assert (data["images"], data["documents"], data["missing"], data["fetched"]) == (10, 1, 0, 11)
    assert ran.event("dataset_download_started") == {"uri": uri}
    assert ran.output("download", "images") == "10"
    assert ran.output("download", "bytes") == str(sum(map(len, wanted.values())))


def test_a_folder_whose_files_go_is_trained_on_all_the_same(tmp_path: Path) -> None:
    """What a job fetched are the files, not their names: cleaning up while it trains does not end it."""
    root = write(tmp_path / "ds", document(10))
    before = files(root)
    assert run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/").code == 0
    shutil.rmtree(root)
    assert files(tmp_path / "w/dataset") == before
    assert run_step("convert", tmp_path / "w", TASK_TYPE="detection").code == 0


def test_a_link_of_an_earlier_try_whose_file_has_gone_is_made_anew(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(4))
    stale = tmp_path / "w/dataset/images/line/001.png"
    stale.parent.mkdir(parents=True)
    stale.symlink_to(tmp_path / "gone.png")
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
    assert ran.code == 0, ran.out
    assert stale.samefile(root / "images/line/001.png")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no second disk to be had")
def test_a_folder_of_another_disk_is_linked_by_name(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        root = write(Path(other) / "ds", document(10))
        if root.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("both folders lie on one disk")
        for _ in range(2):  # the second finds all of it there
            ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
            assert ran.code == 0, ran.out
        assert ran.event("dataset_loaded")["fetched"] == 0
        fetched = tmp_path / "w/dataset"
        assert files(fetched) == files(root)
        assert all(p.is_symlink() and os.path.isabs(p.readlink()) for p in fetched.rglob("*.*"))


def test_a_bucket_is_fetched_and_a_second_try_moves_only_what_is_missing(tmp_path: Path, s3: S3) -> None:
    root = write(s3.folder / "bucket/datasets/one", document(12))
    (root / "images/unused.png").write_bytes(b"x" * 999)
    env = {**s3.environment, "DATASET_S3_URI": "s3://bucket/datasets/one/"}
    ran = run_step("download", tmp_path / "w", **env)
    assert ran.code == 0, ran.out + ran.err
    fetched = tmp_path / "w/dataset"
    assert files(fetched) == {name: data for name, data in files(root).items() if "unused" not in name}
    before = inodes(fetched)
    (fetched / "images/line/003.png").unlink()
    (fetched / "images/line/004.png").write_bytes(b"half")
    again = run_step("download", tmp_path / "w", **env)
    assert again.event("dataset_loaded")["fetched"] == 2
    assert {name for name, mark in inodes(fetched).items() if before[name] != mark} == {
        "images/line/003.png",
        "images/line/004.png",
    }


def test_the_key_of_an_image_is_image_root_and_file_name(tmp_path: Path, s3: S3) -> None:
    value = {**document(6), "storage_info": {"storage_type": "s3", "image_root": "shared/pictures/"}}
    root = write(s3.folder / "bucket/datasets/rooted", value)
    (s3.folder / "bucket/shared").mkdir()
    shutil.move(root / "images", s3.folder / "bucket/shared/pictures")
    env = {**s3.environment, "DATASET_S3_URI": "s3://bucket/datasets/rooted/"}
    ran = run_step("download", tmp_path / "w", **env)
    assert (ran.code, ran.event("dataset_loaded")["images"]) == (0, 6)
    converted = run_step("convert", tmp_path / "w", TASK_TYPE="detection")
    assert converted.code == 0, converted.out


@pytest.mark.parametrize(
    ("image_root", "folder"),
    [("datasets/ds/images/", "images"), ("datasets/ds/pictures/", "pictures"), ("images/", ""), (None, "")],
)
def test_images_are_found_where_people_put_them(tmp_path: Path, image_root: str | None, folder: str) -> None:
    value = document(6)
    root = write(tmp_path / "ds", value)
    if folder != "images":
        for entry in (root / "images").iterdir():
            (root / folder).mkdir(exist_ok=True)
            shutil.move(entry, root / folder / entry.name)
        (root / "images").rmdir()
    if image_root:
        value["storage_info"] = {"storage_type": "local", "image_root": image_root}
    (root / "annotations_detection.json").write_text(json.dumps(value))
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
    assert (ran.code, ran.event("dataset_loaded")["missing"]) == (0, 0)
    assert run_step("convert", tmp_path / "w", TASK_TYPE="detection").code == 0


def test_images_are_found_however_their_names_are_spelled(tmp_path: Path, s3: S3) -> None:
    """In another Unicode form, as macOS packs them, in another case, or with a `./` before them: as the check does."""
    value = document(4)
    root = write(s3.folder / "bucket/datasets/spelled", value)
    spelled = ["./line/001.png", "line//002.png", "LINE/003.PNG", "\ubcfc\ud2b8.png"]
    (root / "images/line/004.png").rename(root / "images/\u1107\u1169\u11af\u1110\u1173.png")
    for image, name in zip(value["images"], spelled, strict=True):
        image["file_name"] = name
    (root / "annotations_detection.json").write_text(json.dumps(value))
    for uri, env in ((f"file://{root}/", {}), ("s3://bucket/datasets/spelled/", s3.environment)):
        work = tmp_path / uri[:2]
        ran = run_step("download", work, DATASET_S3_URI=uri, **env)
        told = ran.event("dataset_loaded")
        assert (ran.code, told["images"], told["missing"]) == (0, 4, 0), ran.out
        converted = run_step("convert", work, TASK_TYPE="detection")
        assert converted.code == 0, converted.out


def test_which_of_two_files_is_meant_is_never_guessed(tmp_path: Path) -> None:
    value = document(4)
    root = write(tmp_path / "ds", value)
    shutil.copy(root / "images/line/003.png", root / "images/line/003.PNG")
    value["images"][2]["file_name"] = "line/003.Png"
    (root / "annotations_detection.json").write_text(json.dumps(value))
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
    told = ran.event("dataset_loaded")
    assert (told["images"], told["missing"]) == (3, 1)
    assert "line/003.Png" in ran.out


@pytest.mark.parametrize("top", ["", "my dataset/"])
def test_a_zip_is_the_same_as_a_prefix_wherever_it_lies(tmp_path: Path, s3: S3, top: str) -> None:
    root = write(tmp_path / "ds", document(8))
    where = s3.folder / f"bucket/datasets/zip{len(top)}.zip"
    where.parent.mkdir(exist_ok=True)
    zipped(root, where, top=top)
    for number, (uri, env) in enumerate(
        [
            (f"file://{where}", {}),
            (f"file://{str(where).removesuffix('.zip')}/", {}),
            (f"s3://bucket/datasets/{where.name}", s3.environment),
            (f"s3://bucket/datasets/{where.stem}/", s3.environment),
        ]
    ):
        ran = run_step("download", tmp_path / f"w{number}", DATASET_S3_URI=uri, **env)
        assert ran.code == 0, ran.out + ran.err
        assert files(tmp_path / f"w{number}/dataset") == files(root)
        assert not list((tmp_path / f"w{number}").glob(".*"))
    before = inodes(tmp_path / "w3/dataset")
    run_step("download", tmp_path / "w3", DATASET_S3_URI=uri, **env)
    assert inodes(tmp_path / "w3/dataset") == before


def test_missing_images_are_left_to_the_check_of_the_whole(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(6))
    (root / "images/line/001.png").unlink()
    (root / "images/line/002.png").unlink()
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
    assert (ran.code, ran.event("dataset_loaded")["missing"]) == (0, 2)
    converted = run_step("convert", tmp_path / "w", TASK_TYPE="detection")
    assert converted.code == 1
    done = converted.told("done")[0]
    assert "line/001.png does not exist" in done["error"]
    assert "line/002.png does not exist" in done["error"]


@pytest.mark.parametrize("where", ["folder", "bucket", "no bucket"])
def test_a_dataset_that_vanished_is_named_with_the_cure(tmp_path: Path, s3: S3, where: str) -> None:
    uri = {"folder": f"file://{tmp_path}/gone/", "bucket": "s3://bucket/datasets/gone/", "no bucket": "s3://nope/x/"}
    env = {} if where == "folder" else s3.environment
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=uri[where], **env)
    assert ran.code == 1
    done = ran.told("done")[0]
    assert (done["status"], done["error_type"]) == ("failed", "DATASET_ERROR")
    assert uri[where] in done["error"]
    assert ran.cause.startswith("DATASET_ERROR: ")
    if where != "no bucket":
        assert "upload it again" in done["error"]


def test_a_refused_key_is_no_reason_to_try_again(tmp_path: Path, s3: S3) -> None:
    env = {**s3.environment, "MINIO_SECRET_KEY": "wrong", "DATASET_S3_URI": "s3://bucket/datasets/one/"}
    ran = run_step("download", tmp_path / "w", **env)
    assert (ran.code, "wrong" in ran.out) == (1, False)


def test_storage_that_is_away_is_tried_again(tmp_path: Path) -> None:
    env = {"STORAGE_TYPE": "minio", "MINIO_ENDPOINT": "http://127.0.0.1:9", "MINIO_ACCESS_KEY": "a",
           "MINIO_SECRET_KEY": "b", "DATASET_S3_URI": "s3://bucket/ds/"}  # fmt: skip
    ran = run_step("download", tmp_path / "w", **env)
    assert (ran.code, ran.told("done")) == (75, [])
    assert "NETWORK_ERROR" in ran.cause


def test_no_uri_is_a_configuration_error(tmp_path: Path) -> None:
    ran = run_step("download", tmp_path / "w")
    assert (ran.code, ran.told("done")[0]["error_type"]) == (1, "CONFIG_ERROR")


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(4))
    path = zipped(root, tmp_path / "ds.zip")
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{path}", limit_kib=4)
    assert ran.code == 1, ran.out
    done = ran.told("done")[0]
    assert (done["error_type"], done["detail"]) == ("RESOURCE_ERROR", "disk_full")
    assert "larger volume" in done["error"]
    assert not list((tmp_path / "w").rglob("*.part"))


LINKS = {
    "out of the dataset": (lambda root: (root / "images/x.png").symlink_to("/etc/hostname"), "leaves the dataset"),
    "a folder out of it": (lambda root: (root / "more").symlink_to("/etc"), "leaves the dataset"),
    "a loop": (lambda root: (root / "images/back").symlink_to(root), "a loop"),
    "to itself": (lambda root: (root / "self").symlink_to(root / "self"), "leads nowhere"),
    "to nothing": (lambda root: (root / "a").symlink_to(root / "b"), "leads nowhere"),
}


@pytest.mark.parametrize("kind", LINKS)
def test_bad_links_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    root = write(tmp_path / "ds", document(4))
    make, words = LINKS[kind]
    make(root)
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
    assert ran.code == 1
    assert words in ran.told("done")[0]["error"]


def test_links_inside_the_dataset_are_fine(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(4))
    shutil.move(root / "images/line", root / "store")
    (root / "images/line").symlink_to(root / "store")
    ran = run_step("download", tmp_path / "w", DATASET_S3_URI=f"file://{root}/")
    assert ran.code == 0, ran.out
    assert (tmp_path / "w/dataset/images/line/001.png").samefile(root / "store/001.png")


def test_pretrained_weights_come_along_where_storage_has_them(tmp_path: Path, s3: S3) -> None:
    root = write(tmp_path / "ds", document(4))
    weights = s3.folder / "bucket/pretrained_weights/ultralytics/yolo11n.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    env = {**s3.environment, "DATASET_S3_URI": f"file://{root}/"}
    uri = "s3://bucket/pretrained_weights/ultralytics/"
    assert run_step("download", tmp_path / "w", **env, PRETRAINED_URI=f"{uri}yolo11n.pt").code == 0
    assert (tmp_path / "w/weights/yolo11n.pt").read_bytes() == b"weights"
    assert run_step("download", tmp_path / "v", **env, PRETRAINED_URI=f"{uri}yolo11s.pt").code == 0
    assert not (tmp_path / "v/weights/yolo11s.pt").exists()
