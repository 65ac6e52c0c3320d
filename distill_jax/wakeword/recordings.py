"""The recordings of a plan, for runs that are not made by it."""

from distill_jax import progress
from distill_jax.data import noises, speech
from distill_jax.wakeword import plan as plans
from distill_jax.wakeword import spoken


def ready(plan):
    """Makes the speech and the noise that a plan has not.

    Args:
      plan: `plan.Plan`; of its runs nothing is made.

    Returns:
      Changes for `settings.read`: what its runs listen to.

    Raises:
      ValueError: the folder holds speech of another plan.
      ModuleNotFoundError: speech is needed and the extra `tts` is not installed.
    """
    if plan.data is None:
        with progress.bar(None, "speaking", unit="clip") as bar:
            for number, total, _ in spoken.make(plan):
                bar.total = total
                bar.update(number - bar.n)
    folder, count = plan.workdir / "noise", len(noises.COLOURS) * len(noises.WAYS)
    if plan.makes_noise and len(list(folder.glob("*.wav"))) < count:
        noises.write(folder, speech.RATE_HZ, plan.seed)
    heard = plans.heard(plan, plans.window_seconds(plan))
    return [f"{name}={value}" for name, value in heard.items()]
