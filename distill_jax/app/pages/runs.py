"""The tab that lists and compares runs."""

import gradio as gr

from distill_jax.app import charts, judging, runs
from distill_jax.app.pages import renewed, told

EMPTY = "No run yet: begin one in “Wake word” or “Sound”, or put one into the folder."
QUIET = {"show_progress": "hidden"}


def tab(desk):
    """Adds the tab.

    Args:
      desk: `Desk`.
    """
    with gr.Tab("Runs") as shown:
        again = gr.Button("Look again", size="sm", elem_id="runs-again")
        table = gr.HTML(elem_id="runs")
        chosen = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            max_choices=2,
            label="Curves of one run, or of two side by side",
            elem_id="runs-chosen",
        )
        curves = gr.HTML(elem_id="runs-curves")
        with gr.Accordion("Judge a keyword network over long sound", open=False):
            judge = _judging(desk)

    @told
    def renew(kept):
        found = runs.found(desk.root)
        if not found:
            return charts.note(EMPTY), gr.update(choices=[], value=[])
        links = {each.name: f"/files/{each.page}" for each in found if each.page}
        names = [each.name for each in found if each.task != runs.WORD]
        kept = [name for name in kept or () if name in names]
        said = charts.note("A name that is a link opens the run's report.")
        page = charts.table(runs.HEADER, runs.rows(found), links) + said
        return page, gr.update(choices=names, value=kept)

    @told
    def draw(names):
        if not names:
            return ""
        return charts.panels(runs.curves(desk.root, names)) or charts.note(
            "nothing was logged"
        )

    shown.select(
        lambda name: renewed(judging.choices(desk.root), name), judge, judge, **QUIET
    )
    shown.select(renew, chosen, [table, chosen], **QUIET)
    again.click(renew, chosen, [table, chosen], **QUIET)
    chosen.change(draw, chosen, curves, **QUIET)


def _judging(desk):
    """Widgets that judge a run in the background; the list of runs."""
    gr.Markdown(
        "Missed words and false accepts on its test recordings, clean and in noise, "
        "as distill-jax evaluate tells them. When it is done, look again: the run's "
        "name in the table leads to the report."
    )
    with gr.Row(equal_height=True):
        run = gr.Dropdown(
            judging.choices(desk.root), value=None, label="Run", elem_id="judge-run"
        )
        word = gr.Textbox(
            label="Word", placeholder="needed only where it knows several"
        )
        judge = gr.Button("Judge", elem_id="judge")

    @told
    def begin(name, word):
        if not name:
            raise ValueError("choose a run to judge")
        work = judging.evaluate(desk.root, name, (word or "").strip())
        desk.trainer.start(f"judging {name}", lambda: work)

    judge.click(begin, [run, word])
    return run
