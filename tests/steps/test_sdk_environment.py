"""What the SDK reads: direct variable, then CONFIG, then default; everything wrong in one message; the dry run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steps.trainer_sdk import TrainerError, TrainerSDK
from tests.steps.wire import Platform, environment, pinned

REPO = Path(__file__).parents[2]


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SystemExit) as left:
        TrainerSDK(environ, heartbeat_seconds=0, give_up_seconds=0)
    return str(left.value.code)


def test_all_missing_variables_are_named_at_once(workspace: Path) -> None:
    required = pinned("environment")["required"]
    environ = {"BACKEND_BASE_URL": "http://127.0.0.1:9", "WORK_DIR": str(workspace)}
    message = refusal(environ)
    assert message == f"missing environment variables: {', '.join(n for n in required if n != 'BACKEND_BASE_URL')}"


def test_storage_keys_are_required_variables(workspace: Path) -> None:
    message = refusal(environment(workspace, url="http://127.0.0.1:9", STORAGE_TYPE="minio"))
    assert message == "missing environment variables: MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY"


def test_a_process_without_its_variables_exits_1_with_one_line(workspace: Path) -> None:
    environ = {"BACKEND_BASE_URL": "http://127.0.0.1:9", "WORK_DIR": str(workspace), "JOB_ID": "x"}
    script = "from steps.trainer_sdk import TrainerSDK; TrainerSDK()"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "TRACE_ID" in done.stderr
    assert list(workspace.iterdir()) == [workspace / "done.json"]


def test_a_variable_beats_config_and_config_the_default(workspace: Path) -> None:
    config = {"epochs": 7, "batch": 4, "imgsz": 32, "optimizer": "AdamW", "seed": 3, "split_config": {"ratio": [1]}}
    environ = environment(workspace, url=None, CONFIG=json.dumps(config), EPOCHS="5", BATCH_SIZE="", IMAGE_SIZE="96")
    basic = TrainerSDK(environ).get_basic_config()
    assert (basic["epochs"], basic["batch"], basic["imgsz"]) == (5, 4, 96)
    assert (basic["optimizer"], basic["seed"], basic["device"]) == ("AdamW", 3, "cpu")
    assert basic["learning_rate"] == 0.5
    assert basic["split_config"] == {"ratio": [1]}
    defaults = TrainerSDK({}).get_basic_config()
    assert {key: defaults[key] for key in pinned("environment")["defaults"] if key in defaults} == {
        key: value for key, value in pinned("environment")["defaults"].items() if key.islower()
    }


def test_config_fills_in_for_required_numbers(workspace: Path) -> None:
    config = json.dumps({"epochs": 7, "batch": 4, "learning_rate": 0.1})
    environ = environment(workspace, url=None, EPOCHS="", BATCH_SIZE="", LEARNING_RATE="", CONFIG=config)
    assert TrainerSDK(environ).get_basic_config()["epochs"] == 7


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"CONFIG": '{"epochs": 3'}, "CONFIG must be a JSON object"),
        ({"CONFIG": "[1]"}, "CONFIG must be a JSON object"),
        ({"CONFIG": '{"advanced_config": [1]}'}, "CONFIG must be a JSON object, and its advanced_config one too"),
        ({"EPOCHS": "many"}, "EPOCHS must be a whole number of at least 1, not 'many'"),
        ({"EPOCHS": "0"}, "EPOCHS must be a whole number of at least 1, not '0'"),
        ({"EPOCHS": "", "CONFIG": '{"epochs": 2.5}'}, "CONFIG.epochs must be a whole number of at least 1, not 2.5"),
        ({"LEARNING_RATE": "nan"}, "LEARNING_RATE must be a number"),
        ({"LEARNING_RATE": "-1"}, "LEARNING_RATE must be a number"),
        ({"STORAGE_TYPE": "ftp"}, "STORAGE_TYPE 'ftp' is unknown: use one of minio, r2, s3, file"),
    ],
)
def test_a_wrong_value_is_refused_by_name(workspace: Path, wrong: dict[str, str], told: str) -> None:
    assert told in refusal(environment(workspace, url=None, **wrong))


def test_everything_wrong_is_told_at_once_and_to_the_platform(platform: Platform, workspace: Path) -> None:
    message = refusal(environment(workspace, url=platform.url, EPOCHS="x", CONFIG="{", DATASET_ID=""))
    assert [part.split()[0] for part in message.split("; ")] == ["missing", "CONFIG", "EPOCHS"]
    (done,) = platform.calls("done")
    assert (done["status"], done["error_type"], done["error"]) == ("failed", "CONFIG_ERROR", message)


def test_advanced_config_is_flat_and_whole(workspace: Path) -> None:
    config = json.dumps({"advanced_config": {"mosaic": 0.0, "nbs": 16}})
    sdk = TrainerSDK(environment(workspace, url=None, CONFIG=config))
    assert sdk.get_advanced_config() == {"mosaic": 0.0, "nbs": 16}
    assert sdk.get_full_config() == {"basic": sdk.get_basic_config(), "advanced": {"mosaic": 0.0, "nbs": 16}}


@pytest.mark.parametrize("variable", ["BACKEND_BASE_URL", "CALLBACK_URL"])
@pytest.mark.parametrize("tail", ["", "/", "/api/v1", "/api/v1/training"])
def test_addresses_old_and_new_lead_to_the_same_place(
    platform: Platform, workspace: Path, variable: str, tail: str
) -> None:
    environ = {**environment(workspace, url=None), variable: platform.url + tail}
    with TrainerSDK(environ, heartbeat_seconds=0) as sdk:
        sdk.heartbeat()
    assert [heard.path for heard in platform.heard] == ["/v1/jobs/7k3mqz2x/heartbeat"]


def test_the_oldest_images_address_and_token(platform: Platform, workspace: Path) -> None:
    environ = environment(workspace, url=None, CALLBACK_URL=f"{platform.url}/internal/training/7k3mqz2x")
    del environ["CALLBACK_TOKEN"], environ["TRACE_ID"]
    with TrainerSDK({**environ, "INTERNAL_AUTH_TOKEN": "old"}, heartbeat_seconds=0) as sdk:
        sdk.heartbeat()
    (heard,) = platform.heard
    assert heard.path == "/v1/jobs/7k3mqz2x/heartbeat"
    assert heard.headers["Authorization"] == "Bearer old"
    assert heard.body["trace_id"] == "7k3mqz2x"


def test_a_dry_run_prints_the_same_json_and_needs_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with TrainerSDK({"WORK_DIR": str(tmp_path / "absent")}) as sdk:
        sdk.report_started(total_epochs=2)
        sdk.report_progress(1, 2, {"loss": 0.5})
        assert sdk.should_continue
        sdk.report_completed({"loss": 0.5})
    lines = [line for line in capsys.readouterr().out.splitlines() if "[DRY-RUN]" in line]
    calls = [line.split("[DRY-RUN] ")[1].split(" ", 1) for line in lines]
    assert [call for call, _ in calls] == ["event", "heartbeat", "done"]
    assert json.loads(calls[1][1])["metrics"] == {"loss": 0.5}
    assert not (tmp_path / "absent").exists()


def test_lines_have_their_form_and_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    sdk = TrainerSDK({"TRACE_ID": "t"})
    sdk.log("info", "one\ntwo", 3)
    assert capsys.readouterr().out == "[TRACE:t] [INFO] [EPOCH:3] one\n[TRACE:t] [INFO] [EPOCH:3] two\n"


def test_outputs_progress_and_cause_lie_where_the_executor_looks(workspace: Path) -> None:
    sdk = TrainerSDK(environment(workspace, url=None))
    sdk.set_output("train", "epochs", 3)
    sdk.set_output("train", "uri", "file:///x")
    sdk.heartbeat(step=3, total_steps=4)
    sdk.report_failed("DATASET_ERROR", "one\n  two")
    assert (workspace / "outputs" / "train" / "epochs").read_text() == "3"
    assert (workspace / "outputs" / "train" / "uri").read_text() == "file:///x"
    assert (workspace / "progress").read_text() == "3/4\n"
    assert (workspace / "termination-log").read_text() == "DATASET_ERROR: one two"


def test_an_exception_out_of_the_context_is_told(platform: Platform, workspace: Path) -> None:
    with pytest.raises(ValueError, match="torn"), TrainerSDK(environment(workspace, url=platform.url)):
        raise ValueError("torn")
    (done,) = platform.calls("done")
    assert (done["status"], done["error"]) == ("failed", "torn")
    assert "ValueError: torn" in done["traceback"]


def test_an_expected_failure_has_no_traceback(platform: Platform, workspace: Path) -> None:
    def refuses(sdk: TrainerSDK) -> None:
        raise TrainerError("DATASET_ERROR", "no images")

    assert TrainerSDK(environment(workspace, url=platform.url)).run(refuses) == 1
    (done,), (event,) = platform.calls("done"), platform.calls("event")
    assert (done["error_type"], done["error"], done["traceback"]) == ("DATASET_ERROR", "no images", None)
    assert event["data"]["traceback"] is None


def test_a_failure_after_the_end_is_still_seen(
    platform: Platform, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends_twice(sdk: TrainerSDK) -> None:
        sdk.report_completed()
        raise ValueError("torn")

    assert TrainerSDK(environment(workspace, url=platform.url)).run(ends_twice) == 1
    assert [done["status"] for done in platform.calls("done")] == ["succeeded"]
    assert "[ERROR] UNKNOWN_ERROR: torn" in capsys.readouterr().out


def test_one_file_stands_alone_and_stays_small(tmp_path: Path) -> None:
    source = (REPO / "steps" / "trainer_sdk.py").read_text()
    assert source.count("\n") < 500  # `wc -l`: blank lines, docstrings and all
    (tmp_path / "trainer_sdk.py").write_text(source)
    script = "import sys, trainer_sdk; sys.exit('boto3' in sys.modules or 'yaml' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"]
        ).returncode
        == 0
    )
