"""What the latents carry."""

import numpy as np

from distill_jax import losses, report
from distill_jax.sound_report.job import Chapter

# A latent is in use if its posterior mean varies by more (Burda et al. 2016, sec. 5).
ACTIVE = 0.01


def usage(job):
    """KL of each latent from the prior, and how many are in use."""
    floor = job.model.config.free_nats
    figures = count(job.mean_nz, job.log_var_nz, floor)
    rank_z, ends = np.arange(1, figures["latents"] + 1), (1, figures["latents"])
    report.panels(
        job.folder / "latents.png",
        {
            "KL, nats": {
                "latent": (rank_z, np.sort(figures["kl_nats_z"])[::-1]),
                "free bits": (ends, (floor, floor)),
            },
            "variance of the posterior mean": {
                "latent": (rank_z, np.sort(figures["variance_z"])[::-1]),
                "in use above": (ends, (ACTIVE, ACTIVE)),
            },
        },
        "What each latent carries, the fullest first",
        "rank of the latent",
    )
    text = (
        f"{figures['active_units']} of {figures['latents']} latents are in use. They "
        f"carry {figures['kl_nats']:.1f} nats about a sound; "
        f"{figures['share_at_free_bits']:.0%} of them no more than they get for free."
    )
    section = report.Section(
        "What the latents carry", [text, report.Image("latents.png")]
    )
    return Chapter({"latents": figures}, section)


def count(mean_nz, log_var_nz, free_nats):
    """Figures on the posteriors of the training windows.

    Args:
      mean_nz: posterior means, [windows, latents].
      log_var_nz: their log-variances.
      free_nats: the KL that training leaves each latent.

    Returns:
      `latents`; `active_units`, whose mean varies by more than ACTIVE; `kl_nats`, the
      mean over windows summed over latents; `share_at_free_bits`; and, for each
      latent, `kl_nats_z` and `variance_z` of its mean.

    Source: Burda et al. 2016, "Importance weighted autoencoders".
    """
    kl_z = np.asarray(losses.kl_normal(mean_nz, log_var_nz)).mean(axis=0)
    variance_z = mean_nz.var(axis=0)
    return {
        "latents": len(kl_z),
        "active_units": int(np.sum(variance_z > ACTIVE)),
        "kl_nats": float(kl_z.sum()),
        # The pull ends at the floor, so the KL comes to rest on either side of it.
        "share_at_free_bits": float(np.mean(kl_z < 1.05 * free_nats)),
        "kl_nats_z": kl_z,
        "variance_z": variance_z,
    }
