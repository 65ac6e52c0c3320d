"""What a sound VAE has learnt, as a page to look at and to listen to."""

from distill_jax import progress, report
from distill_jax.sound_report import examples, history, latents, quality
from distill_jax.sound_report.job import load

CHAPTERS = (
    quality.reconstruction,
    examples.held_out,
    examples.generated,
    quality.memory,
    latents.usage,
    history.training,
)


def write(workdir):
    """Writes `WORKDIR/report`: a page, pictures, sounds and all figures as JSON.

    Prints how close held-out sounds come back, beside the baselines, and where the
    page is.

    Args:
      workdir: the folder of a run that has a checkpoint.

    Returns:
      The figures of `report.json`: of each chapter, by its name.

    Raises:
      FileNotFoundError: there is no run in the folder, or its sounds are gone.
    """
    with progress.bar(None, "report", len(CHAPTERS) + 1, "part") as bar:
        job = load(workdir)
        bar.update()
        done = []
        for chapter in CHAPTERS:
            done.append(chapter(job))
            bar.update()
    figures = {name: value for part in done for name, value in part.figures.items()}
    report.figures(job.folder / "report.json", figures)
    page = job.folder / "index.html"
    title = f"Sound VAE: {job.workdir.resolve().name}"
    report.page(page, title, [part.section for part in done])
    held_out = figures["held_out"]
    print(f"\n{quality.table(held_out)}\n\n{quality.verdict(held_out)}")
    print(f"Look and listen: {page}")
    return figures
