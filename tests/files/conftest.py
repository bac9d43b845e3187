"""Property tests here have no time limit per example: a busy machine must not fail them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("files", deadline=None)
settings.load_profile("files")
