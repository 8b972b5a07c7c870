"""`tiphys dataset …` on paths, without any API, with the real program."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from api.cli.fault import Exit
from tests.api.cli.conftest import Tiphys, real
from tests.api.datasets.conftest import document, write_dataset


@real
class TestWithoutAnApi:
    def test_everything_wrong_is_grouped(self, tiphys: Tiphys, broken: Path) -> None:
        said = tiphys("dataset", "check", "./broken")
        assert said.code == Exit.FAILED
        assert "8 errors of 2 kinds" in said.out
        assert "annotations.json, image 4, annotation 4: the box leaves the image" in said.out
        assert "7×" in said.out
        assert "… and 4 more" in said.out
        assert "tiphys dataset fix ./broken FOLDER" in said.out
        assert said.out.count("category 99 is unknown") == 3
        assert tiphys("dataset", "check", "./broken", "--all").out.count("category 99 is unknown") == 7

    def test_a_page_is_written_where_one_is_asked_for(
        self, tiphys: Tiphys, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "scratch").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        assert "tiphys dataset check ./broken --page FILE.html" in tiphys("dataset", "check", "./broken").out
        assert list((tmp_path / "scratch").iterdir()) == []
        said = tiphys("dataset", "check", "./broken", "--page", "report.html")
        assert f"as a page  {tmp_path / 'report.html'}" in said.out
        assert "box_outside" in (tmp_path / "report.html").read_text()

    def test_scripts_get_the_report(self, tiphys: Tiphys, broken: Path) -> None:
        said = tiphys("dataset", "check", str(broken), "--json")
        assert (said.code, len(said.json["errors"]), said.err) == (Exit.FAILED, 8, "")

    def test_a_sound_one(self, tiphys: Tiphys, parts: Path, tmp_path: Path) -> None:
        said = tiphys("dataset", "check", "./parts.v2", "--page", "report.html")
        assert said.code == Exit.OK
        assert "fit to train on" in said.out
        assert str(tmp_path / "report.html") in said.out
        assert (tmp_path / "report.html").read_text().lower().startswith("<!doctype html>")

    def test_a_zip_is_unpacked_and_nothing_stays(
        self, tiphys: Tiphys, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "scratch").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        with zipfile.ZipFile(tmp_path / "parts.zip", "w") as archive:
            for path in sorted(parts.rglob("*")):
                archive.write(path, path.relative_to(parts).as_posix())
        assert tiphys("dataset", "show", "parts.zip", "--json").json["counts"]["images"] == 4
        assert list((tmp_path / "scratch").iterdir()) == []
        assert not (tmp_path / "home").exists(), "a look leaves nothing behind"

    def test_it_is_converted_and_split(self, tiphys: Tiphys, parts: Path, tmp_path: Path) -> None:
        said = tiphys("dataset", "convert", "./parts.v2", "out", "--to", "yolo", "--ratio", "0.5,0.5")
        assert said.code == Exit.OK, said.err
        assert "2 train, 2 val, 0 test  (as asked for" in said.out
        assert "snapshot" not in said.out, "only jobs keep snapshots"
        assert (tmp_path / "out" / "data.yaml").exists()
        assert tiphys("dataset", "convert", "./parts.v2", "out", "--to", "yolo").code == Exit.USAGE
        ids = tiphys("dataset", "split", "./parts.v2", "--ratio", "0.5/0.5", "--out", "ids.json", "--json").json["ids"]
        again = tiphys("dataset", "split", "./parts.v2", "--split", "@ids.json", "--json").json
        assert (len(ids["train"]), again["ids"]) == (2, ids)

    def test_two_are_compared(self, tiphys: Tiphys, parts: Path, broken: Path) -> None:
        assert "hold the same" in tiphys("dataset", "diff", "./parts.v2", "./parts.v2").out
        said = tiphys("dataset", "diff", "./parts.v2", "./broken")
        assert (said.code, "8 images added" in said.out) == (Exit.OK, True)

    def test_a_repaired_copy_is_written_beside(self, tiphys: Tiphys, mendable: Path, tmp_path: Path) -> None:
        before = (mendable / "annotations.json").read_bytes()
        said = tiphys("dataset", "check", "./mendable", "--fix", "repaired")
        assert said.code == Exit.OK, said.out + said.err
        assert "repaired" in said.out
        assert str(tmp_path / "repaired") in said.out
        assert (mendable / "annotations.json").read_bytes() == before
        assert tiphys("dataset", "check", "./repaired").code == Exit.OK

    def test_a_repair_is_offered_only_where_there_is_one(self, tiphys: Tiphys, tmp_path: Path) -> None:
        write_dataset(tmp_path / "lonely", document(1))
        said = tiphys("dataset", "check", "./lonely")
        assert said.code == Exit.FAILED
        assert "dataset fix" not in said.out
        said = tiphys("dataset", "fix", "./lonely", "repaired")
        assert said.code == Exit.FAILED
        assert "nothing can be repaired: no copy was written" in said.out
        assert "1 error left" in said.out
        assert "repaired\n" not in said.out
        assert not (tmp_path / "repaired").exists()
        assert tiphys("dataset", "fix", "./lonely", "repaired", "--json").json["out"] is None

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (("check", "./nowhere"), Exit.NOT_FOUND, "nowhere"),
            (("check", "ftp://x/y"), Exit.USAGE, "ftp"),
            (("check", "s3://x/y"), Exit.USAGE, "TIPHYS_STORAGE_TYPE"),
            (("check", "file:///no/such"), Exit.NOT_FOUND, "/no/such"),
            (("check", "./parts.v2", "--task", "mind_reading"), Exit.USAGE, "mind_reading"),
            (("convert", "./parts.v2", "out", "--to", "voc"), Exit.USAGE, "voc"),
            (("split", "./parts.v2", "--ratio", "much"), Exit.USAGE, "much"),
            (("split", "./parts.v2", "--ratio", "0.9,0.9"), Exit.USAGE, "1.8"),
            (("split", "./parts.v2", "--split", "{"), Exit.USAGE, "JSON"),
            (("split", "./parts.v2", "--ratio", "0.8,0.2", "--save"), Exit.USAGE, "not registered"),
            (("fix", "./parts.v2"), Exit.USAGE, "FOLDER"),
        ],
    )
    def test_what_is_asked_for_wrongly_is_told(
        self, tiphys: Tiphys, parts: Path, words: tuple[str, ...], code: Exit, said: str
    ) -> None:
        ended = tiphys("dataset", *words)
        assert ended.code == code, ended.err
        assert said in ended.err
        assert "cure" in ended.err

    def test_a_bare_word_is_an_id(self, tiphys: Tiphys, broken: Path) -> None:
        said = tiphys("dataset", "check", "broken")
        assert said.code == Exit.UNREACHABLE
        assert "no API is up" in said.err
