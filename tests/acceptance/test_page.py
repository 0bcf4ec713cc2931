"""The status page of a running node in a real browser, without and with ten thousand series."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from benchmarks import past
from deploy.processes import LOOPBACK, free_port
from dicom_node import config, database
from tests.browser import open_browser
from tests.fake_plugin import PICTURES, REMARKS
from tests.instances import WrittenSeries, write_series
from tests.node import Node, eventually
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, StorageState

TOKEN = "a token for tests only"
LONG_AGO = past.invent(10_000, time.time() - 7200.0)


class Scene:
    """A node whose page is open in a browser, and the PACS that it reports to."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.browser = browser
        self.pacs = ScriptedPacs()
        #: What the browser complained of, and requests to others.
        self.faults: list[str] = []
        self.web_port = free_port()
        self.address = f"http://{LOOPBACK}:{self.web_port}"
        self.node = self.make_node("fake-1")
        settings = config.load(self.node.config)
        database.prepare(settings)
        past.write(folder / "node" / "state" / "work.sqlite", LONG_AGO)

    def make_node(self, version: str) -> Node:
        return Node(
            self.folder / "node",
            [("pacs", self.pacs.ae_title, self.pacs.port)],
            web={"port": self.web_port, "token": TOKEN},
            delivery={"first_retry_s": 0.2, "longest_retry_s": 0.2, "give_up_after_h": 0.0001},
            plugin={"version": version},
        )

    def send(self, count: int) -> WrittenSeries:
        series = write_series(self.folder / f"ct-{time.monotonic_ns()}", count)
        self.node.send(series.paths)
        return series

    def open(self, path: str, **wishes: object) -> Page:
        """A page in a browser profile of its own that is logged in."""
        context = self.browser.new_context(
            base_url=self.address,
            storage_state=self.login,
            **wishes,  # type: ignore[arg-type]
        )
        page = context.new_page()
        page.on("request", lambda request: self._note(request.url, not self._is_ours(request.url)))
        page.on("console", lambda said: self._note(said.text, said.type == "error"))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.goto(path)
        return page

    def log_in(self) -> None:
        self.login: StorageState | None = None
        page = self.open("/series")
        assert page.url == f"{self.address}/login"
        page.get_by_label("Token").fill("a wrong token for tests")
        page.get_by_role("button", name="Open the page").click()
        assert page.get_by_role("alert").inner_text() == "That is not the token of this node."
        self.faults.clear()  # the browser complains of the 401
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Open the page").click()
        page.wait_for_url(f"{self.address}/")
        self.login = page.context.storage_state()

    def start(self, version: str) -> None:
        """Start the node, or start it anew with another version of its model."""
        self.node.process.kill()
        self.node = self.make_node(version)
        self.node.process.start()
        self.log_in()

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url).netloc == f"{LOOPBACK}:{self.web_port}"

    def _note(self, what: str, is_fault: bool = True) -> None:
        if is_fault:
            self.faults.append(what)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_browser() as browser:
        made = Scene(tmp_path_factory.mktemp("page"), browser)
        made.pacs.start()
        made.start("fake-1")
        yield made
        made.node.process.kill()
        made.pacs.stop()


@pytest.fixture(autouse=True)
def _no_faults(scene: Scene) -> Iterator[None]:
    yield
    for context in scene.browser.contexts:
        context.close()
    assert scene.faults == []


@pytest.fixture(scope="module")
def found(scene: Scene) -> WrittenSeries:
    """A series with two lesions."""
    series = scene.send(11)
    scene.node.wait_for(series, "delivered")
    return series


def test_a_series_shows_its_lesions_as_pictures_and_in_a_table(
    scene: Scene, found: WrittenSeries
) -> None:
    page = scene.open(f"/series/{found.series_uid}")
    shown = page.get_by_role("img")
    assert [one.get_attribute("alt") for one in shown.all()] == [p.text for p in PICTURES]
    for one in shown.all():
        one.scroll_into_view_if_needed()
        one.evaluate("image => image.decode()")
        assert one.evaluate("image => image.naturalWidth") == 16
    rows = page.get_by_role("table", name="Bookmarks").get_by_role("row").all_inner_texts()
    assert re.split(r"\s*\t\s*", rows[1])[:6] == [
        "1",
        "lung",
        "12.3 mm",
        "7.5 mm",
        "0.64 ml",
        "32 HU",
    ]
    assert REMARKS[0] in page.get_by_role("listitem").all_inner_texts()
    walk = page.locator(".walk").inner_text()
    for stage in ("Reception", "11 instances", "Analysis", "2 lesions", "Delivery to pacs"):
        assert stage in walk


def test_the_overview_counts_and_keeps_up_to_date(scene: Scene, found: WrittenSeries) -> None:
    page = scene.open("/")
    page.clock.install()
    page.reload()
    tile = page.get_by_role("link", name=re.compile("refused not for the plugin"))
    before = int(tile.inner_text().split()[0].replace(",", ""))
    assert before == sum(one.state == "refused" for one in LONG_AGO)
    refused = scene.send(2)
    scene.node.wait_for(refused, "refused")
    page.clock.run_for(6000)
    page.wait_for_function(
        "n => document.querySelector('.tile.is-refused strong').textContent === n",
        arg=str(before + 1),
    )
    done = page.get_by_role("table", name="Series that were done last")
    assert found.series_uid in done.inner_text()
    assert refused.series_uid in done.inner_text()


def test_what_failed_is_retried_from_the_page(scene: Scene) -> None:
    scene.pacs.stop()
    try:
        series = scene.send(4)
        scene.node.wait_for(series, "failed")
    finally:
        scene.pacs.start()
    page = scene.open("/", java_script_enabled=False)
    failed = page.get_by_role("table", name="Series that failed")
    failed.get_by_role("link", name=series.series_uid).click()
    page.get_by_role("heading", name="failed").wait_for()
    page.get_by_role("button", name="Retry this series").click()
    scene.node.wait_for(series, "delivered")
    page.reload()
    assert page.get_by_role("button", name="Retry this series").count() == 0
    assert scene.pacs.reports(series.study_uid)


def test_a_report_is_sent_again_under_its_own_uid(scene: Scene, found: WrittenSeries) -> None:
    def uids() -> list[str]:
        return [r.SOPInstanceUID for r in scene.pacs.kept if r.StudyInstanceUID == found.study_uid]

    before = uids()
    page = scene.open(f"/series/{found.series_uid}")
    page.get_by_role("button", name="Send again to pacs").click()
    eventually(lambda: len(uids()) > len(before), "the report again")
    assert set(uids()) == set(before)


def test_a_name_is_shown_only_when_asked_for(scene: Scene, found: WrittenSeries) -> None:
    page = scene.open(f"/series/{found.series_uid}")
    assert "Secret" not in page.content()
    page.get_by_role("button", name="Show whose series this is").click()
    page.get_by_text("Secret Person").wait_for()
    page.get_by_text("TEST-7").wait_for()
    assert "Secret" not in page.url
    page.get_by_role("link", name="Hide it").click()
    page.get_by_role("button", name="Show whose series this is").wait_for()
    assert "Secret" not in page.content()
    trail = scene.folder / "node" / "state" / "audit.log"
    eventually(lambda: "DICOM Instances Accessed" in trail.read_text(), "the audit message")
    assert "Secret" not in (scene.folder / "node" / "node.log").read_text()


def test_ten_thousand_series_are_searched_and_filtered(scene: Scene) -> None:
    page = scene.open("/series")
    wanted = LONG_AGO[4321]
    page.get_by_label("Search").fill(wanted.series_uid)
    page.get_by_role("button", name="Show").click()
    page.get_by_text("1 series").wait_for()
    assert page.get_by_role("link", name=wanted.series_uid).count() == 1
    page.goto("/series?q=0xA700")
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").click()
    failed = [one for one in LONG_AGO if one.state == "failed"]
    page.get_by_text(f"{len(failed)} series").wait_for()
    assert page.get_by_role("row").count() == 51
    page.get_by_role("link", name="Older").first.click()
    page.get_by_text("Page 2 of 3").wait_for()
    page.get_by_role("link", name="Older").first.click()
    page.get_by_text("Page 3 of 3").wait_for()
    assert page.get_by_role("row").last.get_by_role("link").inner_text() == failed[0].series_uid


@pytest.mark.parametrize("path", ["/", "/series", "/series/{uid}"])
def test_every_page_fits_a_phone(scene: Scene, found: WrittenSeries, path: str) -> None:
    page = scene.open("/", viewport={"width": 360, "height": 740})
    page.goto(path.format(uid=found.series_uid))
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_every_link_and_button_is_reached_by_the_keyboard(
    scene: Scene, found: WrittenSeries
) -> None:
    page = scene.open(f"/series/{found.series_uid}")
    wanted = page.evaluate(
        "document.querySelectorAll('a, button, input:not([type=hidden]), summary').length"
    )
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    reached = 1
    for _ in range(wanted - 1):
        page.keyboard.press("Tab")
        reached += page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle === 'solid'"
        )
    assert reached == wanted
    page.get_by_role("link", name="Skip to content").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_another_model_analyses_anew_in_a_revision_of_its_own(
    scene: Scene, found: WrittenSeries
) -> None:
    page = scene.open(f"/series/{found.series_uid}")
    assert page.get_by_role("button", name="Analyse again").count() == 0
    scene.start("fake-2")
    page = scene.open(f"/series/{found.series_uid}")
    page.get_by_role("button", name="Analyse again").click()
    scene.node.wait_for(found, "delivered", "delivered")
    page.reload()
    page.get_by_role("heading", name="Revision 2 (newest)").wait_for()
    first, *_, last = [r for r in scene.pacs.kept if r.StudyInstanceUID == found.study_uid]
    assert last.SOPInstanceUID != first.SOPInstanceUID
    [before] = last.PredecessorDocumentsSequence
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert page.get_by_role("button", name="Analyse again").count() == 0
