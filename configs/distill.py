"""A keyword network for microcontrollers on a folder of recordings, one per word.

    python -m distill_jax.main --config=configs/distill.py:none --workdir=runs/words \
        --config.data.root=speech_commands/ --config.data.noise=background_noise/

Variants, separated by commas: `none` (no teachers, labels only), `depthwise`
(depthwise-separable, 8.5 thousand parameters), `small` (depthwise-separable and
residual, under 12 thousand), `tiny` (two steps in seconds).
"""

from ml_collections import ConfigDict

VARIANTS = {"none", "depthwise", "small", "tiny"}


def get_config(arg="none"):
    variants = set(arg.split(","))
    if not variants <= VARIANTS:
        raise ValueError(f"{arg!r}: expected variants out of {sorted(VARIANTS)}")
    config = ConfigDict()
    config.task = "distill"
    config.seed = 0
    config.labels = ()  # found in the recordings

    config.data = ConfigDict()
    config.data.root = ""  # a folder of recordings for every word
    config.data.noise = ""  # folder; "" = _background_noise_ in root
    config.data.cache = ""  # "" = ~/.cache/distill_jax
    config.data.words = ()  # () = all
    config.data.unknown = 0.0  # share of other words, as one label
    config.data.silence = 0.0  # share of background noise, as one label
    config.data.valid_fraction = 0.1
    config.data.test_fraction = 0.1
    config.data.folds = 0  # cross-validation over speakers
    config.data.fold = 0
    config.data.fraction = 1.0  # of the training clips that keep their label
    config.data.balanced = False
    config.data.weighted = False
    config.data.window_seconds = 1.0
    config.data.min_seconds = 0.1
    config.data.skip_bad = False
    config.data.drop_leaks = False
    config.data.seed = 0  # of the split
    config.data.workers = 0

    config.augment = ConfigDict()  # see audio/augment.py
    config.augment.update(gain_db=6.0, shift_seconds=0.1)
    config.augment.update(speed_probability=0.5, speed_change=0.1)
    config.augment.update(room_probability=0.0, noise_probability=0.8)
    config.augment.update(snr_low_db=-5.0, snr_high_db=20.0)
    config.masks = ConfigDict({"times": 2, "frames": 5, "bands": 2, "width": 5})

    config.front_end = ConfigDict()  # see audio/front_end.py
    config.front_end.rate_hz = 16_000
    config.front_end.window = 480
    config.front_end.hop = 320
    config.front_end.n_fft = 512
    config.front_end.mels = 40
    config.front_end.low_hz = 60.0
    config.front_end.high_hz = 7600.0
    config.front_end.floor = 1e-5
    config.front_end.shift = 4.0
    config.front_end.scale = 0.25

    config.model = ConfigDict()
    config.model.channels = (16, 32, 64, 64)
    config.model.strides = (2, 2, 2, 1)
    config.model.residual = False

    config.steps = 4000
    config.batch = 64
    config.label_smoothing = 0.05
    config.mixup = 0.0  # of the beta distribution; 0 mixes nothing
    config.learning_rate = 4e-3
    config.rate_scale = ()
    config.warmup_steps = 100
    config.weight_decay = 0.02
    config.clip_norm = 5.0
    config.ema_decay = 0.995
    config.dtype = "float32"
    config.max_skipped = 10
    config.fsdp = 1

    config.log_every = 20
    config.eval_every = 200
    config.preview_every = 0
    config.save_every = 200
    config.keep = 2

    config.model.use_depthwise = "depthwise" in variants
    if "small" in variants:
        config.model.channels = (16, 32, 48, 48, 48, 48)
        config.model.strides = (2, 2, 2, 1, 1, 1)
        config.model.use_depthwise = config.model.residual = True
    if "tiny" in variants:
        config.model.channels = (4, 6, 8, 8)
        config.batch = 8
        config.steps = config.log_every = config.eval_every = config.save_every = 2
    return config
