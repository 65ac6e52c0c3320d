"""What the verbs on teachers do."""

from distill_jax import checkpoints, folders, settings, train
from distill_jax.cli.usage import require, told
from distill_jax.tasks import caching

PROBLEMS = (OSError, ValueError, checkpoints.CheckpointError)


def cache_teachers(options):
    """Asks the teachers of a run about all views, before it is trained."""
    with told(OSError, ValueError):
        config = settings.read(options.config, options.set)
    require(config.get("task") == "distill", f"{options.config} is not of distillation")
    require(
        config.teachers and config.distill.views > 0,
        "what is kept is what teachers say about fixed views: give --set "
        "teachers=\"('runs/wav2vec2',)\" and --set distill.views=8",
    )
    train.cache_compilations(folders.cache("xla"))
    with told(*PROBLEMS):
        _, kept = caching.taught_views(config, caching.sides(config))
    print(
        f"{kept.rows:,} views, {kept.bytes / 1e6:.1f} MB in {kept.folder}; train with "
        "the same settings and they are read from there"
    )


VERBS = {"CacheTeachers": cache_teachers}
