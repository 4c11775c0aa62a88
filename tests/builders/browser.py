"""A headless Chromium, driven over its own DevTools protocol: every request, console line and pixel can be had."""

import asyncio
import base64
import json
import os
import shutil
import signal
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import websockets

from kirana.stack.packages import browser_program
from tests.builders.waiting import eventually_async

STARTING_SECONDS = 90
ASKING_SECONDS = 60
SWITCHES = (
    "--headless",
    "--no-sandbox",  # it is run as root in containers, and opens nothing but our own pages
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


class PageFault(Exception):
    """A script or a command failed in the browser."""


class Page:
    """One tab. ``faults`` are errors of the console, ``requests`` every address that was asked for."""

    def __init__(self, browser, session):
        self._browser = browser
        self._session = session
        self.faults = []
        self.requests = []

    async def open(self, url):
        """Go there, and come back when everything that the page names has been loaded."""
        loaded = self._browser.hear(self._session, "Page.loadEventFired")
        answer = await self.do("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        await asyncio.wait_for(loaded, ASKING_SECONDS)

    async def look_like(self, *, width=1280, height=900, scheme="light"):
        """A window of this size, and the colours that its user likes."""
        phone = width < 600
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def run(self, script):
        """The value of this expression, awaited if it is a promise."""
        answer = await self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageFault(answer["exceptionDetails"])
        return answer["result"].get("value")

    async def until(self, script, seconds=ASKING_SECONDS):
        """Wait until this expression is true."""
        looped = f"""new Promise((yes) => {{
            const end = performance.now() + {seconds * 1000};
            const look = () => {{
                if ({script}) yes(true); else if (performance.now() > end) yes(false);
                else setTimeout(look, 50);
            }};
            look();
        }})"""
        assert await self.run(looped), f"not within {seconds} s: {script}"

    async def offline(self, *, offline=True):
        """Cut the network, or mend it."""
        await self.do(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    async def photograph(self, *, of=None, whole=True):
        """A picture as PNG: of what this selector finds first, else of the page."""
        clip = {}
        if of is not None:
            box = await self.run(
                f"(({{x, y, width, height}}) => ({{x: x + scrollX, y: y + scrollY, width, height, scale: 1}}))"
                f"(document.querySelector({json.dumps(of)}).getBoundingClientRect())"
            )
            clip = {"clip": {name: round(value) for name, value in box.items()}}
        picture = await self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)
        return base64.b64decode(picture["data"])

    async def do(self, method, **parameters):
        """One command of the protocol."""
        return await self._browser.do(method, parameters, session=self._session)

    def strangers(self, origin):
        """The addresses that were asked for and are not of this origin."""
        own = urlsplit(origin).netloc
        parted = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, parts in parted if parts.scheme not in {"data", "blob"} and parts.netloc != own]

    def hear(self, event, parameters):
        """Note what the page does."""
        match event:
            case "Runtime.exceptionThrown":
                self.faults.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in {"error", "assert"}:
                self.faults.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.faults.append(str(parameters["entry"]))
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case _:
                pass


class Browser:
    """One process with any number of pages."""

    def __init__(self, link):
        self._link = link
        self._number = 0
        self._answers = {}
        self._heard = {}
        self._pages = {}

    async def listen(self):
        """Hand out what the browser says, until it goes."""
        async for text in self._link:
            message = json.loads(text)
            session, waiting = message.get("sessionId"), self._answers.pop(message.get("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            elif "method" in message and session in self._pages:
                self._pages[session].hear(message["method"], message["params"])
                for future in self._heard.pop((session, message["method"]), []):
                    if not future.done():
                        future.set_result(message["params"])

    async def do(self, method, parameters, session=None):
        """One command of the protocol."""
        self._number += 1
        number = self._number
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._link.send(json.dumps(message | ({"sessionId": session} if session else {})))
        told = await asyncio.wait_for(answer, ASKING_SECONDS + 5)
        if "error" in told:
            raise PageFault(method, told["error"])
        return told["result"]

    def hear(self, session, event):
        """The next such event of this page."""
        future = asyncio.get_running_loop().create_future()
        self._heard.setdefault((session, event), []).append(future)
        return future

    @asynccontextmanager
    async def page(self):
        """A tab of its own, with nothing kept from others."""
        context = (await self.do("Target.createBrowserContext", {}))["browserContextId"]
        target = await self.do("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        attached = await self.do("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.do(f"{domain}.enable")
        try:
            yield page
        finally:
            await self.do("Target.disposeBrowserContext", {"browserContextId": context})


def find_browser():
    """The program; ``kirana install --tests`` brings it."""
    found = browser_program()
    assert found, "no Chromium here: kirana install --tests"
    return str(found)


@asynccontextmanager
async def a_browser():
    """Started for this block, and gone after it with all its children."""
    profile = Path(tempfile.mkdtemp(prefix="kirana-browser-"))
    process = await asyncio.create_subprocess_exec(
        find_browser(),
        *SWITCHES,
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"HOME": str(profile)},
        start_new_session=True,
    )
    try:
        written = profile / "DevToolsActivePort"
        lines = await eventually_async(
            lambda: _lines_of(written), within=STARTING_SECONDS, what="the browser has opened its port"
        )
        address = f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        async with websockets.connect(address, max_size=None, ping_interval=None, proxy=None) as link:
            browser = Browser(link)
            listening = asyncio.create_task(browser.listen())
            try:
                yield browser
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await eventually_async(lambda: _removed(profile), what="the browser's children write no more")


def _removed(profile):
    """Those that were killed may have been about to write."""
    shutil.rmtree(profile, ignore_errors=True)
    return not profile.exists()


def _lines_of(written):
    """Port and path, once both are written."""
    lines = written.read_text().split() if written.exists() else []
    return lines if len(lines) == 2 else None
