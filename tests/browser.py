"""The Chromium that is installed, for the tests that need one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

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


def violations(page, *rules: str, within: str | None = None) -> list[str]:
    """Return what axe-core finds on a page or in a part of it, by these rules or by all."""
    from axe_playwright_python.sync_playwright import Axe

    # To describe all that is right takes as long as to look for it.
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = Axe().run(page, context=within, options=options).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@contextmanager
def on_a_phone(browser, address: str, scheme: str) -> Iterator:
    """Open a page, 390 pixels wide, without a network: it must ask for nothing, and not fail."""
    context = browser.new_context(
        viewport={"width": 390, "height": 800}, color_scheme=scheme, offline=True, has_touch=True
    )
    page, wrong = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url))
    page.goto(address)
    yield page
    assert [what for what in wrong if not what.startswith(("file:", "data:"))] == []
    context.close()
