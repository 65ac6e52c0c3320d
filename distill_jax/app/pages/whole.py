"""The page around the tabs."""

from pathlib import Path

import gradio as gr

from distill_jax.app import progress
from distill_jax.app.pages import checkpoints, listen, runs, sound, wakeword

TITLE = "distill_jax"
CSS = Path(__file__).with_name("style.css").read_text("utf-8")
SECONDS = 1.5  # between two looks at the job
KEPT_SECONDS = 24 * 3600  # what was uploaded or made for the page
QUIET = {"show_progress": "hidden"}
# Fonts of the system: others would be fetched.
FONTS = ("system-ui", "sans-serif")


def page(desk):
    """The whole app, `gr.Blocks`.

    Args:
      desk: `Desk`.
    """
    with gr.Blocks(
        title=TITLE,
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(3600, KEPT_SECONDS),
    ) as blocks:
        gr.Markdown(f"# {TITLE}\nWork directory: `{desk.root}`", elem_id="head")
        with gr.Row(equal_height=True, elem_id="job"):
            job = gr.HTML(progress.shown(desk.trainer.state), elem_id="progress")
            stop = gr.Button(
                "Stop", variant="stop", scale=0, visible=False, elem_id="stop"
            )
        timer = gr.Timer(SECONDS)
        with gr.Tabs():
            wakeword.tab(desk, timer)
            listen.tab(desk)
            sound.tab(desk, timer)
            checkpoints.tab(desk)
            runs.tab(desk)

        def renew():
            state = desk.trainer.state
            running = state is not None and state.running
            return progress.shown(state), gr.update(visible=running)

        stop.click(desk.trainer.stop).then(renew, None, [job, stop], **QUIET)
        timer.tick(renew, None, [job, stop], **QUIET)
        blocks.load(renew, None, [job, stop], **QUIET)
    return blocks


def theme():
    """Plain, with fonts that are there already."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        font=FONTS,
        font_mono=("ui-monospace", "monospace"),
    )
