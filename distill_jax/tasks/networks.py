"""The student of a run: its features and its layers, from the settings."""

from distill_jax.audio import front_end
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.tasks.words import window_samples


def front(config):
    """The settings of the features, `front_end.FrontEnd`, checked."""
    settings = front_end.FrontEnd(**config.front_end)
    front_end.check(settings)
    return settings


def model(config):
    """The module, sized for one window and for `config.labels`."""
    settings = front(config)
    return TinyConv(
        classes=len(config.labels),
        channels=tuple(config.model.channels),
        strides=tuple(config.model.strides),
        use_depthwise=config.model.use_depthwise,
        residual=config.model.residual,
        size=(front_end.frames(window_samples(config), settings), settings.mels),
    )


def steps(module):
    """Time steps after the last layer of a module."""
    count = module.size[0]
    for stride in module.strides:
        count = -(-count // stride)
    return count
