"""What the verb does that opens the app."""

import importlib.util

from distill_jax.app import gate
from distill_jax.cli.usage import require, told


def app(options):
    """Serves the app until Ctrl-C."""
    with told(ValueError):
        gate.check(options.host, options.password)
    require(options.upload_mb > 0, f"--upload-mb is {options.upload_mb}, expected more")
    require(
        options.uploads_gb > 0, f"--uploads-gb is {options.uploads_gb}, expected more"
    )
    require(
        importlib.util.find_spec("gradio"),
        "gradio is missing: pip install 'distill_jax[app]'",
    )
    # Late: it brings Gradio, which takes seconds.
    from distill_jax.app import server

    with told(OSError):
        server.serve(server.Options(*options))


VERBS = {"App": app}
