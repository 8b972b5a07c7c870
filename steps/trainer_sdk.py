"""The single file to copy into a training container: its configuration in, its progress out, its files to and fro."""

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import traceback as tracebacks
from enum import Enum
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

REQUIRED = """JOB_ID TRACE_ID BACKEND_BASE_URL CALLBACK_TOKEN TASK_TYPE MODEL_NAME DATASET_ID
EPOCHS BATCH_SIZE LEARNING_RATE STORAGE_TYPE STORAGE_BUCKET"""
FACTS = "TASK_TYPE MODEL_NAME DATASET_ID DATASET_S3_URI PROJECT_ID SNAPSHOT_ID DATASET_VERSION_HASH PRETRAINED_URI"
STORAGE = {  # endpoint, access key, secret key
    "minio": "MINIO_ENDPOINT MINIO_ACCESS_KEY MINIO_SECRET_KEY",
    "r2": "R2_ENDPOINT R2_ACCESS_KEY_ID R2_SECRET_ACCESS_KEY",
    "s3": "AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY",
    "file": "",
}
DIRECT = "EPOCHS BATCH_SIZE IMGSZ IMAGE_SIZE LEARNING_RATE SEED OPTIMIZER DEVICE"  # each beats CONFIG's key
ALIASES = {"BATCH_SIZE": "batch", "IMAGE_SIZE": "imgsz"}  # the others' keys are their names in lower case
NUMBERS = {"epochs": (100, 1), "batch": (16, -1), "imgsz": (640, 1), "learning_rate": (0.01, 1e-12), "seed": (0, 0)}
TEXTS = {"optimizer": "auto", "device": "0", "primary_metric": None, "primary_metric_mode": "max", "split_config": None}
KINDS = "DATASET CHECKPOINT CONFIG RESOURCE NETWORK FRAMEWORK VALIDATION TRAINING UNKNOWN"
ErrorType = Enum("ErrorType", {f"{kind}_ERROR": f"{kind}_ERROR" for kind in KINDS.split()}, type=str)
FULL, LATER = (errno.ENOSPC, errno.EDQUOT), (408, 425, 429)  # a full disk; answers after which a call is tried again


class TrainerError(Exception):
    """A failure with its ErrorType; `detail` is a finer word (`disk_full`, `gpu_oom`)."""

    def __init__(self, error_type, message, *, detail=None):
        super().__init__(message)
        self.error_type, self.detail = ErrorType(error_type), detail
        self.exit_code = 75 if self.error_type is ErrorType.NETWORK_ERROR else 1


@contextlib.contextmanager
def _explained(doing, kind=ErrorType.DATASET_ERROR):
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in FULL:
            text = f"disk full {doing}: free space there, or give the job a larger volume"
            raise TrainerError(ErrorType.RESOURCE_ERROR, text, detail="disk_full") from error
        if isinstance(error, FileNotFoundError):
            raise TrainerError(kind, f"{doing}: {error.filename} does not exist") from error
        if type(error).__module__.split(".")[0] not in ("boto3", "botocore", "s3transfer", "urllib3"):
            raise
        answer = getattr(error, "response", getattr(error.__context__, "response", None))  # uploads wrap the answer
        status = answer["ResponseMetadata"]["HTTPStatusCode"] if isinstance(answer, dict) else 503
        kind = ErrorType.NETWORK_ERROR if status >= 500 or status in LATER else kind
        raise TrainerError(kind, f"{doing}: {error}") from error


def sha256(path):
    """Returns a file's SHA-256 as 64 hexadecimal characters."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write_whole(path, source):
    """Writes bytes, or a binary stream, to a file: whole or not at all."""
    with _explained(f"writing {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        try:
            with open(part, "xb") as sink:
                sink.write(source) if isinstance(source, bytes) else shutil.copyfileobj(source, sink, 1 << 20)
                sink.flush()
                isinstance(source, bytes) or os.fsync(sink.fileno())  # small things are soon made again
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


class Storage:
    """Objects by URI: `file:///folder/name` and `s3://bucket/key` (SigV4, path-style)."""

    def __init__(self, environ):
        self.environ = environ

    @contextlib.contextmanager
    def _at(self, doing, uri, kind=ErrorType.DATASET_ERROR):
        scheme, _, rest = uri.partition("://")
        if scheme not in ("file", "s3") or ".." in re.split(r"[/\\]", unquote(rest)):
            raise TrainerError(ErrorType.CONFIG_ERROR, f"{uri!r}: use file:///… or s3://bucket/key, without '..'")
        bucket, _, key = rest.partition("/")
        with _explained(f"{doing} {uri}", kind):
            yield (Path(unquote(rest)), {}) if scheme == "file" else (None, {"Bucket": bucket, "Key": key})

    @functools.cached_property
    def s3(self):
        """The boto3 client, made at first use."""
        import boto3  # heavy, and not needed with file://
        from botocore.config import Config

        options = dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required")
        options |= {"s3": {"addressing_style": "path"}, "retries": {"mode": "standard", "total_max_attempts": 6}}
        config = Config(signature_version="s3v4", connect_timeout=5, max_pool_connections=16, **options)
        names = (STORAGE.get(self.environ.get("STORAGE_TYPE")) or STORAGE["s3"]) + " AWS_SESSION_TOKEN AWS_REGION"
        endpoint, key, secret, token, region = (self.environ.get(name) or None for name in names.split())
        region = region or (("us-east-1" if "MINIO" in names else "auto") if endpoint else None)
        return boto3.session.Session(key, secret, token, region).client("s3", endpoint_url=endpoint, config=config)

    def upload(self, path, uri, content_type=None):
        """Uploads a file, whole or not at all; returns `{uri, size, sha256}`."""
        with self._at("uploading", uri, ErrorType.CHECKPOINT_ERROR) as (target, at), open(path, "rb") as source:
            stored = {"uri": uri, "size": os.path.getsize(path), "sha256": sha256(path)}
            if target:
                write_whole(target, source)
            else:
                extra = {"Metadata": {"sha256": stored["sha256"]}, "ContentType": content_type or "binary/octet-stream"}
                self.s3.upload_fileobj(source, **at, ExtraArgs=extra)
        return stored

    def open(self, uri, kind=ErrorType.DATASET_ERROR):
        """Returns a binary stream of one object."""
        with self._at("reading", uri, kind) as (path, at):
            return open(path, "rb") if path else self.s3.get_object(**at)["Body"]

    def download(self, uri, path, kind=ErrorType.DATASET_ERROR):
        """Downloads one object, whole or not at all; returns the path."""
        with contextlib.closing(self.open(uri, kind)) as source, _explained(f"downloading {uri}", kind):
            write_whole(Path(path), source)
        return Path(path)

    def list(self, prefix):
        """Yields (name below the prefix, size in bytes) of every object; an object itself has no name."""
        with self._at("listing", prefix) as (root, at):
            if root:
                files = sorted(p for p in (root, *root.rglob("*")) if p.suffix != ".part" and p.is_file())
                yield from ((path.as_posix()[len(root.as_posix()) + 1 :], path.stat().st_size) for path in files)
            else:
                pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=at["Bucket"], Prefix=at["Key"])
                found = ((item["Key"], item["Size"]) for page in pages for item in page.get("Contents", ()))
                yield from ((key[len(at["Key"]) :], size) for key, size in found if not key.endswith("/"))

    def exists(self, uri):
        """Tells whether an object, or anything below a prefix ending in `/`, exists."""
        return any(not name or uri.endswith("/") for name, _ in self.list(uri))

    def stat(self, uri):
        """Returns `{uri, size, sha256}` (the hash None where S3 does not know it), or None where nothing is."""
        for size in (size for name, size in self.list(uri) if not name):
            with self._at("looking up", uri) as (path, at):
                known = {"sha256": sha256(path)} if path else self.s3.head_object(**at)["Metadata"]
            known = {name.lower(): known[name] for name in known}.get("sha256")  # some servers write Sha256
            return {"uri": uri, "size": size, "sha256": known}
        return None


class TrainerSDK(contextlib.AbstractContextManager):
    """A job's environment and its line to the platform; without BACKEND_BASE_URL a dry run that prints its calls."""

    def __init__(self, environ=None, *, heartbeat_seconds=8.0, give_up_seconds=300.0, timeout=5.0, sleep=time.sleep):
        env = self.environ = dict(os.environ if environ is None else environ)
        url = env.get("BACKEND_BASE_URL") or env.get("CALLBACK_URL") or ""
        if "/internal/training/" in url:  # the oldest images: an address per job, one token, no trace
            env |= {"CALLBACK_TOKEN": env.get("INTERNAL_AUTH_TOKEN", ""), "TRACE_ID": env.get("JOB_ID", ""), **env}
        env["BACKEND_BASE_URL"] = url
        vars(self).update({name.lower(): env.get(name, "") for name in FACTS.split()})
        self.job_id, self.attempt = env.get("JOB_ID") or "dry-run", env.get("ATTEMPT") or "1"
        self.trace_id, self.resume = env.get("TRACE_ID") or os.urandom(16).hex(), env.get("RESUME") == "1"
        self.work_dir = Path(os.path.abspath(env.get("WORK_DIR") or "/workspace"))
        self.tmp_dir, self.run_dir = Path(os.path.abspath(env.get("TMP_DIR") or "/tmp")), self.work_dir / "run"
        self.checkpoints_uri = env.get("CHECKPOINTS_URI") or f"{self.work_dir.as_uri()}/checkpoints/"
        self.logs_uri = env.get("LOGS_URI") or f"{self.work_dir.as_uri()}/logs/"
        self.storage, self._pool, self._busy, self._latest, self._uploaded = Storage(env), None, False, {}, {}
        self.terminated, self.cancelled, self.finished, self._epoch, self._started = False, False, False, None, None
        self.dry_run = not (url and env.get("JOB_ID") and env.get("CALLBACK_TOKEN"))
        base = re.sub("/(api/v1|internal/training)(/.*)?$", "", url.rstrip("/"))
        self._url, self._timeout = urlsplit(f"{base}/v1/jobs/{quote(self.job_id, safe='')}"), timeout
        self._patience, self._sleep, self._closing = give_up_seconds, sleep, threading.Event()
        self._ring, self._lock, self._failures, self._wait, self._last = [], threading.RLock(), 0, 0.0, time.monotonic()
        secrets = [v for k, v in env.items() if v and re.search("TOKEN$|SECRET|ACCESS_KEY", k)]
        self._blotted = lambda text: functools.reduce(lambda told, word: told.replace(word, "***"), secrets, text)
        if problems := "; ".join(self._configure()):
            self.report_failed(ErrorType.CONFIG_ERROR, problems)
            self.close()
            raise SystemExit(problems)
        if heartbeat_seconds and not self.dry_run:
            threading.Thread(target=self._beat, args=(heartbeat_seconds,), daemon=True).start()

    def _configure(self):
        env, problems, config, self._advanced = self.environ, [], {}, {}
        try:
            config = {**json.loads(env.get("CONFIG") or "{}")}
            self._advanced = {**(config.get("advanced_config") or {})}
        except (ValueError, TypeError) as error:
            problems.append(f"CONFIG must be a JSON object, and its advanced_config one too: {error}")
        if (kind := env.get("STORAGE_TYPE") or "file") not in STORAGE:
            problems.append(f"STORAGE_TYPE {kind!r} is unknown: use one of {', '.join(STORAGE)}")
        said = {key: (f"CONFIG.{key}", config[key]) for key in TEXTS | NUMBERS if config.get(key) not in (None, "")}
        said |= {ALIASES.get(name, name.lower()): (name, env[name]) for name in DIRECT.split() if env.get(name)}
        self._basic = {key: said.get(key, ("", default))[1] for key, default in TEXTS.items()}
        for key, (default, least) in NUMBERS.items():
            source, value = said.get(key, ("", default))
            try:
                self._basic[key] = type(default)(float(value))
                if not float(value) == self._basic[key] >= least:
                    raise ValueError
            except (ValueError, TypeError, OverflowError):
                what = f"{'whole ' * isinstance(default, int)}number of at least {least:g}"
                problems.append(f"{source} must be a {what}, not {value!r}")
        needed = REQUIRED.split() + STORAGE.get(kind, "").split() * (kind in ("minio", "r2"))
        missing = [name for name in needed if not env.get(name) and ALIASES.get(name, name.lower()) not in said]
        if env["BACKEND_BASE_URL"] and missing:
            problems.insert(0, f"missing environment variables: {', '.join(missing)}")
        return problems

    def _body(self, fields):
        odd = []  # JSON knows no NaN and no infinity: they become null, and metrics that were are named
        text = json.dumps(fields, skipkeys=True, default=lambda value: getattr(value, "tolist", value.__str__)())
        fields = json.loads(self._blotted(text), parse_constant=odd.append)
        if odd:
            metrics = fields.get("metrics") or fields.get("final_metrics") or {}
            fields["non_finite"] = [name for name in metrics if metrics[name] is None]
        return {"trace_id": self.trace_id, **fields, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}

    def _send(self, call, fields, key=None):
        self._ring.append((call, self._body(fields), key or os.urandom(16).hex()))
        del self._ring[1:-4095]  # calls kept while the platform is away; the first may be on its way
        if not (self._failures or self._busy):  # an outage costs training one timeout, and catching up nothing
            self._drain(force=False)

    def _drain(self, force=True):
        with self._lock:
            while self._ring and (force or not self._failures) and self._attempt(*self._ring[0]) is not None:
                self._busy = bool(self._ring.pop(0))
            self._busy = False
            return not self._ring

    def _attempt(self, call, body, key):  # True: accepted; False: refused for good; None: to be tried again
        text = json.dumps(body, allow_nan=False)
        if self.dry_run:
            return self.log("DRY-RUN", f"{call} {text}") or True
        import http.client  # half the time that this file takes to load, and a dry run needs none of it

        headers = {"Authorization": f"Bearer {self.environ['CALLBACK_TOKEN']}", "Content-Type": "application/json"}
        kind = getattr(http.client, "HTTPSConnection" if self._url.scheme == "https" else "HTTPConnection")
        with self._lock:
            try:
                with contextlib.closing(kind(self._url.hostname, self._url.port, timeout=self._timeout)) as line:
                    line.request("POST", f"{self._url.path}/{call}", text, {**headers, "Idempotency-Key": key})
                    answer = line.getresponse()
                    status, after = answer.status, answer.headers["Retry-After"] or ""
                    text = answer.read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                status, after, text = 599, "", f"{type(error).__name__}: {error}"
            again = status >= 500 or status in LATER or (status == 404 and '"code"' not in text)  # a proxy's own 404
            self._last, self._failures = time.monotonic(), self._failures + 1 if again else 0
            self._wait = max(float(after) if after.isdigit() else 0.0, min(10.0, 0.5 * 2**self._failures)) * again
        if again and self._failures == 1:
            self.log("WARNING", f"the platform is away ({status} {text[:200]}); calls are kept, work goes on")
        elif status >= 300 and not again:
            cure = "; check CALLBACK_TOKEN and JOB_ID" if status in (401, 403, 404) else ""
            self.log("ERROR", f"the platform refused {call}: {status} {text[:200]}{cure}")
        elif call == "heartbeat" and re.search(r'"should_continue"\s*:\s*false', text):
            self.cancelled = True
        return None if again else status < 300

    def _beat(self, every):  # a thread's life: the platform sees that the job lives, the job whether to stop
        while not self._closing.wait(min(every / 4, 1.0)):
            if (silent := time.monotonic() - self._last) >= self._wait and self._drain() and silent >= every:
                self._attempt("heartbeat", self._body({}), os.urandom(16).hex())

    def __exit__(self, kind, error, trace):
        ours, failed = isinstance(error, TrainerError), isinstance(error, Exception)
        if failed and self.terminated and not ours:  # SIGTERM reaches a loader's workers too: their end raises here
            raise SystemExit(self.report_cancelled()) from error
        if failed:  # 75 is tried again, and not the end
            text = None if ours else "".join(tracebacks.format_exception(error))
            final = getattr(error, "exit_code", 1) != 75
            self.report_failed("UNKNOWN_ERROR", str(error) or kind.__name__, text, final=final)
        self.close()

    def run(self, main):
        """Runs `main(sdk)`, tells of its failure, closes; returns the exit code (75 is tried again: no `done`)."""
        try:
            with self:
                return main(self) or 0
        except Exception as error:
            return getattr(error, "exit_code", 1)

    def get_basic_config(self):
        """Returns epochs batch imgsz learning_rate optimizer device seed primary_metric(_mode) split_config."""
        return dict(self._basic)

    def get_advanced_config(self):
        """Returns the framework's own settings, flat."""
        return dict(self._advanced)

    def get_full_config(self):
        """Returns `{basic, advanced}`."""
        return {"basic": self.get_basic_config(), "advanced": self.get_advanced_config()}

    def log(self, level, message, epoch=None):
        """Prints `[TRACE:id] [LEVEL] message`, a line each, secrets blotted out."""
        tag = f"[TRACE:{self.trace_id}] [{level.upper()}]" + ("" if epoch is None else f" [EPOCH:{epoch}]")
        with contextlib.suppress(OSError, ValueError):  # a full or closed stdout must not stop training
            print("\n".join(f"{tag} {line}" for line in self._blotted(message).splitlines() or [""]), flush=True)

    def heartbeat(self, epoch=None, total_epochs=None, step=None, total_steps=None, metrics=None, **more):
        """Tells how far training is; `should_continue` then knows the answer."""
        fields = {"epoch": epoch, "total_epochs": total_epochs, "step": step, "total_steps": total_steps}
        done, total = (epoch, total_epochs) if total_epochs else (step, total_steps)
        if total and done is not None:
            fields["progress"] = round(min(100.0, max(0.0, 100.0 * done / total)), 2)
            self.set_progress(done, total)
        self._epoch = self._epoch if epoch is None else epoch
        fields |= {"metrics": metrics or {}, **more}
        self._send("heartbeat", {name: value for name, value in fields.items() if value is not None})

    def event(self, event_type, message="", level="info", data=None, key=None):
        """Tells of one happening; two calls with the same `key` are one."""
        self._send("event", {"level": level, "event_type": event_type, "message": message, "data": data or {}}, key)

    @property
    def should_continue(self):
        """Whether to train on: False once the platform, or a SIGTERM, asked to stop."""
        return not (self.cancelled or self.terminated)

    def install_sigterm(self):
        """Makes SIGTERM end `should_continue`: the trainer then saves and leaves through `report_cancelled`."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "terminated", True))

    def report_started(self, operation_type="training", total_epochs=None):
        """Tells that training begins."""
        total, self._started = total_epochs or self._basic["epochs"], time.monotonic()
        self.event(f"{operation_type}_started", f"{operation_type} started", data={"total_epochs": total})
        self.set_progress(0, total)

    def report_progress(self, epoch, total_epochs, metrics=None, extra_data=None):
        """Tells of the end of an epoch (counted from 1)."""
        self.log("INFO", " ".join(f"{name}={value}" for name, value in (metrics or {}).items()), epoch)
        self.heartbeat(epoch, total_epochs, metrics=metrics, extra_data=extra_data)

    def report_validation(self, epoch, task_type, primary_metric, all_metrics, **more):
        """Tells a validation's results; `primary_metric` is (name, value), `more` class_names=, visualization_urls=."""
        data = {"epoch": epoch, "task_type": task_type, "primary_metric": primary_metric, "metrics": all_metrics}
        self.event("validation_complete", "{}: {}".format(*primary_metric), data={**data, **more})
        self.heartbeat(epoch, metrics={**all_metrics, primary_metric[0]: primary_metric[1]})

    def report_completed(self, final_metrics=None, checkpoints=None, total_epochs=None, *, mlflow_run_id=None):
        """Tells that training succeeded, after the uploads; raises SystemExit(2) where that fails."""
        self._finish("succeeded", final_metrics, checkpoints, total_epochs, mlflow_run_id=mlflow_run_id)

    def report_cancelled(self, final_metrics=None, checkpoints=None, total_epochs=None):
        """Tells of an early end; returns the exit code: 143 after SIGTERM (resumable, so no `done`), 0 if cancelled."""
        self.heartbeat()  # is it a cancellation, or a machine that goes away?
        if self.cancelled or not self.terminated:
            self._finish("cancelled", final_metrics, checkpoints, total_epochs)
        else:
            self.flush()
            self.event("preempted", "stopped by SIGTERM; the last checkpoint is saved", "warning")
        return 143 if self.terminated else 0

    def report_failed(self, error_type, message, traceback=None, epochs_completed=None, *, detail=None, final=True):
        """Tells that training failed (for good, if `final`); returns whether the platform knows."""
        cause = sys.exc_info()[1]
        if isinstance(cause, TrainerError):  # it knows better than a trainer's last `except`
            error_type, detail = cause.error_type, detail or cause.detail
        elif getattr(cause, "errno", None) in FULL:
            error_type, detail = ErrorType.RESOURCE_ERROR, "disk_full"
        kind, message = ErrorType(error_type).value, str(message) or "failed without a message"
        self.log("ERROR", f"{kind}: {message}")
        path = self.environ.get("TERMINATION_LOG")
        with contextlib.suppress(OSError), open(path or "/dev/termination-log", "wb" if path else "r+b") as sink:
            sink.write(self._blotted(" ".join(f"{kind}: {message}".split())).encode()[:4000])
        about = {"error_type": kind, "traceback": traceback}
        self.event("error", message, "error" if final else "warning", about)
        return final and self._finish("failed", None, None, epochs_completed, error=message, **about, detail=detail)

    def _finish(self, status, metrics, checkpoints, epochs, **more):
        if self.finished:  # the first end counts
            return True
        self.finished, uris = True, {**self.flush(), **(checkpoints or {})}
        fields = {"status": status, "error": None, "final_metrics": metrics or {}, "mlflow_run_id": None, **more}
        fields["artifacts"] = {f"{kind}_checkpoint" if kind in ("best", "last") else kind: uris[kind] for kind in uris}
        fields["epochs_completed"] = self._epoch if epochs is None else epochs
        if self._started is not None:  # a step that reports for a trainer does not know its time
            fields["training_time_seconds"] = round(time.monotonic() - self._started, 1)
        body = self._body(fields)
        if self.work_dir.is_dir():  # a dry run at an author's desk has none
            with contextlib.suppress(OSError, TrainerError):  # a full disk: the platform can still be told
                write_whole(self.work_dir / "done.json", json.dumps(body).encode())
        if not (told := self.deliver_done(body)) and status != "failed":
            raise SystemExit(2)
        return told

    def deliver_done(self, body=None):
        """Posts `done` (default: WORK_DIR/done.json) until it arrives or patience ends; tells whether it arrived."""
        body = body or json.loads((self.work_dir / "done.json").read_bytes())
        deadline, key = time.monotonic() + self._patience, f"done-{self.job_id}-{self.attempt}"
        self._drain()
        while (told := self._attempt("done", body, key)) is None and (left := deadline - time.monotonic()) > 0:
            self._sleep(min(self._wait, left))
            self._drain()
        if not told:
            self.log("ERROR", "the platform could not be told of the end; done.json in WORK_DIR keeps it")
        return bool(told)

    def close(self):
        """Waits for uploads, sends what waits once more, ends the heartbeat; harmless when repeated."""
        self.flush()
        self._closing.set()
        self._drain()

    def set_progress(self, done, total):
        """Writes `done/total` where the workflow's executor looks for it."""
        if (path := self.environ.get("ARGO_PROGRESS_FILE")) and 0 <= done <= total:
            with contextlib.suppress(OSError):
                Path(path).write_text(f"{done}/{total}\n")

    def set_output(self, step, name, value):
        """Writes an output parameter of a workflow step; what is no string as JSON."""
        value = value if isinstance(value, str) else json.dumps(value)
        write_whole(self.work_dir / "outputs" / step / name, value.encode())

    def upload_checkpoint(self, path, checkpoint_type="best", metrics=None, epoch=None):
        """Uploads `best`, `last` or `epoch_N` below CHECKPOINTS_URI, tells of it, returns its URI."""
        uri = f"{self.checkpoints_uri}{checkpoint_type}{Path(path).suffix}"
        data = {"kind": checkpoint_type, **self.storage.upload(path, uri), "epoch": epoch, "metrics": metrics or {}}
        self.event("checkpoint_saved", f"{checkpoint_type} saved to {uri}", data=data)
        return uri

    def upload_async(self, path, checkpoint_type="last", metrics=None, epoch=None):
        """Copies a checkpoint aside and uploads it while training goes on; of one type only the latest goes."""
        copy = self.tmp_dir / f"{os.urandom(16).hex()}{Path(path).suffix}"
        with _explained(f"copying {path} to {copy}", ErrorType.CHECKPOINT_ERROR):
            shutil.copyfile(path, copy)
        self._latest[checkpoint_type] = copy

        def upload():
            try:
                if self._latest[checkpoint_type] == copy:
                    self._uploaded[checkpoint_type] = self.upload_checkpoint(copy, checkpoint_type, metrics, epoch)
            except Exception as error:  # the next one, or the upload step, makes up for it
                self.event("checkpoint_upload_failed", str(error), "warning", {"kind": checkpoint_type, "epoch": epoch})
            copy.unlink()

        from concurrent.futures import ThreadPoolExecutor  # slow to load, and many a step uploads nothing aside

        self._pool = self._pool or ThreadPoolExecutor(1)
        self._pool.submit(upload)

    def flush(self):
        """Waits for the uploads under way; returns {type: uri} of what went through."""
        return self._pool.submit(dict, self._uploaded).result() if self._pool else {}  # its one thread works in order

    def upload_file(self, path, key, content_type=None, storage_type=None):
        """Uploads a file below LOGS_URI, or to `key` where that is a URI; returns its URI."""
        uri = key if "://" in key else self.logs_uri + (quote(key) if self.logs_uri.startswith("file:") else key)
        return self.storage.upload(path, uri, content_type)["uri"]

    def download_checkpoint(self, uri, path):
        """Downloads a checkpoint; returns its path."""
        return str(self.storage.download(uri, path, ErrorType.CHECKPOINT_ERROR))

    def download_dataset(self, dataset_id="", dest_dir=None, *, dest=None, **options):
        """Returns the dataset's folder: the pipeline's (linked as `dest_dir` below WORK_DIR or TMP_DIR) or fetched."""
        found, uri = self.work_dir / "dataset", self.dataset_s3_uri
        dest = Path(os.path.abspath(dest_dir or dest or self.tmp_dir / "dataset"))
        if found.exists():
            if not os.path.lexists(dest) and {self.work_dir, self.tmp_dir} & set(dest.parents):
                dest.parent.mkdir(parents=True, exist_ok=True)
                dest.symlink_to(found)
            return str(found)
        if uri.endswith(".zip"):
            archive = self.storage.download(uri, f"{dest}.zip")
            shutil.unpack_archive(archive, dest)  # leaves out names that lead out of the folder
            archive.unlink()
        for name, _ in self.storage.list(uri) if uri.endswith("/") else ():
            self.storage.download(uri + (quote(name) if uri.startswith("file:") else name), dest / name)
        if not dest.exists():
            raise TrainerError(ErrorType.DATASET_ERROR, f"no {found}, and nothing lies below DATASET_S3_URI {uri!r}")
        return str(dest)

    download_dataset_selective = download_dataset

    def download_dataset_with_cache(self, snapshot_id, dataset_id, dataset_version_hash, dest_dir=None, **options):
        """Returns the dataset's folder, as `download_dataset` does: in a pipeline it was fetched once before."""
        return self.download_dataset(dataset_id, dest_dir, **options)

    def convert_dataset(self, dataset_dir="", source_format="dice", target_format="yolo", *_, **options):
        """Returns the folder that the pipeline's convert step has written; the dataset itself is never written to."""
        if target_format == "yolo" and (self.work_dir / "converted" / "data.yaml").exists():
            return str(self.work_dir / "converted")
        raise TrainerError(ErrorType.CONFIG_ERROR, f"no {target_format} dataset in {self.work_dir}: let convert run")
