"""A console as people meet it: a process's own server on a port, and a browser in front of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from roster_operator.console.app import build
from roster_operator.console.settings import Settings

CHROMIUM = "/usr/bin/chromium"
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def served(settings: Settings, port: int = 0) -> Iterator[str]:
    """The address of a console. `localhost`, so that browsers take cookies that are for https alone."""
    server = uvicorn.Server(
        uvicorn.Config(build(settings), host="127.0.0.1", port=port, log_level="error", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the console did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(15)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's own."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(
    browser: Browser, *, width: int = 1280, dark: bool = False, scripts: bool = True, any_certificate: bool = False
) -> Iterator[tuple[Page, list[str]]]:
    """A new visitor's page, and what the browser complained of meanwhile."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
        ignore_https_errors=any_certificate,
    )
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page, complaints
    finally:
        context.close()


def sign_in(page: Page, home: str, token: str, namespace: str) -> None:
    """As a person does it."""
    page.goto(f"{home}/login")
    page.get_by_label("Token").fill(token)
    page.get_by_label("Namespaces").fill(namespace)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Districts", exact=True).wait_for()


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds wrong with the page as it is now."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    return [(each["id"], each["nodes"][0]["html"][:160]) for each in found["violations"]]
