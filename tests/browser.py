"""The Chromium that is installed, for the tests that need one."""

from __future__ import annotations

import os
import shutil

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("MNISTKIT_CHROMIUM") or next(
    filter(None, map(shutil.which, _NAMES)), None
)
LAUNCH = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason=f"no browser: none of {', '.join(_NAMES)}, and MNISTKIT_CHROMIUM names no other",
    ),
]
