"""What several replicas share is said by trainers and by people, and lies in storage: the fixtures of all three."""

from tests.api.artifacts.conftest import aws, bucket, s3_server, storage
from tests.api.callbacks.conftest import make_trainer, trainer
from tests.api.jobs.conftest import folder, request_body

__all__ = ["aws", "bucket", "folder", "make_trainer", "request_body", "s3_server", "storage", "trainer"]
