"""The command `distill-jax`: everything that is not training.

Importing JAX takes seconds, so that `--help` would; what the verbs do is imported
once the arguments are known to be right.
"""

import importlib
import sys
from typing import Annotated

import tyro
from tyro.conf import subcommand

import distill_jax
from distill_jax.cli.typed import app, checkpoints, sounds, speech, words
from distill_jax.cli.usage import UsageError

Verb = (
    Annotated[sounds.Reconstruct, subcommand("reconstruct")]
    | Annotated[sounds.Generate, subcommand("generate")]
    | Annotated[sounds.Interpolate, subcommand("interpolate")]
    | Annotated[sounds.Analyse, subcommand("analyse")]
    | Annotated[checkpoints.Inspect, subcommand("inspect")]
    | Annotated[checkpoints.Convert, subcommand("convert")]
    | Annotated[checkpoints.Verify, subcommand("verify")]
    | Annotated[speech.Extract, subcommand("extract")]
    | Annotated[speech.Stats, subcommand("stats")]
    | Annotated[speech.Speak, subcommand("speak")]
    | Annotated[words.Evaluate, subcommand("evaluate")]
    | Annotated[words.Detect, subcommand("detect")]
    | Annotated[words.Export, subcommand("export")]
    | Annotated[words.Ledger, subcommand("ledger")]
    | Annotated[words.CacheTeachers, subcommand("cache-teachers")]
    | Annotated[words.Wakeword, subcommand("wakeword")]
    | Annotated[app.App, subcommand("app")]
)

# Where the verbs are that are not in `verbs`.
HOME = {
    "Inspect": "tensors",
    "Convert": "tensors",
    "Verify": "tensors",
    "Extract": "encoders",
    "Stats": "encoders",
    "Speak": "speech",
    "Evaluate": "words",
    "Detect": "detecting",
    "Export": "export",
    "Ledger": "export",
    "CacheTeachers": "teaching",
    "Wakeword": "wakeword",
    "App": "app",
}


def main(arguments=None):
    """Runs one verb; what the user can mend is told in one message, with status 2.

    Args:
      arguments: a list of them; None takes those of the process.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"distill_jax {distill_jax.__version__}")
        return
    options = tyro.cli(
        Verb,
        prog="distill-jax",
        description="Plays a sound VAE; makes features of speech and speech of text; "
        "makes and judges wake words; looks after checkpoints of PyTorch models; does "
        "all of it in a browser. Sound files tell in a tag how to make them. --version "
        "tells which this is, "
        "--tyro-print-completion bash (zsh, tcsh) what completes its arguments.",
        args=arguments,
    )
    name = type(options).__name__
    module = importlib.import_module(f"distill_jax.cli.{HOME.get(name, 'verbs')}")
    try:
        status = module.VERBS[name](options)
    except UsageError as error:
        print(f"distill-jax: {error}", file=sys.stderr)
        sys.exit(2)
    if status:
        sys.exit(status)
