"""What the tests of pages and of slides share."""

from __future__ import annotations

import pytest

from tests.browser import LAUNCH


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        yield browser
        browser.close()
