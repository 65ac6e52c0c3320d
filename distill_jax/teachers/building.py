"""The network of a teacher, from the settings of its run."""

from distill_jax.audio import kaldi, normalise
from distill_jax.models import hf
from distill_jax.teachers.folder import BERT


def fields(config):
    """The encoder's config.json, with the dropouts of the run, as a dictionary.

    Args:
      config: of the run, as `configs/teacher.py` gives it.

    Raises:
      ValueError: it asks for what is not trained here.
    """
    found = config.teacher.encoder.to_dict() | config.teacher.dropouts.to_dict()
    if found.get("conv_pos_batch_norm"):
        raise ValueError(
            "conv_pos_batch_norm = True gives the encoder statistics that move while "
            "it trains, which teachers do not have; choose another checkpoint"
        )
    return found


def network(config, **options):
    """The encoder with its head, `models.heads.ClassifierHead`.

    Args:
      config: of the run, with `labels`.
      **options: fields of the encoder that no config.json has, see `hf.from_config`.

    Raises:
      ValueError: the encoder is not one of `models`; see `hf.from_config`.
    """
    head = {
        "id2label": dict(enumerate(config.labels)),
        "classifier_proj_size": config.teacher.inner,
        "use_weighted_layer_sum": config.teacher.weighted,
    }
    return hf.from_config(fields(config) | head, "classifier", **options)


def form(config):
    """What the encoder takes, `kaldi.Filterbank` or `normalise.Waveform`."""
    bert = config.teacher.encoder.model_type == BERT
    kind = kaldi.Filterbank if bert else normalise.Waveform
    return kind(**config.teacher.form)
