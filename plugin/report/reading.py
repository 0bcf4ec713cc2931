"""What an object with bookmarks gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugin.bookmark import Bookmark
    from plugin.report.authors import Author, AuthorKind

#: A person who marks a lesion is certain of it.
MARKED_BY_HAND: Final = 1.0


@dataclass(frozen=True)
class Reading:
    """What an object with bookmarks gave."""

    #: Its lesions with both diameters, in its order.
    bookmarks: tuple[Bookmark, ...]
    #: One sentence for each thing that was drawn or measured and is no bookmark, by its name.
    remarks: tuple[str, ...]
    #: Who made each of the bookmarks, in the same order.
    authors: tuple[Author, ...]

    def by(self, *kinds: AuthorKind) -> tuple[Bookmark, ...]:
        """The bookmarks whose authors are of these kinds."""
        pairs = zip(self.bookmarks, self.authors, strict=True)
        return tuple(bookmark for bookmark, author in pairs if author.kind in kinds)


def reading(found: Iterable[tuple[Bookmark, Author]], remarks: Iterable[str]) -> Reading:
    """A reading of bookmarks that come with their authors."""
    pairs = list(found)
    return Reading(
        bookmarks=tuple(bookmark for bookmark, _ in pairs),
        remarks=tuple(remarks),
        authors=tuple(author for _, author in pairs),
    )
