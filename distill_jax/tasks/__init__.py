"""The jobs. Each module gives `make(config) -> Task` and `data(config) -> Data`."""

from distill_jax.tasks import vae

TASKS = {"vae": vae}
