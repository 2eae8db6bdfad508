"""What a reader's JupyterLab makes of notebook 00: every picture is there, with its alt text.

Needs Chromium, and Playwright, which the project does not install: `pip install playwright`.
"""

import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbclient
import nbformat
import pytest

import series

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright and Chromium")

SOURCE = next((series.ROOT / "notebooks").glob("00_*.ipynb"))
PICTURES = """() => [...document.querySelectorAll('.jp-OutputArea-output img')]
    .map(image => ({alt: image.alt, width: image.naturalWidth}))"""
CELLS = "jupyterapp.shell.currentWidget?.content?.widgets ?? []"
TRUSTED = f"({CELLS}).map(cell => cell.model).filter(m => m.type === 'code').map(m => m.trusted)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab's address, its folder and environment: settings and signatures of its own."""
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "SETTINGS/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": "none"}))  # all cells stand in the page
    environment = os.environ | {"T2I_PROFILE": "smoke"}
    environment |= {f"JUPYTER_{n}_DIR": str(folder / n) for n in ("CONFIG", "DATA", "RUNTIME")}
    environment |= {f"JUPYTERLAB_{n}_DIR": str(folder / n) for n in ("SETTINGS", "WORKSPACES")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port"]
    command += [f"{port}", "--expose-app-in-browser", "--ServerApp.token="]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={folder}"], env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/api", timeout=2).close()
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail((folder / "log").read_text())
        yield url, folder, environment
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def page():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"needs Chromium: {str(error).splitlines()[0]}")
        yield browser.new_page()
        browser.close()


@pytest.fixture(scope="module")
def executed():
    """Notebook 00 as this code executes it, and the alt texts of its pictures."""
    notebook = nbformat.read(SOURCE, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2I_PROFILE", "smoke")
        resources = {"metadata": {"path": str(series.ROOT)}}
        nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    alts = [html.unescape(alt) for alt in re.findall('<img[^>]* alt="(.*?)"', shown)]
    assert len(alts) >= 5 and not any("image/png" in output.get("data", {}) for output in outputs)
    return notebook, alts


def opened(page, server, notebook, name, trusted=False):
    """Stores the notebook and opens it in JupyterLab."""
    url, folder, environment = server
    nbformat.write(notebook, folder / name)
    if trusted:
        command = [sys.executable, "-m", "jupyter", "trust", str(folder / name)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    page.goto(f"{url}/lab/tree/{name}?reset")
    there = f"typeof jupyterapp === 'object' && ({CELLS}).length === {len(notebook.cells)}"
    page.wait_for_function(there, timeout=120_000)


def assert_all_there(page, alts):
    loaded = f"document.querySelectorAll('.jp-OutputArea-output img').length >= {len(alts)}"
    page.wait_for_function(loaded, timeout=60_000)
    found = page.evaluate(PICTURES)
    assert [picture["alt"] for picture in found] == alts
    assert all(picture["width"] > 100 for picture in found), "a picture did not load"


@pytest.mark.parametrize("trusted", [False, True])
def test_stored_pictures_are_shown_with_their_words(page, server, executed, trusted):
    notebook, alts = executed
    opened(page, server, notebook, f"trusted_{trusted}.ipynb", trusted)
    assert all(page.evaluate(TRUSTED)) is trusted
    assert_all_there(page, alts)


def test_pictures_of_a_run_are_shown_with_their_words(page, server, executed):
    notebook, alts = executed
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    opened(page, server, notebook, "run.ipynb")
    page.set_default_timeout(300_000)
    page.wait_for_function("jupyterapp.shell.currentWidget.sessionContext.isReady")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
    assert_all_there(page, alts)
    # the sentence box, pressed, shows a picture with the sentence in its alt text
    page.get_by_role("button", name="draw").click()
    page.wait_for_selector(".widget-html img[alt^='what the model draws for: ']")


BLIND_TEST = '''
import torch
from t2i_utils.figures import Question
from t2i_utils.widgets import blind_test
words = "there is a flower with a double row of petals, five spiky orange petals and dark stamens "
pictures = torch.zeros(2, 3, 64, 64)
questions = [Question(pictures[:1], [words * 2 + str(i) for i in range(4)], 2, "which sentence?"),
             Question(pictures, ["left", "right"], 0, "which is real?")]
tally = blind_test(questions, judge={"which sentence?": 0.5})
'''
CUT_OFF = """() => [...document.querySelectorAll('.t2i-choice')]
    .filter(b => b.scrollWidth > b.clientWidth || b.scrollHeight > b.clientHeight).length"""


def test_the_blind_test_is_pressed(page, server):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BLIND_TEST)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    opened(page, server, notebook, "blind_test.ipynb")
    page.set_default_timeout(60_000)
    page.wait_for_function("jupyterapp.shell.currentWidget.sessionContext.isReady")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
    page.get_by_role("button", name="start", exact=True).click()
    page.wait_for_function("document.querySelectorAll('.t2i-choice').length === 4")
    assert page.evaluate(CUT_OFF) == 0, "a long sentence is cut off"
    page.locator(".t2i-choice").nth(2).click()
    page.wait_for_function("document.querySelectorAll('.t2i-choice').length === 2")
    page.get_by_role("button", name="right", exact=True).click()
    page.wait_for_selector("text=Your tally")
    said = page.locator(".widget-html", has_text="Your tally").inner_text()
    assert "which sentence? 1 of 1 right (100% ± 0%; by chance 25%; the judge 50%)" in said
    assert "which is real? 0 of 1 right (0% ± 0%; by chance 50%)" in said
