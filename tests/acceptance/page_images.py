"""python -m tests.acceptance.page_images: the pictures of the status page for docs/page.md.

A node with the real plugin analyses a drawn chest with five lesions; a past of 2,000 series is
invented, one destination is down.
"""

from __future__ import annotations

import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from pydicom import dcmread

from benchmarks import past
from deploy.processes import LOOPBACK, free_port
from plugin.datasets.phantom import Spec, make
from tests.browser import open_browser
from tests.instances import WrittenSeries, write_series
from tests.node import Node
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DESK, PHONE = (1280, 900), (390, 844)


def main() -> None:
    pacs, archive = ScriptedPacs(), free_port()
    pacs.start()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        port = free_port()
        node = Node(
            folder / "node",
            [("pacs", "SCRIPTED", pacs.port), ("archive", "ARCHIVE", archive)],
            web={"port": port},
            node={"name": "radiology-1"},
            delivery={"longest_retry_s": 900.0, "first_retry_s": 300.0},
            listener={"disk_reserve_mb": 2048},
            module="plugin.analysis",
        )
        with node:
            pass
        past.write(folder / "node/state/work.sqlite", past.invent(2000, time.time() - 900, 117.0))
        with node, open_browser() as browser:
            shown = _fill(node, folder)
            address = f"http://{LOOPBACK}:{port}"
            _take(browser, f"{address}/", "page-overview.png", "light")
            _take(browser, f"{address}/", "page-overview-dark.png", "dark")
            _take(browser, f"{address}/series/{shown.series_uid}", "page-series-dark.png", "dark")
            _take(
                browser,
                f"{address}/series/{shown.series_uid}",
                "page-phone.png",
                "light",
                PHONE,
                1300,
            )
            _take(browser, f"{address}/series?state=failed", "page-list.png", "light", height=900)
    pacs.stop()


def _fill(node: Node, folder: Path) -> WrittenSeries:
    """A series with lesions, one that is refused, one that is arriving."""
    found = _chest(folder / "chest")
    for series in (write_series(folder / "scout", 2), found):
        node.send(series.paths)
    node.wait_for(found, "delivering", limit_s=300)
    late = write_series(folder / "late", 9)
    node.send(late.paths[:4])
    return found


def _chest(folder: Path) -> WrittenSeries:
    """A series of a drawn chest with five lesions."""
    make(folder, Spec())
    paths = tuple(sorted(folder.iterdir()))
    header = dcmread(paths[0], stop_before_pixels=True)
    return WrittenSeries(header.StudyInstanceUID, header.SeriesInstanceUID, paths)


def _take(
    browser: Browser,
    url: str,
    name: str,
    scheme: str,
    size: tuple[int, int] = DESK,
    height: int = 2100,
) -> None:
    """Both numbers of `size` are CSS pixels, and so is `height`, at which the picture is cut."""
    width, fold = size
    page = browser.new_page(
        viewport={"width": width, "height": fold}, color_scheme=scheme, device_scale_factor=1
    )
    page.goto(url)
    page.wait_for_load_state("networkidle")
    whole = page.evaluate("document.documentElement.scrollHeight")
    cut = {"x": 0, "y": 0, "width": width, "height": min(height, whole)}
    shot = page.screenshot(full_page=True, clip=cut)
    page.close()
    with Image.open(BytesIO(shot)) as picture:
        picture.convert("RGB").save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
