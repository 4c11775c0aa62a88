"""What people see, in a real browser: the pages load, from here alone, are readable, and the live one lives."""

import asyncio

import httpx
import pytest

from tests.builders.browser import a_browser
from tests.builders.pictures import Picture

pytestmark = pytest.mark.anyio

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
SERVICES = ["cart", "catalog", "identity", "notification", "order"]

READY = {
    "/docs": "document.querySelectorAll('.opblock').length > 20",
    "/redoc": "document.querySelectorAll('[data-section-id^=\"tag/\"]').length > 5 && document.querySelector('h1')",
    "/status": "document.querySelectorAll('#rows-services tr').length === 5",
    "/problems": "document.querySelectorAll('.problems a').length > 40",
    "/problems/quota-exceeded": "document.querySelector('pre')",
}
OWN = ("/status", "/problems", "/problems/quota-exceeded")
"""Pages whose look is ours. What Swagger UI and Redoc look like is theirs."""

TOO_FAINT = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest('noscript, script')) continue;
    const [one, other] = [light(parts(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.push(`${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return faint;
})()"""
"""Text whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3 AA)."""

NAMELESS = """[...document.querySelectorAll('section, table, svg, a, summary, figure')].filter((one) =>
  ({SECTION: () => !one.getAttribute('aria-label')
      && !document.getElementById(one.getAttribute('aria-labelledby') || ''),
    TABLE: () => !one.querySelector('thead th[scope=col]'),
    svg: () => !one.getAttribute('aria-label'),
    A: () => !one.textContent.trim(),
    SUMMARY: () => !one.textContent.trim()}[one.tagName] || (() => false))()).length"""
"""Parts that somebody who does not see the page is told nothing of."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def seen(page, stack, path, **look):
    await page.look_like(**look)
    await page.open(stack.edge_url + path)
    await page.until(READY[path])


async def traffic(stack, count=60):
    async with httpx.AsyncClient(base_url=stack.edge_url, timeout=30) as client:
        for number in range(count):
            await client.get("/api/products", params={"limit": 1 + number % 7})


async def test_every_page_loads_from_here_alone_and_without_a_fault(stack):
    async with a_browser() as browser:
        for path in READY:
            async with browser.page() as page:
                await seen(page, stack, path, **DESK)

                assert page.faults == [], path
                assert page.strangers(stack.edge_url) == [], path
                assert len(page.requests) >= 2, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_our_pages_can_be_read_on_a_desk_and_on_a_phone(stack, scheme):
    bright = {}
    async with a_browser() as browser, browser.page() as page:
        for path in OWN:
            for look in (DESK, PHONE):
                await seen(page, stack, path, scheme=scheme, **look)
                await page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

                assert await page.run("document.documentElement.scrollWidth") <= look["width"], (path, look)
                assert await page.run(TOO_FAINT) == [], (path, look)
                assert await page.run(NAMELESS) == 0, (path, look)
        bright[scheme] = Picture(await page.photograph(of=".bar")).brightness()

    assert bright[scheme] > 200 if scheme == "light" else bright[scheme] < 60


async def test_the_status_page_shows_what_happens_and_says_when_it_knows_no_more(stack):
    total = "Number(document.getElementById('note-rate').textContent.replace(/[^0-9]/g, ''))"
    async with a_browser() as browser, browser.page() as page:
        await seen(page, stack, "/status", **DESK)
        before = await page.run(total)
        names = await page.run("[...document.querySelectorAll('#rows-services th')].map((one) => one.textContent)")
        await traffic(stack)
        await page.until(f"{total} >= {before} + 60")
        await page.until("document.querySelector('#chart-rate .line.first')")
        drawn = Picture(await page.photograph(of="#chart-rate .plot"))

        await page.offline()
        await page.until("!document.getElementById('notice').hidden")
        told = await page.run("document.getElementById('notice').textContent")
        await page.offline(offline=False)
        await page.until("document.getElementById('notice').hidden")

    assert sorted(names) == SERVICES
    assert drawn.count((11, 114, 133)) > 20
    assert "does not answer" in told


async def test_a_breaker_that_is_held_open_is_seen_with_its_reason(stack, admin):
    row = (
        "[...document.querySelectorAll('#rows-services tr')].find((one) => one.textContent.startsWith('notification'))"
    )
    async with a_browser() as browser, browser.page() as page:
        await seen(page, stack, "/status", **PHONE)
        try:
            held = await asyncio.to_thread(admin.put, "/admin/breakers/notification", json={"state": "open"})
            assert held.status_code == 200, held.text
            await page.until(f"{row}.querySelector('.tag.bad')")
            words = await page.run(f"{row}.innerText")
            verdict = await page.run("document.getElementById('verdict').textContent")
        finally:
            await asyncio.to_thread(admin.put, "/admin/breakers/notification", json={"state": "automatic"})
        await page.until(f"{row}.querySelector('.tag.good')")

    assert "open" in words
    assert "operator" in words
    assert "something is wrong" in verdict
