"""A phone in a real browser: Debian's chromium, with SIP.js on a page of ours."""

import base64
from pathlib import Path

import numpy as np
from aiohttp import web
from boxkit import CACHE
from playwright.async_api import async_playwright

RATE = 48000
PAGE = Path(__file__).parent / "web_phone"
MODULES = CACHE / "modules" / "node_modules"
# It has no microphone and no name server, and nobody looks at it; it may use loopback for calls.
OPTIONS = ["--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection", "--ignore-certificate-errors",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]


class WebPhone:
    """One tab of a browser of its own."""

    async def __aenter__(self):
        self.said = []
        app = web.Application()
        app.router.add_static("/sip.js", MODULES / "sip.js")
        app.router.add_static("/", PAGE)
        self.server = web.AppRunner(app)
        await self.server.setup()
        await web.TCPSite(self.server, "127.0.0.1", 0).start()
        port = self.server.addresses[0][1]
        self.playwright = await async_playwright().start()
        self.chromium = await self.playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        self.page = await self.chromium.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        await self.page.goto(f"http://127.0.0.1:{port}/index.html")
        await self.page.wait_for_function("() => window.phone")
        return self

    async def __aexit__(self, *_):
        await self.chromium.close()
        await self.playwright.stop()
        await self.server.cleanup()

    async def ask(self, what, *arguments):
        """What the page's `phone.WHAT(…)` says."""
        return await self.page.evaluate("([what, given]) => window.phone[what](...given)", [what, list(arguments)])

    async def register(self, box, user, password):
        server = f"wss://{box.sip[0]}:{box.facts['sip']['tls_port']}"
        await self.ask("register", server, user, password)

    async def heard(self, seconds):
        """The last sound, 16 bits at `RATE`."""
        return np.frombuffer(base64.b64decode(await self.ask("heard", seconds)), dtype=np.int16)
