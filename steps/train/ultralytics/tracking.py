"""MLflow, when the job names a server: told from a thread of its own, so that it holds up nothing."""

from __future__ import annotations

import os
import queue
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

PATIENCE = 10.0  # seconds that the end of a job waits for what is still to be told


class Tracker:
    """One MLflow run of one job; a server that cannot be reached costs a warning and nothing else."""

    def __init__(
        self, uri: str, *, project: str, job: str, event: Callable[[str, str, str, dict[str, Any]], None]
    ) -> None:
        self.run_id: str | None = None
        self._closed = False
        self._uri, self._project, self._job, self._event = uri, project, job, event
        self._todo: queue.Queue[Callable[[Any], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Record the run's parameters."""
        self._todo.put(lambda client: [client.log_param(self.run_id, key, value) for key, value in values.items()])

    def metrics(self, values: Mapping[str, float], *, epoch: int) -> None:
        """Record an epoch's metrics."""
        self._todo.put(lambda client: [client.log_metric(self.run_id, k, v, step=epoch) for k, v in values.items()])

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED; wait for what is outstanding, but not long."""
        if self._closed:
            return
        self._closed = True
        self._todo.put(lambda client: client.set_terminated(self.run_id, status))
        self._todo.put(None)
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        # The client's own defaults wait for minutes: seven tries of two minutes each.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder is asked for only by naming one
        try:
            from mlflow.tracking import MlflowClient  # heavy: over a second to import

            client = MlflowClient(tracking_uri=self._uri)
            name = f"project-{self._project or 'none'}"
            found = client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else client.create_experiment(name)
            self.run_id = client.create_run(experiment, run_name=f"job-{self._job}").info.run_id
            self._event("mlflow_initialized", "MLflow run started", "info", {"mlflow_run_id": self.run_id})
            while (task := self._todo.get()) is not None:
                task(client)
        except Exception as error:  # whatever MLflow or its server does, the training goes on
            message = f"MLflow at {self._uri} is not used: {type(error).__name__}: {error}"
            # An address may carry a name and a password.
            self._event("mlflow_unavailable", re.sub(r"://[^/@\s]*@", "://***@", message)[:300], "warning", {})
