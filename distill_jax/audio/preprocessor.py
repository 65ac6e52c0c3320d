"""Settings of a `preprocessor_config.json` of `transformers`."""

# Those that change nothing here.
INERT = {
    "feature_extractor_type",
    "processor_class",
    "tokenizer_class",
    "feature_size",
    "padding_side",
    "return_attention_mask",
    "auto_map",
}


def known(settings, kind, names):
    """The settings that are handled, under the names that they have here.

    Args:
      settings: the file's dictionary.
      kind: the `feature_extractor_type` that it has, if it says one.
      names: {name in the file: name here}.

    Returns:
      {name here: value}.

    Raises:
      ValueError: it is of another kind, or has settings that are not handled; all of
        them are named.
    """
    problems = [
        f"{name} = {settings[name]!r}"
        for name in sorted(settings.keys() - names.keys() - INERT)
    ]
    for name, expected in (("feature_extractor_type", kind), ("padding_side", "right")):
        if settings.get(name, expected) != expected:
            problems.append(f"{name} = {settings[name]!r}, expected {expected!r}")
    if problems:
        raise ValueError(
            f"preprocessor settings that are not handled: {'; '.join(problems)}. Of "
            f"{kind}, {', '.join(sorted(names))} are; take the file of this checkpoint"
        )
    return {names[name]: settings[name] for name in names.keys() & settings.keys()}
