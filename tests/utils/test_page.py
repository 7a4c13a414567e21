"""What a notebook shows in place of printed text, and what is printed elsewhere."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from jupyter_client.manager import start_new_kernel

from mnistkit.utils import page
from mnistkit.utils.page import in_a_page, paragraph, say, somebody_types, table_of_words


def kernel(monkeypatch, request_of_cell: dict) -> None:
    """Let this process be a kernel that runs a cell."""
    shell = SimpleNamespace(get_parent=lambda: request_of_cell)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.parametrize(
    ("request_of_cell", "looked_at"),
    [({"metadata": {"cellId": "a1"}}, True), ({"metadata": {}}, False), ({}, False)],
)
def test_a_page_sends_the_id_of_its_cell(request_of_cell, looked_at, monkeypatch):
    kernel(monkeypatch, request_of_cell)
    assert in_a_page() is looked_at


def test_a_plain_python_is_no_page(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert in_a_page() is False
    monkeypatch.delitem(sys.modules, "IPython")
    assert in_a_page() is False


def test_somebody_types_in_a_notebook_and_at_a_prompt_and_not_in_a_script(monkeypatch):
    monkeypatch.delattr(sys, "ps1", raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert somebody_types() is False
    with monkeypatch.context() as at_a_prompt:
        at_a_prompt.setattr(sys, "ps1", ">>> ", raising=False)
        assert somebody_types() is True
    kernel(monkeypatch, {})
    assert somebody_types() is True


def test_outside_of_a_notebook_the_text_is_printed(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    say("C1  reproduced", html="<table></table>")
    assert capsys.readouterr().out == "C1  reproduced\n"


def test_in_a_notebook_the_other_form_is_shown_and_the_text_kept(monkeypatch, capsys):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(page, "_shell", lambda: object())
    monkeypatch.setattr(display, "display", lambda data, raw: shown.append((data, raw)))
    say("x = 1", markdown="```python\nx = 1\n```")
    assert shown == [({"text/plain": "x = 1", "text/markdown": "```python\nx = 1\n```"}, True)]
    assert capsys.readouterr().out == ""


def test_a_paragraph_has_code_a_strong_start_and_no_tags_of_its_own():
    text = "1.2 right: `a < b` & <script>alert(1)</script>"
    assert paragraph(text, strong="1.2 right") == (
        "<p><b>1.2 right</b>: <code>a &lt; b</code> &amp; &lt;script&gt;alert(1)&lt;/script&gt;</p>"
    )


def test_a_table_of_words_begins_at_the_left_and_has_no_tags_of_its_own():
    html = table_of_words(pd.DataFrame({"claim": ["<b>V0</b> reaches 91.94 %"]}))
    assert '<td style="text-align: left;">&lt;b&gt;V0&lt;/b&gt; reaches 91.94 %</td>' in html
    assert "right" not in html


def test_the_cells_behind_a_training_that_was_stopped_wait():
    train = """
import os, signal, threading
import mnistkit as mk
digits = mk.load_digits("sample", limit=200)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
history = mk.fit(mk.MNISTModelV0(), digits.train.loader(10, shuffle=True), epochs=10_000,
                 progress=False)
kept = len(history.rows)
"""
    manager, client = start_new_kernel(extra_arguments=["--log-level=CRITICAL"])
    try:
        asked = [client.execute(code) for code in (train, "print('next')")]
        replies = {}
        while len(replies) < 2:
            reply = client.get_shell_msg(timeout=60)
            replies[reply["parent_header"]["msg_id"]] = reply["content"]
        assert [replies[one]["status"] for one in asked] == ["error", "aborted"]
        assert replies[asked[0]]["ename"] == "KeyboardInterrupt"
        later = client.execute_interactive("assert history.interrupted and kept < 9999", timeout=60)
        assert later["content"]["status"] == "ok", "what there is was kept, and cells run again"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
