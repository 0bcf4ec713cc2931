"""The pages: overview, list, one series, login."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse
from starlette.routing import Route

from dicom_node import history
from dicom_node.errors import InvalidUID
from dicom_node.release import release
from dicom_node.spool import Shelf, check_uid
from dicom_node.states import SeriesState
from dicom_node.web import chart, figures, listing, patient, walk
from dicom_node.web.access import LOGIN_S, address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dicom_node.revisions import About, Revision
    from dicom_node.standing import SeriesStatus, Work
    from dicom_node.web import Sources
    from dicom_node.web.access import Access
    from dicom_node.web.patient import Patient
    from dicom_node.web.render import Pages
    from dicom_node.web.walk import Stage
    from plugin import Bookmark

_STATIC: Final = Path(__file__).parent / "static"
#: So many series are shown on the overview of those that fail and of those at work.
_FEW: Final = 6


@dataclass(frozen=True)
class Shown:
    """One revision of a series as its page shows it."""

    #: Which instances; None while they arrive.
    revision: Revision | None
    #: Where it stands; None when the queue has forgotten it, after retention.
    status: SeriesStatus | None
    #: Model and remarks.
    about: About | None
    #: What was found.
    bookmarks: tuple[Bookmark, ...]
    #: Numbers, from 0, of the pictures that are still kept, with what is to be seen on them.
    pictures: tuple[tuple[int, str], ...]
    #: Step by step.
    stages: tuple[Stage, ...]
    #: Whether another model runs now, and the instances are still there.
    may_analyse_anew: bool


class Views:
    """Answers to requests."""

    def __init__(self, sources: Sources, access: Access, pages: Pages) -> None:
        self._sources = sources
        self._access = access
        self._pages = pages

    def overview(self, request: Request) -> Response:
        """Everything at a glance."""
        sources, now = self._sources, self._sources.clock()
        statuses = sources.history.statuses()
        open_ = [status for status in statuses if not status.is_settled]
        day = figures.day(statuses, now)
        return self._pages.render(
            request,
            "overview.html",
            counts=history.count(statuses),
            failed=[s for s in open_ if s.state is SeriesState.FAILED][:_FEW],
            busy=[s for s in open_ if s.state is not SeriesState.FAILED][:_FEW],
            newest=[s for s in statuses if s.is_settled][:_FEW],
            outlets=figures.outlets(statuses, sources.settings.destination, now.timestamp()),
            day=day,
            throughput=chart.throughput(day),
            turnaround=chart.turnaround(day),
            columns=chart.columns(day),
            chart=chart,
            machine=_machine(sources),
        )

    def series_list(self, request: Request) -> Response:
        """All series, newest first, with search and filter."""
        found = listing.choose(
            self._sources.history.statuses(), listing.Query.parse(request.query_params)
        )
        return self._pages.render(request, "list.html", found=found, filters=listing.FILTERS)

    def series(self, request: Request) -> Response:
        """One series."""
        return self.show_series(request, None)

    def show_series(self, request: Request, whose: Patient | None) -> Response:
        """One series, with the patient's name if it was asked for."""
        series_uid = uid_of(request)
        works = self._sources.history.works(series_uid)
        statuses = [s for s in self._sources.history.statuses() if s.series_uid == series_uid]
        shown = self._shown(series_uid, statuses, works)
        if not shown:
            raise HTTPException(404, "No series with this UID is known here.")
        return self._pages.render(
            request,
            "series.html",
            series_uid=series_uid,
            shown=shown,
            held=len(self._sources.spool.held(series_uid)),
            patient=whose,
            may_ask=self._sources.settings.web.patient_names == "on-request",
        )

    async def reveal(self, request: Request) -> Response:
        """The same page with the patient's name, once."""
        await self._access.form(request)
        if self._sources.settings.web.patient_names != "on-request":
            raise HTTPException(403, "The configuration (web.patient_names) hides all names.")
        whose = await run_in_threadpool(
            patient.reveal, self._sources, uid_of(request), address(request)
        )
        if whose is None:
            raise HTTPException(404, "No instance of this series is kept any more.")
        return await run_in_threadpool(self.show_series, request, whose)

    def login(self, request: Request) -> Response:
        """The form that asks for the token."""
        return self._pages.render(request, "login.html", wrong=False)

    async def enter(self, request: Request) -> Response:
        """Give out the cookie that stands for the token."""
        fields = await self._access.form(request)
        if not self._access.is_token(fields.get("token", "")):
            self._access.turn_away(request, "a wrong token")
            return self._pages.render(request, "login.html", 401, wrong=True)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._access.cookie,
            self._access.new_login(),
            max_age=LOGIN_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """Forget the cookie."""
        await self._access.form(request)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._access.cookie)
        return answer

    def _shown(
        self, series_uid: str, statuses: Sequence[SeriesStatus], works: Sequence[Work]
    ) -> list[Shown]:
        """Newest first; what arrives comes before all revisions."""
        by_digest = {s.analysis.digest: s for s in statuses if s.analysis}
        arriving = [_arriving(status) for status in statuses if status.analysis is None]
        revisions = reversed(self._sources.revisions.of(series_uid))
        shown = [self._revision(r, by_digest.pop(r.digest, None), works) for r in revisions]
        return arriving + shown + [self._lost(status, works) for status in by_digest.values()]

    def _lost(self, status: SeriesStatus, works: Sequence[Work]) -> Shown:
        """The queue knows it, but its folder is gone."""
        assert status.analysis is not None  # what arrives has none
        stages = walk.stages(works, status.analysis.digest, self._sources.client)
        return Shown(None, status, None, (), (), tuple(stages), may_analyse_anew=False)

    def _revision(
        self, revision: Revision, status: SeriesStatus | None, works: Sequence[Work]
    ) -> Shown:
        sources = self._sources
        held = sources.spool.held(revision.series_uid)
        about = sources.revisions.about(revision)
        is_done = sources.revisions.is_done(revision)
        whole_at = status.whole_at if status else 0.0
        stages = walk.stages(works, revision.digest, sources.client) if status else []
        return Shown(
            revision,
            status,
            about,
            sources.revisions.bookmarks(revision) if is_done else (),
            tuple(
                (number, text)
                for number, text in enumerate(about.pictures)
                if sources.revisions.picture(revision.series_uid, revision.digest, number)
            ),
            (walk.reception(held, revision.instances, whole_at), *stages) if status else (),
            may_analyse_anew=is_done
            and sources.analyser is not None
            and not sources.revisions.has_seen(sources.analyser.version, revision)
            and {one.sop_instance_uid for one in held} >= set(revision.instances),
        )


def routes(views: Views) -> list[BaseRoute]:
    """Where the pages are."""
    return [
        Route("/", views.overview),
        Route("/series", views.series_list),
        Route("/series/{uid}", views.series),
        Route("/series/{uid}/patient", views.reveal, methods=["POST"]),
        Route("/login", views.login),
        Route("/login", views.enter, methods=["POST"]),
        Route("/logout", views.leave, methods=["POST"]),
        *(Route(f"/static/{name}", _static(name)) for name in ("page.css", "page.js", "icon.svg")),
    ]


def uid_of(request: Request) -> str:
    """The Series Instance UID in the address, which cannot leave its folder."""
    try:
        return check_uid(request.path_params["uid"])
    except InvalidUID as error:
        raise HTTPException(404, "This is no Series Instance UID.") from error


def _static(name: str) -> Any:
    def answer(_: Request) -> Response:
        return FileResponse(_STATIC / name)

    return answer


def _arriving(status: SeriesStatus) -> Shown:
    return Shown(None, status, None, (), (), (), may_analyse_anew=False)


def _machine(sources: Sources) -> dict[str, Any]:
    """Disk, device, model, shelves."""
    disk = shutil.disk_usage(sources.spool.root)
    return {
        "disk": disk,
        "reserve": sources.settings.listener.disk_reserve_mb << 20,
        "facts": sources.analyser.facts() if sources.analyser else None,
        "listener": sources.settings.listener if sources.receives else None,
        "held": sources.spool.count(Shelf.SERIES),
        "aside": sources.spool.count(Shelf.ASIDE),
        "quarantine": sources.spool.count(Shelf.QUARANTINE),
        "keep_h": sources.settings.retention.keep_h,
        "version": release(),
    }
