"""A speech encoder that tells recorded words apart, to be a teacher.

    python -m distill_jax.main --config=configs/teacher.py:wav2vec2_bert \
        --workdir=runs/teacher --config.teacher.folder=w2v-bert-2.0/ \
        --config.data.root=speech_commands/ --config.data.noise=background_noise/

Kinds: `wav2vec2_bert`, `wav2vec2`, `hubert`, `wavlm`, a folder as transformers saves it
each. Behind a comma: `stand_in` (small, trained from nothing on the words alone; three
words of Speech Commands, half an hour beside other work, 95.6 and 94.1 % right on test
clips for the first two kinds), `tiny` (for tests).
"""

from ml_collections import ConfigDict

KINDS = ("wav2vec2_bert", "wav2vec2", "hubert", "wavlm")


def get_config(arg="wav2vec2_bert"):
    kind, *variants = arg.split(",")
    if kind not in KINDS or not set(variants) <= {"stand_in", "tiny"}:
        raise ValueError(f"{arg!r}: expected one of {KINDS}, then stand_in or tiny")
    bert = kind == "wav2vec2_bert"
    config = ConfigDict()
    config.task = "teacher"
    config.seed = 0
    config.labels = ()  # found in the recordings

    config.data = ConfigDict()  # as in configs/distill.py
    config.data.update(root="", noise="", cache="", words=(), unknown=0.0, silence=0.0)
    config.data.update(valid_fraction=0.1, test_fraction=0.1, folds=0, fold=0)
    config.data.update(fraction=1.0, balanced=False, weighted=False, workers=0)
    config.data.update(window_seconds=1.0, min_seconds=0.1, seed=0)
    config.data.update(skip_bad=False, drop_leaks=False)

    config.augment = ConfigDict()  # see audio/augment.py
    config.augment.update(gain_db=6.0, shift_seconds=0.1, room_probability=0.0)
    config.augment.update(speed_probability=0.5, speed_change=0.1)
    config.augment.update(noise_probability=0.8, snr_low_db=-5.0, snr_high_db=20.0)
    config.front_end = ConfigDict({"rate_hz": 16_000})

    config.teacher = ConfigDict()
    config.teacher.folder = ""  # "" = random weights, of the encoder below
    config.teacher.encoder = ConfigDict()  # a config.json; with a folder, the folder's
    config.teacher.encoder.model_type = kind.replace("_", "-") if bert else kind
    config.teacher.encoder.hidden_size = 1024 if bert else 768
    config.teacher.encoder.num_hidden_layers = 24 if bert else 12
    config.teacher.encoder.num_attention_heads = 16 if bert else 12
    config.teacher.encoder.intermediate_size = 4096 if bert else 3072
    config.teacher.form = ConfigDict()  # preprocessing; empty = the usual of the kind
    config.teacher.dropouts = ConfigDict()  # while training, whatever the folder says
    config.teacher.dropouts.update(hidden_dropout=0.1, activation_dropout=0.0)
    config.teacher.dropouts.update(attention_dropout=0.1, feat_proj_dropout=0.0)
    config.teacher.dropouts.update(layerdrop=0.0, apply_spec_augment=True)
    config.teacher.inner = 256  # width between encoder and classes
    config.teacher.weighted = False  # a learned mixture of all layers, not the last
    config.teacher.train = "all"  # or "head", or "top": head and top_layers
    config.teacher.top_layers = 4
    config.teacher.layer_decay = 0.9  # of the learning rate, from layer to layer down
    config.teacher.freeze_feature_encoder = not bert  # convolutions over the waveform
    config.teacher.remat = False  # less memory, more time

    config.steps, config.batch = 2000, 32
    config.label_smoothing = 0.05
    config.learning_rate, config.warmup_steps = 1e-4, 200
    config.rate_scale = ()  # before the rules of layer_decay
    config.weight_decay, config.clip_norm = 0.01, 1.0
    config.ema_decay = 0.995
    config.dtype = "float32"  # or bfloat16; audio is never cast
    config.max_skipped = 10
    config.update(fsdp=1, accumulate=1)  # devices to a copy; parts of a batch

    config.log_every, config.eval_every, config.save_every = 20, 200, 200
    config.keep, config.preview_every = 2, 0
    if variants:
        small(config, bert)
    if "tiny" in variants:
        config.teacher.encoder.update(hidden_size=24, intermediate_size=24)
        config.teacher.encoder.num_hidden_layers = 2
        config.batch, config.warmup_steps = 8, 0
        config.steps = config.log_every = config.eval_every = config.save_every = 2
    return config


def small(config, bert):
    """Sizes that learn from a few thousand clips on a CPU."""
    sizes = config.teacher.encoder
    sizes.update(hidden_size=96, intermediate_size=192, num_hidden_layers=4)
    sizes.update(num_attention_heads=4, mask_time_length=2)
    if bert:  # 40 ms a frame
        config.teacher.form.stride, sizes.feature_projection_input_dim = 4, 320
        sizes.conv_depthwise_kernel_size = 7
    else:
        sizes.update(conv_dim=(32, 64, 96, 96), conv_kernel=(20, 8, 4, 2))
        sizes.update(conv_stride=(10, 8, 4, 2), conv_bias=True)
        sizes.update(feat_extract_activation="relu")
        sizes.update(feat_extract_norm="layer", do_stable_layer_norm=True)
        sizes.update(num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=1)
    config.teacher.update(inner=64, layer_decay=1.0, freeze_feature_encoder=False)
    config.steps, config.learning_rate, config.clip_norm = 1000, 1e-3, 5.0
    config.batch = 64
