"""What can be learned: to find lesions, and to outline those that were found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from plugin.detector.closeup import CloseUpNetwork, pictures
from plugin.detector.network import Network, normalise
from plugin.training.blocks import Blocks, Mix
from plugin.training.closeups import CloseUps
from plugin.training.losses import Losses, closeup_losses, losses
from plugin.training.mining import difficulty
from plugin.training.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor
    from torch.utils.data import IterableDataset

    from plugin.detector.network import Pyramid
    from plugin.training.blocks import Pool
    from plugin.training.closeups import Subject
    from plugin.training.config import Config
    from plugin.training.peers import Peers
    from plugin.training.state import State

    Context = AbstractContextManager[object]


class Task(Protocol):
    """What the loop asks of something that can be learned."""

    @property
    def lesions(self) -> int:
        """How many there are to learn from."""

    def network(self) -> Pyramid:
        """A network before training."""

    def batches(self, state: State, rank: int) -> IterableDataset[tuple[Tensor, ...]]:
        """An endless stream of batches, seeded by the step it starts at and the peer."""

    def losses(self, network: Pyramid, batch: list[Tensor], mixed: Context) -> Losses:
        """How wrong a network, computed in a context, is about a batch."""

    def search(self, state: State, peers: Peers) -> None:
        """Look for what is hard, and remember it in the state."""


@dataclass(frozen=True)
class Finding:
    """Lesions in blocks of CT."""

    config: Config
    #: At full and at half size.
    pools: tuple[Pool, Pool]

    @property
    def lesions(self) -> int:
        """Those at full size."""
        return len(self.pools[0].tiles)

    def network(self) -> Network:
        """Of the configuration's shape."""
        return Network(self.config.architecture)

    def batches(self, state: State, rank: int) -> Blocks:
        """Blocks, with what is hard shown more often."""
        full, half = (
            replace(pool, difficulty=each)
            for pool, each in zip(self.pools, state.difficulties, strict=True)
        )
        return Blocks(full, half, self._mix(), (self.config.seed, state.step, rank))

    def losses(self, network: Pyramid, batch: list[Tensor], mixed: Context) -> Losses:
        """Of every head."""
        hu, *maps = batch
        with mixed:
            predicted = network(normalise(hu))
        return losses(predicted, Targets(*maps))

    def search(self, state: State, peers: Peers) -> None:
        """False peaks, and lesions that are missed."""
        network, seed = cast("Network", state.average.network), self.config.seed + state.step
        state.difficulties = [difficulty(network, pool, seed, peers) for pool in self.pools]

    def _mix(self) -> Mix:
        made = self.config.composition
        return Mix(
            batch=made.batch,
            shape=made.shape,
            negative=made.negative,
            half=made.half,
            mosaic=made.mosaic,
            faded=made.faded,
            scene=made.scene,
            drawn=made.drawn,
        )


@dataclass(frozen=True)
class Outlining:
    """The voxels of one lesion in a close-up."""

    config: Config
    #: Lesions of which an outline is known.
    subjects: Sequence[Subject]

    @property
    def lesions(self) -> int:
        """All of them."""
        return len(self.subjects)

    def network(self) -> CloseUpNetwork:
        """Of the configuration's shape."""
        architecture = self.config.architecture
        return CloseUpNetwork(architecture) if architecture else CloseUpNetwork()

    def batches(self, state: State, rank: int) -> CloseUps:
        """Random close-ups."""
        made, seed = self.config.composition, (self.config.seed, state.step, rank)
        return CloseUps(self.subjects, made.batch, made.faded, seed)

    def losses(self, network: Pyramid, batch: list[Tensor], mixed: Context) -> Losses:
        """Of the mask."""
        hu, spots, mask, weight = batch
        with mixed:
            predicted = network(pictures(hu, spots))
        return closeup_losses(predicted, mask, weight)

    def search(self, state: State, peers: Peers) -> None:
        """All lesions are shown as often as their size says."""
