"""MONAI's RetinaNet detector as its LUNA16 bundle runs it, with random weights, for timing.

Network, anchors, voxels, patch, overlap and selection of boxes are those of
Project-MONAI/model-zoo, models/lung_nodule_ct_detection/configs/inference.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool
from monai.networks.nets.resnet import resnet50
from torch import Tensor, nn

from plugin.detector.device import precision
from plugin.detector.lattice import lattice, sample, source

if TYPE_CHECKING:
    from plugin.volume import Volume

#: Voxels, mm (z, y, x).
SPACING = (1.25, 0.703125, 0.703125)
#: Attenuation that becomes 0 and 1, HU.
WINDOW = (-1024.0, 300.0)
#: Voxels (x, y) that the network sees at a time, and the share of them that is seen again.
PATCH, OVERLAP = (512, 512), 0.25
#: Anchors (x, y, z) in voxels of the finest map, and how much coarser the maps are.
ANCHORS, SCALES = [[6, 8, 4], [8, 6, 5], [10, 10, 6]], [1, 2, 4]


class Pyramid(nn.Module):
    """The feature extractor of the bundle: a feature pyramid on two stages of a ResNet-50.

    MONAI's own function for it wants torchvision, of which there is no build for processors.
    """

    out_channels = 256

    def __init__(self) -> None:
        super().__init__()
        self.body: Any = resnet50(
            spatial_dims=3, n_input_channels=1, conv1_t_stride=[2, 2, 1], conv1_t_size=[7, 7, 7]
        )
        del self.body.layer3, self.body.layer4, self.body.fc
        self.pyramid = FeaturePyramidNetwork(3, [256, 512], self.out_channels, LastLevelMaxPool(3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """[1, 1, x, y, z] -> maps of 256 channels at strides of 4, 8 and 16 voxels in plane."""
        x = self.body.maxpool(self.body.act(self.body.bn1(self.body.conv1(x))))
        fine = self.body.layer1(x)
        maps: dict[str, Tensor] = self.pyramid({"0": fine, "1": self.body.layer2(fine)})
        return maps


def build(device: torch.device, patch_slices: int) -> RetinaNetDetector:
    """The detector on a device, that sees `patch_slices` voxels along z at a time."""
    network = RetinaNet(
        spatial_dims=3,
        num_classes=1,
        num_anchors=len(ANCHORS),
        feature_extractor=Pyramid(),
        size_divisible=[16, 16, 8],
    )
    anchors = AnchorGeneratorWithAnchorShape(feature_map_scales=SCALES, base_anchor_shapes=ANCHORS)
    detector = RetinaNetDetector(network=network, anchor_generator=anchors).to(device).eval()
    detector.set_box_selector_parameters(
        score_thresh=0.02, topk_candidates_per_level=1000, nms_thresh=0.22, detections_per_img=300
    )
    detector.set_sliding_window_inferer(
        roi_size=(*PATCH, patch_slices),
        overlap=OVERLAP,
        sw_batch_size=1,
        mode="constant",
        device="cpu",
    )
    return detector


@torch.inference_mode()
def detect(detector: RetinaNetDetector, volume: Volume, device: torch.device) -> int:
    """From a volume to boxes; how many. Resampled as ours is, on the device."""
    hu = sample(source(volume, device), lattice(volume, SPACING))
    low, high = WINDOW
    image = ((hu - low) / (high - low)).clamp(0.0, 1.0).permute(0, 3, 2, 1)  # [1, x, y, z]
    with precision(device):
        (found,) = detector([image], use_inferer=True)
    return len(found[detector.pred_score_key])
