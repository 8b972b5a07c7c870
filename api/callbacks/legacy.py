"""What trainers of an older make say, in the two sets of words they know."""

from __future__ import annotations

from fastapi import APIRouter

from api.callbacks import legacy_internal, legacy_sdk

router = APIRouter()
router.include_router(legacy_internal.router)
router.include_router(legacy_sdk.router)
