"""The flaws of a real dataset, found by looking at it, are all found by the check, and no others."""

from pathlib import Path

import pytest

from steps.convert.check.inspection import Inspection, inspect
from tests.steps.convert.check.test_fix import contents, mend

BCCD = Path(__file__).parents[5] / "shared/data/bccd"
pytestmark = pytest.mark.skipif(not BCCD.is_dir(), reason="the images of blood cells are not beside the repository")

# Image number and place of the object in its file, as a person counted them.
EMPTY = {(338, 13), (343, 4)}
TWICE = {(13, 15), (20, 15), (100, 3), (104, 14), (251, 8), (284, 2), (331, 3), (403, 4)}
OTHER_CLASS = {(113, 13), (133, 10), (135, 9)}
FEW_LABELS = {147, 150, 152, 224, 250, 268, 303, 327, 330, 350}


@pytest.fixture(scope="module")
def found() -> Inspection:
    return inspect(BCCD, task="object_detection", target="yolo", everything=True, contained=True)


def places(found: Inspection, code: str) -> set[tuple[int, int]]:
    """Gives image number and place of the object for each finding of a code."""
    dataset = found.dataset
    assert dataset is not None
    rows = {int(id_): row for row, id_ in enumerate(dataset.annotation_ids)}
    names = {int(id_): name for id_, name in zip(dataset.image_ids, dataset.image_names, strict=True)}
    found_at = set()
    for problem in found.problems:
        if problem.code == code:
            assert isinstance(problem.image_id, int)
            at = rows[int(problem.annotation_id or 0)]
            first = int((dataset.annotation_image < dataset.annotation_image[at]).sum())
            assert problem.file == f"Annotations/{names[problem.image_id].replace('.jpg', '.xml')}"
            found_at.add((int(names[problem.image_id][11:16]), at - first + 1))
    return found_at


def test_every_flaw_is_told_by_name_and_nothing_else(found: Inspection) -> None:
    assert places(found, "box_empty") == EMPTY
    assert places(found, "box_repeated") == TWICE
    assert places(found, "box_size_odd") == OTHER_CLASS
    few = {int(p.message[11:16]) for p in found.problems if p.code == "labels_few"}
    assert few == FEW_LABELS
    alike = [p.message[:47] for p in found.problems if p.code == "alike_across_splits"]
    assert alike == ["BloodImage_00037.jpg (val) looks almost like Bl"]
    codes = {"box_empty", "box_repeated", "box_size_odd", "labels_few", "alike_across_splits"}
    assert {p.code for p in found.problems} == codes
    assert [p.code for p in found.problems if p.level == "error"] == ["box_empty", "box_empty"]
    assert all(problem.cure for problem in found.problems)


def test_the_parts_are_those_of_the_dataset(found: Inspection) -> None:
    assert found.split is not None
    assert (found.split.source, found.split.method) == ("dataset", "lists")
    assert [len(ids) for ids in found.split.parts().values()] == [205, 87, 72]


def test_a_repaired_copy_is_sound_and_the_original_is_untouched(tmp_path: Path) -> None:
    before = contents(BCCD)
    repair, counts = mend(BCCD, tmp_path / "out")
    assert counts == {"box_empty": 2, "box_repeated": 7}
    assert repair.left == []
    assert contents(BCCD) == before
    checked = inspect(tmp_path / "out", task="object_detection", target="yolo")
    assert checked.sound
    assert checked.split is not None
    assert [len(ids) for ids in checked.split.parts().values()] == [205, 87, 72]
