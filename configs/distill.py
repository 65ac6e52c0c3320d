"""A keyword network for microcontrollers on a folder of recordings, one per word.

    python -m distill_jax.main --config=configs/distill.py:none --workdir=runs/words \
        --config.data.root=speech_commands/ --config.data.noise=background_noise/

Variants, separated by commas: `none` (no teachers, labels only), `dual` (two teachers,
see configs/teacher.py), `depthwise` (depthwise-separable, 8.5 thousand parameters),
`small` (depthwise-separable and residual, under 12 thousand), `tiny` (two steps).
"""

from ml_collections import ConfigDict

VARIANTS = {"none", "dual", "depthwise", "small", "tiny"}


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
    config.data.update(unknown=0.0, silence=0.0)  # shares of these two labels
    config.data.update(valid_fraction=0.1, test_fraction=0.1)
    config.data.update(folds=0, fold=0)  # cross-validation over speakers
    config.data.fraction = 1.0  # of the training clips that keep their label
    config.data.update(balanced=False, weighted=False)
    config.data.update(window_seconds=1.0, min_seconds=0.1)
    config.data.update(skip_bad=False, drop_leaks=False)
    config.data.update(seed=0, workers=0)  # seed of the split

    config.augment = ConfigDict()  # see audio/augment.py
    config.augment.update(gain_db=6.0, shift_seconds=0.1)
    config.augment.update(speed_probability=0.5, speed_change=0.1)
    config.augment.update(room_probability=0.0, noise_probability=0.8)
    config.augment.update(snr_low_db=-5.0, snr_high_db=20.0)
    config.masks = ConfigDict({"times": 2, "frames": 5, "bands": 2, "width": 5})

    config.front_end = ConfigDict()  # see audio/front_end.py
    config.front_end.update(rate_hz=16_000, window=480, hop=320, n_fft=512, mels=40)
    config.front_end.update(low_hz=60.0, high_hz=7600.0)
    config.front_end.update(floor=1e-5, shift=4.0, scale=0.25)

    config.teachers = ()  # folders of runs of configs/teacher.py
    config.teacher_alignment_layers = ()  # of each: "", "3", "early,late", "last"
    config.distill = ConfigDict()
    config.distill.alpha = 0.7  # share of the teachers' answers, the rest is the labels
    config.distill.weighting = "entropy"  # or inverse_entropy, uniform
    config.distill.tau = 0.3  # nats: how much surer a teacher is for e times the weight
    config.distill.mixture = "probabilities"  # or logits
    config.distill.update(schedule="fixed", temperature=2.0, temperature_last=2.0)
    config.distill.update(align=1.0, distance="mse")  # its weight; mse or cosine
    config.distill.over_time = False  # step by step instead of the mean of a window
    config.distill.inner = 256  # width inside a projector
    config.distill.dtype = "float32"  # of the teachers; bfloat16 on a GPU or TPU
    # Fixed variations of a clip, which teachers hear once; 0 = always new.
    config.distill.update(views=0, view_seed=0)
    config.distill.cache = ""  # folder of what they say; "" = in data.cache
    config.distill.cache_dtype = "float32"  # of inner layers, or float16

    config.model = ConfigDict()
    config.model.update(channels=(16, 32, 64, 64), strides=(2, 2, 2, 1), residual=False)

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
    config.max_skipped, config.fsdp = 10, 1  # devices that share one copy
    config.accumulate = 1  # parts of a batch, to take less memory

    config.log_every, config.eval_every, config.save_every = 20, 200, 200
    config.preview_every, config.keep = 0, 2

    if "dual" in variants:
        config.teachers = ("runs/wav2vec2", "runs/wav2vec2_bert")
        config.teacher_alignment_layers = ("middle", "middle")
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
