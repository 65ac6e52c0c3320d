"""Reads a model's settings and refuses those that the model would not follow."""

from pathlib import Path
from typing import Any, NamedTuple

from distill_jax.weights import folder

REQUIRED = object()
# What `transformers` writes into every config and no forward pass reads.
INERT = (
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "model_type",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_cache",
)


class Fields(NamedTuple):
    """What a model does with each field of its config.

    Attributes:
      handled: {field: default} that the model follows; `REQUIRED` for no default.
      inert: names of fields that do not change what the model computes.
      defaults: {field: the only value that the model can follow}.
    """

    handled: dict[str, Any]
    inert: tuple[str, ...] = ()
    defaults: dict[str, Any] = {}  # noqa: RUF012


def read(path):
    """Reads `config.json` of a checkpoint.

    Args:
      path: the file, or its folder.

    Returns:
      A dictionary.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is not a JSON object.
    """
    path = Path(path)
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; a checkpoint needs the config.json it came with"
        )
    return folder.read_json(path)


def guard(config, fields):
    """Holds a config to what a model can do.

    Args:
      config: dictionary, as in `config.json`; fields may be absent.
      fields: `Fields` of the model.

    Returns:
      {field: value} of the handled fields, defaults filled in.

    Raises:
      ValueError: fields are missing, unknown, or have a value that the model does
        not follow; all are named.
    """
    inert = {*INERT, *fields.inert}
    problems = [
        f"  {name} is missing"
        for name, default in fields.handled.items()
        if default is REQUIRED and name not in config
    ]
    for name, value in sorted(config.items()):
        if name in fields.handled or name in inert:
            continue
        if name not in fields.defaults:
            problems.append(f"  {name} = {value!r} is not known")
        elif value != fields.defaults[name]:
            only = fields.defaults[name]
            problems.append(f"  {name} = {value!r}, only {only!r} is supported")
    if problems:
        raise ValueError(
            "\n".join(
                [
                    f"{config.get('model_type', 'the config')} asks for what this "
                    "model does not do, and it would compute something else:",
                    *problems,
                ]
            )
        )
    return {name: config.get(name, value) for name, value in fields.handled.items()}
