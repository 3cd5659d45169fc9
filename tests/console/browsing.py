"""A real Chromium on a console that listens on loopback; skipped, and said so, where there is none."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.server.app import create_app
from aegis_agents.server.console import console_router
from aegis_agents.server.running import make_server
from aegis_agents.settings_server import ServerSettings


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no test in a browser")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here: no test in a browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def listening(aegis: Aegis, **given: Any) -> Iterator[str]:
    """A server with its console, on loopback; answers its address."""
    settings = ServerSettings(port=0, **given)
    server = make_server(create_app(aegis, settings, routers=[console_router()]), settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


class Person:
    """Somebody at a browser of their own, and all that went wrong in it."""

    def __init__(self, browser: Any, base: str, *, phone: bool = False, dark: bool = False, **more: Any) -> None:
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        scheme = "dark" if dark else "light"
        self.base = base
        self.context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=phone, **more)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("dialog", self._asked_by_alert)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error {error}"))
        self.page.on("console", lambda said: self._said(said))
        self.page.on("request", lambda asked: self._asked(asked.url))

    def _asked_by_alert(self, dialog: Any) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _said(self, said: Any) -> None:
        if said.type in ("error", "warning") and "status of 4" not in said.text:  # a 409 that a test asks for is none
            self.wrong.append(f"{said.type} {said.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.base}/", "data:")):
            self.elsewhere.append(url)

    def sign_in(self, token: str) -> Person:
        self.page.goto(f"{self.base}/login")
        self.page.get_by_label("Your token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.base}/")
        return self

    def goto(self, path: str) -> Any:
        return self.page.goto(f"{self.base}{path}", wait_until="load")

    @property
    def main(self) -> str:
        return str(self.page.inner_text("main"))


BASICS = """() => {
  const wrong = [], seen = new Set(), root = document.documentElement;
  const one = (what, found) => { if (found !== 1) wrong.push(`${what}: ${found}`); };
  if (!root.lang) wrong.push("no language");
  one("main", document.querySelectorAll("main").length);
  one("h1", document.querySelectorAll("h1").length);
  for (const nav of document.querySelectorAll("nav")) if (!nav.getAttribute("aria-label")) wrong.push("a nav without a name");
  for (const el of document.querySelectorAll("[id]")) { if (seen.has(el.id)) wrong.push(`two of the id ${el.id}`); seen.add(el.id); }
  for (const el of document.querySelectorAll("[aria-labelledby]")) if (!document.getElementById(el.getAttribute("aria-labelledby"))) wrong.push("a name that is nowhere");
  for (const el of document.querySelectorAll("input:not([type=hidden]), select, textarea")) if (!el.labels.length && !el.getAttribute("aria-label")) wrong.push(`a field without a label: ${el.name}`);
  for (const el of document.querySelectorAll("button, a[href], summary")) if (!el.innerText.trim() && !el.getAttribute("aria-label") && el.checkVisibility()) wrong.push(`nothing to read on ${el.outerHTML.slice(0, 80)}`);
  for (const el of document.querySelectorAll("svg[role=img]")) if (!el.getAttribute("aria-label")) wrong.push("a picture without a name");
  let level = 0;
  for (const el of document.querySelectorAll("h1, h2, h3, h4")) { const at = Number(el.tagName[1]); if (level && at > level + 1) wrong.push(`from h${level} to h${at}: ${el.innerText}`); level = at; }
  const rgb = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return text.startsWith("color(") ? [n[0]*255, n[1]*255, n[2]*255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (el) => { for (; el; el = el.parentElement) { const c = rgb(getComputedStyle(el).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !el.checkVisibility() || el.closest("svg, .skip, .visually-hidden, option")) continue;
    const style = getComputedStyle(el), size = parseFloat(style.fontSize), big = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const a = light(rgb(style.color)), b = light(ground(el)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < (big ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 30)} (${el.className})`);
  }
  if (root.scrollWidth > innerWidth) wrong.push(`it scrolls sideways: ${root.scrollWidth} in ${innerWidth}`);
  return wrong;
}"""
"""What an accessibility checker looks at first (WCAG 2.2: 1.1.1, 1.3.1, 1.4.3, 1.4.10, 2.4.1, 3.1.1, 4.1.2)."""
