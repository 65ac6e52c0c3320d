"""The jobs. Each module gives `make(config) -> Task` and `data(config) -> Data`.

`data` comes first: it may write what it finds into the config. `rate_hz(config)` is
the sample rate of the audio that they show.
"""

from distill_jax.tasks import distill, qat, teacher, vae

TASKS = {"distill": distill, "qat": qat, "teacher": teacher, "vae": vae}
