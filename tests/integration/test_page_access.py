"""Who is let in to the page, over real sockets; what a browser does is in the acceptance tests."""

from __future__ import annotations

import http.client
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from deploy.processes import LOOPBACK, free_port, wait_until
from dicom_node import audit, config, database
from dicom_node.errors import NodeError
from dicom_node.live import fixed
from dicom_node.revisions import Revisions
from dicom_node.service import open_spool
from dicom_node.spool import Shelf, Spool
from dicom_node.totals import Totals
from dicom_node.vitals import Vitals
from dicom_node.web.server import open_server
from tests.fake_plugin import FakePlugin
from tests.instances import write_series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "correct horse battery"
SERIES = "1.2.3.4"


@dataclass(frozen=True)
class Site:
    """A page that is served, and the folder of its node."""

    folder: Path
    port: int

    def ask(
        self, path: str, method: str = "GET", body: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Status, headers and text of an answer; header names are given with underscores."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, urlencode(body or {}) if body is not None else None, named)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def post(self, path: str, body: dict[str, str], **headers: str) -> tuple[int, str]:
        """Status and text of the answer to a form that one of our pages sends."""
        own = {"Origin": f"http://{LOOPBACK}:{self.port}"} | headers
        status, _, text = self.ask(path, "POST", body, **own)
        return status, text

    def form_token(self, path: str, **headers: str) -> str:
        [token, *_] = re.findall(r'name="form_token" value="(\w+)"', self.ask(path, **headers)[2])
        return token


@contextmanager
def served(folder: Path, table: str, port: int = 0) -> Iterator[Site]:
    port = port or free_port()
    settings = config.parse(
        f'[node]\nstate_dir = "{folder}"\n[[listener.sender]]\nae_title = "S"\n'
        '[[destination]]\nname = "pacs"\nhost = "localhost"\nport = 104\nae_title = "P"\n'
        f"[web]\nport = {port}\n{table}"
    )
    database.prepare(settings)
    trail = audit.open_trail(settings, lambda: datetime.now(UTC))
    server = open_server(
        fixed(settings),
        receives=True,
        vitals=Vitals(),
        totals=Totals(),
        analyser=FakePlugin(folder / "gate"),
        spool=open_spool(settings),
        trail=trail,
        clock=lambda: datetime.now(UTC).astimezone(),
    )
    server.start()
    yield Site(folder, port)
    server.stop(5)
    trail.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page without a token, on the loopback; one series has come."""
    folder = tmp_path_factory.mktemp("open")
    with served(folder, 'names = ["node.example.org"]\n') as made:
        _put(made)
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page with a token that hides all names; one series has come."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(f"{TOKEN}\n")
    table = f'token = "file:{folder}/token"\npatient_names = "never"\n'
    with served(folder, table) as made:
        _put(made)
        yield made


def _put(site: Site) -> None:
    """One instance and its revision."""
    written = write_series(site.folder / "ct", 1)
    Spool(site.folder / "spool").add(Shelf.SERIES, SERIES, "1.2.5", written.paths[0].read_bytes())
    Revisions(site.folder / "reports").freeze(SERIES, ["1.2.5"])


def cookie(site: Site) -> str:
    form = {"form_token": site.form_token("/login"), "token": TOKEN}
    own = f"http://{LOOPBACK}:{site.port}"
    status, headers, _ = site.ask("/login", "POST", form, Origin=own)
    assert status == 303
    given = headers["Set-Cookie"]
    assert "httponly" in given.lower()
    assert "samesite=strict" in given.lower()
    return given.split(";")[0]


@pytest.mark.parametrize("path", ["/", "/series", f"/series/{SERIES}", "/metrics", "/nowhere"])
def test_without_the_token_nothing_is_shown(guarded: Site, path: str) -> None:
    status, headers, text = guarded.ask(path)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert SERIES not in text
    assert guarded.ask(path, Accept="text/html")[0] == 303


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        ("Bearer \xff", 401),
        (f"Basic {TOKEN}", 401),
    ],
)
def test_the_token_opens_everything_and_nothing_else_does(
    guarded: Site, authorization: str, status: int
) -> None:
    for path in ("/", "/series", f"/series/{SERIES}", "/metrics"):
        assert guarded.ask(path, Authorization=authorization)[0] == status


def test_who_is_turned_away_is_written_down(guarded: Site) -> None:
    assert guarded.ask("/", Authorization="Bearer wrong wrong wrong")[0] == 401
    assert (
        guarded.post("/login", {"form_token": guarded.form_token("/login"), "token": "no"})[0]
        == 401
    )
    trail = guarded.folder / "audit.log"
    wait_until(lambda: trail.exists() and "Security Alert" in trail.read_text(), "it", limit_s=30)
    assert "wrong wrong" not in trail.read_text()


def test_a_login_is_good_for_its_own_cookie_only(guarded: Site) -> None:
    good = cookie(guarded)
    assert guarded.ask("/", Cookie=good)[0] == 200
    name, value = good.split("=", 1)
    expires, signature = value.split(".")
    for forged in (f"{int(expires) + 9}.{signature}", "", "x.y", f"{expires}.", "\xe9.\xe9"):
        assert guarded.ask("/", Cookie=f"{name}={forged}")[0] == 401


def test_logging_out_takes_the_cookie_back(guarded: Site) -> None:
    good = cookie(guarded)
    form = {"form_token": guarded.form_token("/", Cookie=good)}
    own = f"http://{LOOPBACK}:{guarded.port}"
    status, headers, _ = guarded.ask("/logout", "POST", form, Origin=own, Cookie=good)
    assert status == 303
    assert "Max-Age=0" in headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("127.0.0.1:8104", 200),
        ("[::1]:8104", 200),
        ("[::1]", 200),
        ("node.example.org", 200),
        ("evil.example.org", 421),
        ("127.0.0.1.evil.example.org", 421),
        ("", 421),
    ],
)
def test_a_name_that_is_not_ours_is_refused(site: Site, host: str, status: int) -> None:
    """A site of somebody else whose name leads here is not same-origin with us."""
    assert site.ask("/", Host=host)[0] == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example.org"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_forms_of_other_sites_do_nothing(site: Site, headers: dict[str, str]) -> None:
    form = {"form_token": site.form_token(f"/series/{SERIES}")}
    status, _, text = site.ask(f"/series/{SERIES}/patient", "POST", form, **headers)
    assert status == 403
    assert "Secret" not in text


@pytest.mark.parametrize("form", [{}, {"form_token": ""}, {"form_token": "0" * 64}])
@pytest.mark.parametrize("path", [f"/series/{SERIES}/patient", "/retry", "/logout"])
def test_a_form_needs_the_token_of_our_page(site: Site, path: str, form: dict[str, str]) -> None:
    status, text = site.post(path, form)
    assert status == 403
    assert "out of date" in text


def test_a_name_is_shown_to_whoever_asks_by_our_form(site: Site) -> None:
    path = f"/series/{SERIES}"
    assert "Secret" not in site.ask(path)[2]
    status, text = site.post(f"{path}/patient", {"form_token": site.form_token(path)})
    assert status == 200
    assert "Secret Person" in text
    assert site.ask(f"{path}/patient")[0] == 405


def test_a_node_that_hides_all_names_shows_none(guarded: Site) -> None:
    good = cookie(guarded)
    path = f"/series/{SERIES}"
    text = guarded.ask(path, Cookie=good)[2]
    assert "Show whose series" not in text
    form = {"form_token": guarded.form_token(path, Cookie=good)}
    status, text = guarded.post(f"{path}/patient", form, Cookie=good)
    assert status == 403
    assert "Secret" not in text


def test_a_form_that_is_too_large_or_none_is_refused(site: Site) -> None:
    assert site.post("/retry", {"form_token": "x" * 70_000})[0] == 413
    assert site.ask("/retry", "POST", {"a": "b"}, Sec_Fetch_Site="same-origin")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/series/..%2f..%2fetc",
        "/series/1.2.3.4.5.6",
        "/series/1.2.x",
        f"/series/{SERIES}/0123456789abcdef/0.png",
        f"/series/{SERIES}/..%2f..%2f..%2f0000/0.png",
        "/static/../pages.py",
        "/static/none.css",
    ],
)
def test_what_is_not_there_is_not_found(site: Site, path: str) -> None:
    assert site.ask(path)[0] == 404


def test_every_answer_keeps_the_browser_strict(site: Site) -> None:
    for path in ("/", "/series", "/static/page.css", "/nowhere", "/health/live"):
        headers = site.ask(path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "server" not in headers


def test_health_needs_no_token_and_any_name(guarded: Site) -> None:
    assert guarded.ask("/health/live", Host="10.1.2.3:8104")[0] == 200


def test_a_port_that_is_taken_is_named(site: Site, tmp_path: Path) -> None:
    with (
        pytest.raises(NodeError, match=rf"web\.port: 127\.0\.0\.1:{site.port}"),
        served(tmp_path, "", port=site.port),
    ):
        pass
