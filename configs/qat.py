"""A trained keyword network, trained on as the 8-bit integers that it will be.

    python -m distill_jax.main --config=configs/qat.py --workdir=runs/qat \
        --config.student=runs/words

Front end, layers, recordings and augmentation are those of the student. Variants,
separated by commas: `int8`, `int4` (4-bit weights, in simulation), `float` (the
control: the same steps without rounding), `tiny` (two steps in seconds).
"""

from ml_collections import ConfigDict

VARIANTS = {"int8", "int4", "float", "tiny"}


def get_config(arg="int8"):
    variants = set(arg.split(","))
    if not variants <= VARIANTS:
        raise ValueError(f"{arg!r}: expected variants out of {sorted(VARIANTS)}")
    config = ConfigDict()
    config.task = "qat"
    config.seed = 0
    config.labels = ()  # the student's

    config.student = ""  # work directory of a run of configs/distill.py
    config.teachers = ()  # the student's, as are the layers and what is in distill
    config.teacher_alignment_layers = ()
    config.distill = ConfigDict({"views": 0})
    config.data = ConfigDict()  # where the recordings are, if not where they were
    config.data.update(root="", noise="", cache="", workers=0)

    config.quantise = "float" not in variants
    config.bits = 4 if "int4" in variants else 8  # of weights; activations have 8
    config.range_decay = 0.99  # of the moving averages that ranges are
    # Then batch norm and ranges stand still: what is trained is what is exported.
    config.live_share = 0.6

    config.steps = 400
    config.batch = 64
    config.label_smoothing = 0.05
    config.mixup = 0.0
    config.learning_rate = 5e-4  # an eighth of the student's
    config.rate_scale = ()
    config.warmup_steps = 20
    config.weight_decay = 0.02
    config.clip_norm = 5.0
    config.ema_decay = 0.99
    config.dtype = "float32"  # nothing else holds the sums exactly
    config.max_skipped = 10
    # Devices that share one copy of the model; parts of a batch, to take less memory.
    config.fsdp, config.accumulate = 1, 1

    config.log_every, config.eval_every, config.save_every = 20, 100, 100
    config.preview_every, config.keep = 0, 2

    if "tiny" in variants:
        config.batch = 8
        config.steps = config.log_every = config.eval_every = config.save_every = 2
    return config
