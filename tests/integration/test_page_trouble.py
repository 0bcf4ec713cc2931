"""The page, the metrics and the health checks when the database is in trouble."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING

from dicom_node.history import History
from tests.integration.test_page_access import served

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dicom_node.standing import SeriesStatus

#: Requests that the server answers at the same time (anyio's limit of threads).
THREADS = 40


def test_a_page_says_that_the_database_is_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, "") as site:
        (tmp_path / "work.sqlite").write_bytes(b"no database any more" * 1000)
        for path in ("/", "/series", "/series/1.2.3", "/metrics"):
            caplog.clear()
            status, headers, text = site.ask(path)
            assert status == 503
            assert "node.database: " in text
            assert headers["Cache-Control"] == "no-store"
            assert [record.exc_info for record in caplog.records if "LM814" in record.message] == [
                None
            ]
            assert "Traceback" not in caplog.text
            assert "SELECT" not in caplog.text
        assert site.ask("/health/ready")[0] == 503


def test_the_node_is_alive_while_pages_wait_for_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = Barrier(THREADS + 1), Event()

    def wait(_: History) -> list[SeriesStatus]:
        asked.wait(30)
        answers.wait(30)
        return []

    monkeypatch.setattr(History, "statuses", wait)
    with served(tmp_path, "") as site, ThreadPoolExecutor(THREADS) as pool:
        pages = [pool.submit(site.ask, "/series") for _ in range(THREADS)]
        asked.wait(30)
        assert site.ask("/health/live")[0] == 200
        answers.set()
        assert {page.result()[0] for page in pages} == {200}
