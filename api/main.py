"""Puts the API together: `create_app(settings)`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy import exc
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api import errors, health, metrics
from api.artifacts import routes as artifacts
from api.artifacts.storage import open_storage
from api.body import BodyLimit
from api.callbacks import legacy
from api.callbacks import routes as callbacks
from api.callbacks.asgi import CallbackApp
from api.catalog import routes as catalog
from api.datasets import routes as datasets
from api.datasets import task_routes as dataset_tasks
from api.db import Database
from api.jobs import records
from api.jobs import routes as jobs
from api.jobs.lookout import Lookout
from api.platform import Platform, now
from api.postgres import told
from api.problems import PROBLEM_SCHEMA, problems
from api.settings import Settings, prepare_home
from workflows.spec import JobSpec
from workflows.version import __version__

log = logging.getLogger(__name__)

DESCRIPTION = """Trains vision models: say what to train, on which dataset, and follow it to its checkpoints.

People and programs send `Authorization: Bearer …` with the platform's token; trainers call back with their job's own.
Errors are `application/problem+json` with a stable `code`, a `detail` for people and a `cure`."""

TAGS = [
    {"name": "jobs", "description": "Submit jobs, list them, move them."},
    {"name": "records", "description": "What became of a job: events, metrics, logs, workflow, live stream."},
    {"name": "checkpoints", "description": "What training leaves behind."},
    {"name": "datasets", "description": "What jobs train on."},
    {"name": "catalogue", "description": "Frameworks and models on offer."},
    {"name": "health", "description": "For probes."},
    {"name": "callbacks", "description": "What trainers say; job tokens only."},
    {"name": "callbacks (older words)", "description": "The same from trainers of an older make."},
]

# Who takes uploads or trainers' words counts the bytes for itself.
OWN_LIMITS = ("/api/v1/datasets", "/v1/jobs/", "/internal/")


class InternalError(errors.TiphysError):
    code, status, title = "internal_error", 500, "Internal error"


class MethodNotAllowed(errors.TiphysError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class TooLarge(errors.TiphysError):
    code, status, title = "too_large", 413, "Content too large"


def create_app(settings: Settings, *, database: Database | None = None, clock: Callable[[], datetime] = now) -> FastAPI:
    """Return the API over a home folder, which is made ready; the database is brought to head at start-up.

    Raises:
        ValueError: the settings cannot be used; the text names what is wrong and the cure.
    """
    settings = prepare_home(settings)
    own_database = database is None
    platform = Platform(
        settings=settings,
        database=database or Database(settings.resolved_database_url(), connections=settings.database_connections),
        storage=open_storage(settings),
        clock=clock,
    )
    hot = CallbackApp(platform)
    lookout = Lookout(platform.database, platform.wake)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(platform.database.migrate)
        hot.startup()
        lookout.start()
        try:
            yield
        finally:
            platform.wake.close()
            await run_in_threadpool(lookout.stop)
            await run_in_threadpool(hot.shutdown)
            if own_database:
                platform.database.close()

    app = FastAPI(
        title="Tiphys",
        version=__version__,
        summary="Vision-model training as a service.",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.platform = platform
    _tell_errors(app)
    # The records' and checkpoints' addresses begin with a job's.
    for module in (jobs, records, artifacts, dataset_tasks, datasets, catalog, health, metrics, callbacks, legacy):
        app.include_router(module.router)
    app.include_router(datasets.snapshots_router)
    app.add_middleware(BodyLimit, free=OWN_LIMITS)
    hot.install(app)  # last, so that it stands first: a heartbeat meets nothing else
    _document(app)
    return app


def _operation_id(route: APIRoute) -> str:
    """Return a stable name for the OpenAPI document: the function's, behind its tag where trainers are meant."""
    tag = str(route.tags[0]) if route.tags else ""
    if not tag.startswith("callbacks"):
        return route.name
    return f"{'callback' if tag == 'callbacks' else 'older_callback'}_{route.name}"


def _tell_errors(app: FastAPI) -> None:
    errors.install(app)

    async def not_found(request: Request, error: Exception) -> JSONResponse:
        return errors.render(
            errors.NotFound(f"there is nothing at {request.url.path}", cure="see /docs for what there is")
        )

    async def not_allowed(request: Request, error: Exception) -> JSONResponse:
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        message = f"{request.url.path} does not take {request.method}"
        cure = f"use {headers['Allow']}" if "Allow" in headers else "see /docs for what there is"
        return errors.render(MethodNotAllowed(message, cure=cure, headers=headers))

    async def too_large(_: Request, error: Exception) -> JSONResponse:
        message = error.detail if isinstance(error, HTTPException) else "the body is too large"
        return errors.render(TooLarge(message, cure="send less"))

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The traceback is for the log alone; the server writes it there.
        return errors.render(
            InternalError(
                f"{request.method} {request.url.path} failed unexpectedly", cure="see the API's log, and try again"
            )
        )

    async def away(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s: %s", request.method, request.url.path, told(error))
        return errors.render(errors.from_failure(error))

    # A connection that the server ended, or none to be had: as SQLAlchemy's OperationalError, which errors.py knows.
    for kind in (exc.InterfaceError, exc.InternalError, exc.TimeoutError):
        app.add_exception_handler(kind, away)
    app.add_exception_handler(404, not_found)
    app.add_exception_handler(405, not_allowed)
    app.add_exception_handler(413, too_large)
    app.add_exception_handler(Exception, unexpected)


def _document(app: FastAPI) -> None:
    """Give the OpenAPI document the schemas of what the routes read and answer by hand."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                tags=app.openapi_tags,
                routes=app.routes,
            )
            schemas = document["components"]["schemas"]
            schemas["Problem"] = PROBLEM_SCHEMA
            # FastAPI's own form of a wrong parameter, which errors.install() has replaced.
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for operation in (o for item in document["paths"].values() for o in item.values()):
                if "422" in operation["responses"]:
                    operation["responses"]["422"] = problems(422)[422]
            spec = JobSpec.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= spec.pop("$defs", {})
            schemas[JobSpec.__name__] = spec
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own documented way
