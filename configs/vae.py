"""Sound VAE on a folder of recordings, or on built-in sounds if none is given.

    python -m distill_jax.main --config=configs/vae.py --workdir=runs/vae \
        --config.data.root=my_sounds/

Under six minutes on 2 CPU cores with the built-in sounds, installation and report
included; held-out log-mel L1 0.83, nearest training sound 1.03 (benchmarks/RESULTS.md,
450 steps). Larger collections deserve more steps. Variant: `configs/vae.py:tiny`, two
steps in seconds.
"""

from ml_collections import ConfigDict


def get_config(arg=""):
    config = ConfigDict()
    config.task = "vae"
    config.seed = 0

    config.data = ConfigDict()
    config.data.root = ""  # a folder of wav, flac, ogg, mp3, aiff; "" = built-in
    config.data.cache = ""  # "" = ~/.cache/distill_jax
    config.data.skip_bad = False  # True leaves damaged files out, and lists them
    config.data.min_seconds = 0.1
    config.data.window_seconds = 1.0
    config.data.hop_seconds = 0.1
    config.data.valid_fraction = 0.15  # of the files, before any augmentation
    config.data.gain_db = 0.0  # random gain of at most ± this; 0 keeps levels
    config.data.workers = 0  # processes; threads suffice for cached audio

    config.spectrogram = ConfigDict()
    config.spectrogram.rate_hz = 48_000
    config.spectrogram.n_fft = 2048
    config.spectrogram.hop = 512
    config.spectrogram.mels = 128
    config.spectrogram.epsilon = 1e-3  # floor of the log, see phase.Spectrogram
    config.spectrogram.frequency = "reassigned"  # or "circular"

    config.model = ConfigDict()
    config.model.channels = (64, 128, 256, 512, 1024)
    config.model.latent = 128
    config.model.dropout = 0.0

    config.loss_weight = ConfigDict()
    config.loss_weight.magnitude = 1.0
    config.loss_weight.log_power = 0.25  # per neper; hears what is nearly silent
    config.loss_weight.frequency = 0.05
    config.loss_weight.kl = 5e-6
    config.loss_weight.audio = 0.0  # > 0 adds an STFT loss on decoded audio
    config.free_nats = 0.1  # per latent
    config.kl_warmup_steps = 200

    config.steps = 400
    config.batch = 16
    config.learning_rate = 3e-3
    # Adam moves each of the 12,288 weights of a latent's head by the same amount.
    config.rate_scale = (("encoder/(mean|log_var)/.*", 0.01),)
    config.warmup_steps = 50
    config.weight_decay = 0.01
    config.clip_norm = 1.0
    config.ema_decay = 0.98
    config.dtype = "float32"  # "bfloat16" on GPU and TPU
    config.max_skipped = 10  # non-finite steps in a row before the run stops
    # Devices that share one copy of the model; parts of a batch, to take less memory.
    config.fsdp, config.accumulate = 1, 1

    config.log_every = 10
    config.eval_every = 200
    config.preview_every = 200
    config.save_every = 100
    config.keep = 2

    if "tiny" in arg.split(","):
        config.model.channels = (4, 4, 8, 8, 16)
        config.model.latent = 8
        config.batch = 8
        config.steps = config.log_every = config.eval_every = 2
        config.preview_every = config.save_every = 2
    return config
