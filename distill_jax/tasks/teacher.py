"""A speech encoder as a job: windows of sound in, which word was said out."""

import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from distill_jax import losses, teachers, weights
from distill_jax.models import hf, hf_fields
from distill_jax.models.transformer import unstack_layers
from distill_jax.task import Task
from distill_jax.tasks import words
from distill_jax.tasks.words import bank, counted, heard, rate_hz, summed, varied

__all__ = ["adopt", "data", "make", "moving", "rate_hz", "rates"]

log = logging.getLogger(__name__)

PREVIEWS = 4
HEAD = "id2label", "num_labels", "classifier_proj_size", "use_weighted_layer_sum"


def data(config):
    """The batches of the job; what it is about is written to the config.

    Args:
      config: as `configs/teacher.py` gives it. It gets `labels`, the encoder and the
        preprocessing of `teacher.folder`, and the `rate_scale` of `layer_decay`.

    Returns:
      `Data`.

    Raises:
      FileNotFoundError, ValueError: see `adopt` and `words.corpus`.
    """
    adopt(config)
    return words.data(config)


def adopt(config):
    """Writes to the config what follows from it and from the encoder's folder.

    Raises:
      FileNotFoundError: the folder has no config.json.
      ValueError: the folder holds another kind of encoder, or the settings do not
        fit together.
    """
    settings = config.teacher
    if settings.folder:
        _adopt_folder(config)
    elif settings.train != "all":
        raise ValueError(
            f"config.teacher.train is {settings.train!r}, but there is no "
            "config.teacher.folder: layers with random weights would stay so; give "
            "the folder of a trained encoder, or train 'all'"
        )
    takes_hz = teachers.form(config).rate_hz
    if takes_hz != rate_hz(config):
        raise ValueError(
            f"the encoder takes {takes_hz} Hz, config.front_end.rate_hz is "
            f"{rate_hz(config)}; set it to {takes_hz}"
        )
    module = teachers.network(config)
    moving(module, settings)
    computed = rates(module, settings)
    own = [rule for rule in map(tuple, config.rate_scale) if rule not in computed]
    config.rate_scale = (*own, *computed)


def _adopt_folder(config):
    settings = config.teacher
    found = weights.read_config(Path(settings.folder))
    hf.checked(found)
    kind = found["model_type"]
    if kind != settings.encoder.model_type:
        raise ValueError(
            f"{settings.folder} holds an encoder of the type {kind!r}, but the config "
            f"is for {settings.encoder.model_type!r}; use the variant "
            f"{kind.replace('-', '_')} of configs/teacher.py"
        )
    read = hf_fields.HANDLED[kind] - set(HEAD) - set(settings.dropouts)
    settings.encoder = {name: found[name] for name in found if name in read}
    settings.form = teachers.preprocessing(settings.folder, found)._asdict()


def moving(module, settings):
    """Patterns of the parameters that are trained.

    Args:
      module: `ClassifierHead`.
      settings: `config.teacher`.

    Raises:
      ValueError: the settings ask for what the encoder does not have.
    """
    encoder, head = module.encoder, ["projector/.*", "classifier/.*"]
    head += ["layer_weights"] * module.weighted
    if settings.freeze_feature_encoder and not hasattr(encoder, "waveform"):
        raise ValueError(
            "config.teacher.freeze_feature_encoder is True, but this encoder has no "
            "convolutions over the waveform; set it to False"
        )
    if settings.train == "head":
        return tuple(head)
    if settings.train == "all":
        frozen = settings.freeze_feature_encoder
        return ("(?!encoder/waveform/).*" if frozen else ".*",)
    if settings.train != "top":
        raise ValueError(
            f"config.teacher.train is {settings.train!r}, expected 'head', 'top' or "
            "'all'"
        )
    if not 1 <= settings.top_layers <= encoder.count:
        raise ValueError(
            f"config.teacher.top_layers is {settings.top_layers}, expected 1 to "
            f"{encoder.count}, the layers of the encoder"
        )
    lowest = encoder.count - settings.top_layers
    return (*head, *_last_norm(encoder), *_layers(range(lowest, encoder.count)))


def rates(module, settings):
    """Rules of `rate_scale` that slow layers down, the more the lower they are.

    The head learns at the full rate, the top layer at `layer_decay` of it, the one
    below at the square of that; what comes before the layers is one step lower still.

    Args:
      module: `ClassifierHead`.
      settings: `config.teacher`.

    Source: Howard & Ruder 2018, "Universal language model fine-tuning for text
      classification", section 3.2; one factor per layer as in Clark et al. 2020,
      "ELECTRA".
    """
    encoder, decay = module.encoder, settings.layer_decay
    if decay == 1.0 or settings.train == "head":
        return ()
    everything = settings.train == "all"
    lowest = 0 if everything else encoder.count - settings.top_layers
    above = range(encoder.count - lowest, 0, -1)
    rules = [
        (pattern, decay**steps)
        for pattern, steps in zip(
            _layers(range(lowest, encoder.count)), above, strict=True
        )
    ]
    rules += [(pattern, decay) for pattern in _last_norm(encoder)]
    below = [("encoder/.*", decay ** (encoder.count + 1))] if everything else []
    return (*rules, *below)


def _layers(numbers):
    return [f"encoder/encoder/layers_{number}/.*" for number in numbers]


def _last_norm(encoder):
    """The norm over all layers, which stable encoders have after the last."""
    return ["encoder/encoder_norm/.*"] * getattr(encoder, "stable", False)


def make(config):
    """Builds the job.

    Args:
      config: as `configs/teacher.py` gives it and `data` leaves it.

    Returns:
      A `Task`. The batches it reads have `audio_bs`, `label_b`, `weight_b`, `seed_b`
      and, while training, `step`.
    """
    module = teachers.network(config, remat=config.teacher.remat)
    form, fields = teachers.form(config), teachers.fields(config)
    classes, smoothing = len(config.labels), config.label_smoothing
    train_mode = config.teacher.train != "head"
    source, settings = config.teacher.folder, varied(config)

    def init(rng):
        # Of stacked layers one is compiled.
        stacked = teachers.network(config, scan=True)
        variables = stacked.init(rng, jnp.zeros(teachers.input_shape(fields)))
        return unstack_layers(variables["params"]), {}

    def load(params):
        if source:
            options = weights.Options(dtype="float32")
            variables, report = teachers.read(source, fields, options)
            log.info("%d tensors of %s", report.tensors, report.path)
            params = {**params, "encoder": variables["params"]}
        return params, bank(config)

    def annotate(bank, batch):
        return {**batch, "audio_bs": heard(batch, bank, settings)}

    def loss_fn(params, state, batch, rng):
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        logits_bc, _ = teachers.outputs(
            module,
            form,
            {"params": params},
            batch["audio_bs"],
            train=train_mode,
            rngs={"dropout": rng},
        )
        found = counted(
            logits_bc, optax.smooth_labels(target_bc, smoothing), batch["label_b"]
        )
        means = {
            name: losses.mean(value_b, batch["weight_b"])
            for name, value_b in found.items()
        }
        return means.pop("loss"), (state, means)

    def eval_fn(params, state, batch):
        del state
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        variables = {"params": params}
        logits_bc, _ = teachers.outputs(module, form, variables, batch["audio_bs"])
        found = counted(logits_bc, target_bc, batch["label_b"])
        return summed(found, batch["weight_b"])

    def preview(params, state, batch):
        del params, state
        return {"heard_bs": batch["audio_bs"][:PREVIEWS]}

    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=load,
        annotate=annotate,
        preview=preview,
        trainable=moving(module, config.teacher),
    )
