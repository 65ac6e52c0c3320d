"""What the verbs on integer networks do."""

import contextlib

from distill_jax import checkpoints, delivery, export, folders, quantised, train
from distill_jax import ledger as costs
from distill_jax.cli.usage import UsageError, require, told
from distill_jax.quant import integer

PROBLEMS = (OSError, ValueError, checkpoints.CheckpointError)


def write(options):
    """Writes the files, runs them on the test clips and tells whether they agree."""
    forms = [each.strip() for each in options.format.split(",") if each.strip()]
    unknown = sorted(set(forms) - set(export.FORMATS))
    require(
        forms and not unknown,
        f"--format {options.format!r}: expected some of {', '.join(export.FORMATS)}, "
        "separated by commas",
    )
    train.cache_compilations(folders.cache("xla"))
    with told(*PROBLEMS):
        found = quantised.load(options.workdir, options.data, options.bits)
        clips = quantised.test_clips(found.trained)
    card = delivery.card(options.workdir, found)
    out = options.out or options.workdir / "export"
    with extra(), told(OSError):
        paths = export.write(out, found.model, card, forms)
    print(f"{card.description}; {integer.parameters(found.model)} weights")
    for path in paths.values():
        print(f"{path}: {path.stat().st_size:,} bytes")
    checked = delivery.check(found, clips, paths)
    print("\n".join(delivery.lines(checked, clips)))
    return int(not checked.good)


def ledger(options):
    """Writes the table of what quantisation costs; its lines as they are found."""
    train.cache_compilations(folders.cache("xla"))
    print(" | ".join(costs.HEADER))
    found = []
    with extra(), told(*PROBLEMS):
        for row in costs.rows(options.workdir, options.control, options.data):
            found.append(row)
            print(" | ".join(costs.table([row])[0]), flush=True)
        page = costs.write(options.workdir, found)
    print(f"Look: {page}")


@contextlib.contextmanager
def extra():
    """Around what needs the extra with the writers and runtimes."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is missing: pip install 'distill_jax[export]'"
        ) from error


VERBS = {"Export": write, "Ledger": ledger}
