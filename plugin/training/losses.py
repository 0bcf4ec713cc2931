"""Losses; each is silent where the data say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from plugin.training.targets import SILENT

if TYPE_CHECKING:
    from plugin.detector.network import Maps
    from plugin.training.targets import Targets

#: Lesions a block that the centre loss is divided by at least.
_LEAST_LESIONS = 2.0
#: How much more a voxel near the edge of a lesion counts in a close-up, and how many voxels in
#: plane the squares are wide that see an edge.
_AT_EDGE, _EDGE_VOXELS = 3.0, 5
#: Voxels that the Dice coefficient of a close-up is softened by.
_SOFT = 20.0


class Losses(NamedTuple):
    """The parts of the loss, each a scalar."""

    #: Focal loss of the centres, per lesion.
    centre: Tensor
    #: Smooth L1 of offset, log sizes and direction, per voxel that counts.
    regression: Tensor
    #: Cross entropy plus Dice loss of the mask.
    mask: Tensor
    #: Cross entropy of the lesion type, per voxel that has one; 0 where the network tells none.
    lesion_type: Tensor

    def total(self) -> Tensor:
        """What is minimised."""
        return self.centre + self.regression + self.mask + self.lesion_type


def losses(maps: Maps, targets: Targets) -> Losses:
    """Losses of a batch."""
    regression = torch.cat((maps.offset, maps.log_size, maps.direction), dim=1).float()
    return Losses(
        focal(maps.centre.float(), targets.centre, targets.valid),
        smooth_l1(regression, targets.regression, targets.weight),
        mask_loss(maps.mask.float(), targets.mask, targets.mask_weight),
        type_loss(maps.types, targets.lesion_type),
    )


def focal(logit: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Focal loss for a map that is 1 at centres and falls off around them (Law and Deng 2018).

    Voxels count with (1 - target)^4 as background. The sum is divided by the number of lesions,
    or twice that of blocks where it is more: a batch with hardly a lesion must not outweigh
    the others.
    """
    log_yes, log_no = functional.logsigmoid(logit), functional.logsigmoid(-logit)
    yes = log_yes.exp()
    centre = (target == 1.0).float() * valid
    positive = centre * (1 - yes) ** 2 * log_yes
    negative = (valid - centre) * (1 - target) ** 4 * yes**2 * log_no
    lesions = centre.sum().clamp(min=_LEAST_LESIONS * len(logit))
    return -(positive + negative).sum() / lesions


def smooth_l1(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted smooth L1 distance (turning at 0.2), summed over channels [b, c, z, y, x].

    It is the mean over the voxels in which any channel counts.
    """
    distance = functional.smooth_l1_loss(value, target, reduction="none", beta=0.2) * weight
    return distance.sum() / weight.amax(dim=1).sum().clamp(min=1.0)


def type_loss(logits: Tensor | None, target: Tensor) -> Tensor:
    """Mean cross entropy of the types [b, types, z, y, x] where the target is not SILENT."""
    kinds = target[:, 0].long()
    said = (kinds != SILENT).sum()
    if logits is None:
        return target.new_zeros(())
    entropy = functional.cross_entropy(logits.float(), kinds, ignore_index=SILENT, reduction="sum")
    return entropy / said.clamp(min=1)


def mask_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross entropy plus one minus the weighted Dice coefficient."""
    entropy = functional.binary_cross_entropy_with_logits(logit, target, weight, reduction="sum")
    inside = torch.sigmoid(logit) * weight
    overlap = 2 * (inside * target).sum() + 1.0
    dice = overlap / (inside.sum() + (target * weight).sum() + 1.0)
    return entropy / weight.sum().clamp(min=1.0) + 1.0 - dice


def closeup_losses(logit: Tensor, target: Tensor, weight: Tensor) -> Losses:
    """The loss of close-ups; there is nothing else to learn than their masks."""
    nothing = target.new_zeros(3)
    mask = closeup_loss(logit.float(), target, weight)
    return Losses(nothing[0], nothing[1], mask, nothing[2])


def closeup_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """As `mask_loss`, but each close-up counts alike, and its edges more [b, z, y, x].

    `target` goes from 0 to 1 across the edge.
    """
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    counted = weight * (1.0 + _AT_EDGE * edges(target))
    inside = torch.sigmoid(logit) * weight
    overlap = 2 * _sum(inside * target) + _SOFT
    dice = overlap / (_sum(inside) + _sum(target * weight) + _SOFT)
    return (_sum(entropy * counted) / _sum(counted).clamp(min=1.0) + 1.0 - dice).mean()


def edges(mask: Tensor) -> Tensor:
    """1 within a few voxels in plane of the edge of a mask [b, z, y, x], 0 elsewhere."""
    inside = (mask > 0.5).float()
    return _highest(inside) + _highest(-inside)


def _highest(values: Tensor) -> Tensor:
    return functional.max_pool2d(values, _EDGE_VOXELS, stride=1, padding=_EDGE_VOXELS // 2)


def _sum(values: Tensor) -> Tensor:
    """Over a close-up [b, z, y, x] -> [b]."""
    return values.sum((1, 2, 3))
