"""TinyConv in PyTorch, written from its description with torch's own layers."""

from torch import nn


def block(inputs, outputs, stride, groups=1, taps=3):
    conv = nn.Conv2d(
        inputs, outputs, taps, stride, taps // 2, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


class TinyConv(nn.Module):
    """Windows are [b, 1, mels, frames], as torch has them."""

    def __init__(
        self,
        classes=2,
        channels=(16, 32, 64, 64),
        strides=(2, 2, 2, 1),
        use_depthwise=False,
    ):
        super().__init__()
        modules = block(1, channels[0], strides[0])
        pairs = zip(channels[:-1], channels[1:], strides[1:], strict=True)
        for inputs, outputs, stride in pairs:
            if use_depthwise:
                modules += block(inputs, inputs, stride, groups=inputs)
                modules += block(inputs, outputs, 1, taps=1)
            else:
                modules += block(inputs, outputs, stride)
        self.features = nn.Sequential(*modules)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes)
        )

    def forward(self, feature_b1ft):
        return self.classifier(self.features(feature_b1ft))


class ResidualTinyConv(TinyConv):
    """Every block that keeps width and size adds its input before the last ReLU."""

    def __init__(self, channels, strides, use_depthwise=False, classes=2):
        super().__init__(classes, channels, strides, use_depthwise)
        self.modules_per_block = 6 if use_depthwise else 3

    def forward(self, feature_b1ft):
        x = self.features[:3](feature_b1ft)
        for start in range(3, len(self.features), self.modules_per_block):
            *body, relu = self.features[start : start + self.modules_per_block]
            y = nn.Sequential(*body)(x)
            x = relu(x + y if x.shape == y.shape else y)
        return self.classifier(x)
