"""Every command prints one JSON object, exits as it says it does, and leaves nothing half-made."""

import errno
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from steps.convert.commands import speaking
from steps.convert.commands.run import run
from steps.convert.write import images as written_images
from steps.convert.write import label_lines
from tests.steps.convert.making import document, write

SOURCE = Path(__file__).parents[4]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "ds", document(12))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    value = document(12)
    value["annotations"][0]["bbox"] = [60, 40, 20, 20]
    value["annotations"][1]["bbox"] = [6, 4, 0, 20]
    return write(tmp_path / "broken", value)


def told(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    """Runs a command; gives its JSON object."""
    assert run([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert captured.err == ""
    value = json.loads(captured.out)
    assert isinstance(value, dict)
    return value


def line(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """Runs a command that tells one line instead of a result."""
    assert run([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def beside(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir()}


def test_pages_and_sheets_call_the_dataset_as_they_are_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A platform keeps a dataset in a folder of another name than its own."""
    for command in ("check", "show"):
        told(capsys, command, root, "--page", tmp_path / "own.html")
        told(capsys, command, root, "--page", tmp_path / "given.html", "--title", "parts & bolts")
        assert "<h1>ds</h1>" in (tmp_path / "own.html").read_text()
        assert "<h1>parts &amp; bolts</h1>" in (tmp_path / "given.html").read_text()


def test_check(root: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = told(capsys, "check", root, "--task", "det", "--target", "yolo")
    assert report["layout"] == "D1"
    assert report["classes"] == [{"index": 0, "id": 1, "name": "class0"}, {"index": 1, "id": 4, "name": "class1"}]
    assert report["counts"]["per_class"] == {"class0": 5, "class1": 6}
    assert report["dataset_version_hash"].startswith("dsv1:")
    assert (report["errors"], report["warnings"], report["groups"], report["repairs"]) == ([], [], [], 0)
    page = tmp_path / "report.html"
    report = told(capsys, "check", broken, "--page", page, code=1)
    assert [problem["code"] for problem in report["errors"]] == ["box_empty", "box_outside"]
    assert {group["code"]: group["count"] for group in report["groups"]} == {"box_empty": 1, "box_outside": 1}
    assert report["repairs"] == 2
    assert "box_outside" in page.read_text()


def test_fix(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(capsys, "fix", broken, tmp_path / "out")
    assert {fix["code"]: fix["count"] for fix in made["fixes"]} == {"box_empty": 1, "box_outside": 1}
    assert made["report"]["errors"] == []
    assert made["left"] == []
    assert told(capsys, "check", tmp_path / "out")["counts"]["annotations"] == 10


def test_what_cannot_be_repaired_has_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lonely = write(tmp_path / "lonely", document(1))  # too few to validate on, and no repair brings more
    assert told(capsys, "check", lonely, code=1)["repairs"] == 0
    made = told(capsys, "fix", lonely, tmp_path / "out", code=1)
    assert made["fixes"] == []
    assert "split_no_val" in [problem["code"] for problem in made["left"]]
    assert made["left"] == made["report"]["errors"] + made["report"]["warnings"]
    assert beside(lonely) == {"lonely"}


def test_show(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "show", root, "--sheet", tmp_path / "s.png", "--page", tmp_path / "s.html")
    first = shown["classes"][0]
    assert {key: first[key] for key in ("index", "id", "name", "annotations", "images")} == {
        "index": 0, "id": 1, "name": "class0", "annotations": 5, "images": 5,
    }  # fmt: skip
    assert sum(first["parts"].values()) == 5
    assert shown["image_sizes"]["largest"] == [64, 48]
    assert shown["formats"] == {"PNG": 12}
    assert shown["bytes"] == sum(path.stat().st_size for path in root.rglob("*.png"))
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_split(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = {"method": "manual", "splits": {"1": "train", "2": "val", "3": "test"}}
    made = told(capsys, "split", root, "--split", json.dumps(wish), "--out", tmp_path / "split.json")
    assert made["ids"] == {"train": [1], "val": [2], "test": [3], "left_out": list(range(4, 13))}
    assert made["split"]["source"] == "job"
    assert [(row["name"], row["train"], row["val"], row["test"]) for row in made["classes"]] == [
        ("class0", 0, 1, 0),
        ("class1", 1, 0, 1),
    ]
    assert json.loads((tmp_path / "split.json").read_text()) == made
    (tmp_path / "wish.json").write_text(json.dumps({"ids": made["ids"]}))
    again = told(capsys, "split", root, "--split", f"@{tmp_path / 'wish.json'}")
    assert again["ids"] == made["ids"]


def test_convert_and_export(root: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(capsys, "convert", root, tmp_path / "yolo", "--to", "yolo")
    assert made["snapshot_id"] is None, "it is no job's, and so registered nowhere"
    assert made["proof"]["checksum_in"] == made["proof"]["checksum_out"]
    assert f'path: "{tmp_path / "yolo"}"' in (tmp_path / "yolo/data.yaml").read_text()
    made = told(capsys, "convert", root, tmp_path / "labels", "--to", "yolo", "--labels-only")
    # No image was opened, so there is no version of the dataset.
    assert (made["labels_only"], made["dataset_version_hash"]) == (True, None)
    assert not list((tmp_path / "labels").rglob("*.png"))
    assert len(list((tmp_path / "labels").rglob("labels/*/*.txt"))) == 12
    refused = told(capsys, "convert", broken, tmp_path / "no", "--to", "coco", code=1)
    assert len(refused["errors"]) == 2
    assert not (tmp_path / "no").exists()
    told(capsys, "export", root, tmp_path / "copy", "--to", "yolo")
    assert "path:" not in (tmp_path / "copy/data.yaml").read_text()
    linked = [path for path in (tmp_path / "copy").rglob("*.png") if path.is_symlink() or path.stat().st_nlink > 1]
    assert linked == []
    told(capsys, "export", root, tmp_path / "a.zip")
    told(capsys, "export", root, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
    assert told(capsys, "diff", root, tmp_path / "unpacked")["same"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "invalid choice"),
        (["check"], "required: root"),
        (["check", "{root}", "--task", "knitting"], "unknown task 'knitting'"),
        (["convert", "{root}", "{new}", "--to", "tar"], "invalid choice: 'tar'"),
        (["convert", "{root}", "{new}"], "--to"),
        (["convert", "{root}", "{root}/in", "--to", "yolo"], "lies inside the dataset"),
        (["convert", "{root}", "{above}", "--to", "yolo"], "holds the dataset"),
        (["convert", "{root}", "{full}", "--to", "yolo"], "not empty"),
        (["fix", "{root}", "{file}"], "exists already"),
        (["export", "{root}", "{root}/x.zip"], "lies inside the dataset"),
        (["split", "{root}", "--split", "["], "no JSON"),
        (["split", "{root}", "--split", "[]"], "no JSON object"),
        (["split", "{root}", "--split", "@{new}"], "cannot be read"),
        (["split", "{root}", "--out", "{full}"], "is a folder"),
        (["split", "{root}", "--out", "{file}/x"], "{file}"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("kept")
    places = {"root": root, "new": tmp_path / "new", "above": root.parent, "full": tmp_path / "full",
              "file": tmp_path / "full/file"}  # fmt: skip
    before = beside(root)
    text = line(capsys, *(argument.format(**places) for argument in arguments))
    assert words.format(**places) in text
    assert beside(root) == before
    assert (tmp_path / "full/file").read_text() == "kept"


@pytest.mark.parametrize("command", ["check", "show", "split"])
@pytest.mark.parametrize("place", ["nowhere", "x" * 4000, "ds/images/line/001.png"])
def test_no_folder_is_an_error_of_the_dataset(
    root: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    found = told(capsys, command, root.parent / place, code=1)
    assert [problem["code"] for problem in found["errors"]] == ["dataset_missing"]


def test_progress_is_lines_of_json(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", str(root), str(tmp_path / "out"), "--to", "yolo", "--progress"]) == 0
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert {"headers", "digests", "images train", "labels train"} <= {entry["phase"] for entry in lines}
    assert all(set(entry) == {"phase", "done", "total", "bytes"} for entry in lines)
    last = {entry["phase"]: (entry["done"], entry["total"]) for entry in lines}
    assert last["headers"] == (12, 12)
    digested = [entry["bytes"] for entry in lines if entry["phase"] == "digests"]
    assert digested[-1] == sum(path.stat().st_size for path in root.rglob("*.png"))


def test_a_speaker_speaks_ten_times_a_second_and_tells_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    speaker = speaking.Speaker(clock=lambda: now[0])
    for done in range(1, 1001):
        now[0] += 0.001
        speaker("headers", done, 1000)
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert len(lines) <= 12
    assert (lines[0]["done"], lines[-1]["done"]) == (1, 1000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_half_made(
    root: Path, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def stop(_self: object, phase: str, _done: int, _total: int) -> None:
        if phase.startswith(("images", "pack")):
            signal.raise_signal(number)

    monkeypatch.setattr(speaking.Speaker, "__call__", stop)
    before, handler = beside(root), signal.getsignal(number)
    for arguments in (["fix"], ["convert", "--to", "yolo"], ["export"]):
        source = broken if arguments == ["fix"] else root
        name = "out.zip" if arguments == ["export"] else "out"
        with pytest.raises(SystemExit) as stopped:
            run([arguments[0], str(source), str(tmp_path / name), *arguments[1:], "--progress"])
        assert stopped.value.code == 128 + number
        assert beside(root) == before
    assert signal.getsignal(number) is handler


def test_a_full_disk_is_temporary(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out"))

    monkeypatch.setattr(written_images.Linker, "link", full)
    assert "No space left" in line(capsys, "convert", root, tmp_path / "out", "--to", "yolo", code=75)
    assert beside(root) == {"ds"}


def test_a_full_disk_is_told_with_the_place_that_was_written_to(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing to an open file fails without a word of which one it was."""

    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(written_images.Linker, "link", full)
    said = line(capsys, "convert", root, tmp_path / "out", "--to", "yolo", code=75)
    assert f"writing {tmp_path / 'out'}: No space left on device; free space" in said


def test_the_program_runs_by_itself(broken: Path) -> None:
    command = [sys.executable, "-m", "steps.convert", "check", str(broken), "--progress"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SOURCE, env={}, check=False)
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["errors"]) == 2
    assert all(json.loads(text)["phase"] for text in done.stderr.splitlines())


def test_a_fault_of_the_converter_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path / "ds", document(10))
    right = label_lines.class_tokens
    monkeypatch.setattr(label_lines, "class_tokens", lambda count: right(count)[::-1])
    assert run(["convert", str(root), str(tmp_path / "out"), "--to", "yolo"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert (told.err.count("\n"), "this is a fault of the converter" in told.err) == (1, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [("check", "--page", "r.html"), ("show", "--sheet", "s.png"), ("split", "--out", "s.json")]
)
def test_nothing_is_written_into_the_dataset(tmp_path: Path, words: tuple[str, str, str]) -> None:
    root = write(tmp_path / "ds", document(10))
    before = set(root.rglob("*"))
    assert run([words[0], str(root), words[1], str(root / words[2])]) == 2
    assert set(root.rglob("*")) == before
