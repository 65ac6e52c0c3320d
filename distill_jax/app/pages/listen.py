"""The tab that listens for a wake word and shows what thresholds do."""

from html import escape

import gradio as gr

from distill_jax.app import charts, hearing, places, uploads
from distill_jax.app.pages import renewed, told
from distill_jax.word_report import scores

TEXT = (
    "Choose a trained run or an exported INT8 file, then record or upload a sound. The "
    "slider moves the threshold; below it stands what that does to misses and false "
    "accepts on the test recordings, where the run was judged."
)
FREE = (
    "It was not judged, so that nothing is known of other sound: make it in the tab "
    "“Wake word”, or run distill-jax evaluate."
)
SLIDER = "Threshold in log-odds: 0 is a score of 0.5, higher is stricter"
USUAL = 0.0
QUIET = {"show_progress": "hidden"}


def tab(desk):
    """Adds the tab.

    Args:
      desk: `Desk`.
    """
    with gr.Tab("Listen") as shown:
        gr.Markdown(TEXT)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                name = gr.Dropdown(
                    hearing.choices(desk.root),
                    value=None,
                    label="Run or INT8 file",
                    elem_id="listen-run",
                )
                word = gr.Textbox(
                    label="Word", placeholder="needed only where it knows several"
                )
                both = gr.Checkbox(True, label="Float beside INT8, where both exist")
                sound = gr.Audio(
                    sources=["microphone", "upload"],
                    type="filepath",
                    label="Sound",
                    buttons=[],
                    elem_id="listen-sound",
                )
                listen = gr.Button("Listen", variant="primary", elem_id="listen-go")
            with gr.Column(scale=3, min_width=460):
                odds = gr.Slider(
                    hearing.LOWEST,
                    hearing.HIGHEST,
                    value=USUAL,
                    step=0.05,
                    label=SLIDER,
                    elem_id="threshold",
                )
                timeline = gr.HTML(elem_id="timeline")
                table = gr.HTML(elem_id="operation")
        with gr.Accordion(
            "Every error on the test recordings", open=False, elem_id="listen-errors"
        ):
            errors = gr.HTML(elem_id="errors")
        heard = gr.State([])
    _wire(
        desk, (name, word, both, sound, odds), (heard, timeline, table, errors), listen
    )
    shown.select(
        lambda value: renewed(hearing.choices(desk.root), value), name, name, **QUIET
    )


def _wire(desk, asked, shown, listen):
    name, word, both, sound, odds = asked
    heard, timeline, table, errors = shown

    @told
    def chosen(name):
        if not name:
            return USUAL, "", "", []
        found = hearing.judged(desk.root, name)
        if found is None:
            return USUAL, charts.note(FREE), "", []
        threshold = found.figures["threshold"]
        start = USUAL if threshold is None else float(hearing.odds(threshold))
        return start, _table(found, start), _players(desk, found), []

    @told
    def run(name, word, both, sound, odds):
        if not name:
            raise ValueError("choose a run or a file to listen with first")
        names = [name, hearing.partner(desk.root, name)] if both else [name]
        found = hearing.judged(desk.root, name)
        listening = found and found.figures["listening"]
        made = []
        for each in filter(None, names):
            path = places.inside(desk.root, each)
            known = scores.opened(path, (word or "").strip())
            audio_s = uploads.sound(sound, known[1].rate_hz)
            made.append(scores.listen(each, known, audio_s, listening))
        return made, _timeline(made, odds)

    def move(name, heard, odds):
        found = hearing.judged(desk.root, name) if name else None
        below = _table(found, odds) if found else gr.skip()
        return _timeline(heard, odds) if heard else gr.skip(), below

    name.change(chosen, name, [odds, table, errors, heard])
    listen.click(run, [name, word, both, sound, odds], [heard, timeline])
    odds.change(move, [name, heard, odds], [timeline, table], **QUIET)


def _timeline(heard, odds):
    threshold = hearing.share(odds)
    lines = []
    for each in heard:
        times = scores.triggers(each, threshold)
        at = ", ".join(f"{time:.2f} s" for time in times)
        said = f"“{each.word}” heard at {at}" if times else f"“{each.word}” not heard"
        highest = f"highest score {each.score_n.max(initial=0):.4g}"
        lines.append(f"{each.name}: {said}; {highest}")
    return hearing.timeline(heard, threshold) + charts.note("\n".join(lines))


def _table(found, odds):
    threshold = hearing.share(odds)
    rows = hearing.at_threshold(found.figures, threshold)
    return charts.note(f"With threshold {threshold:.6g}, on the test recordings:") + (
        charts.table(hearing.SCENES_HEADER, rows)
    )


def _players(desk, found):
    rows = hearing.errors(desk.root, found)
    if not rows:
        return charts.note("There is none at the threshold that was chosen.")
    cells = "".join(
        f"<tr><td>{escape(kind)}</td><td>{escape(noise)}</td><td>{at:.1f} s</td><td>"
        f'<audio controls preload="none" src="/files/{escape(name)}"></audio></td></tr>'
        for kind, noise, at, name in rows
    )
    head = "<tr><th>what</th><th>noise</th><th>from</th><th>sound</th></tr>"
    threshold = found.figures["threshold"]
    chosen = (
        f"At the threshold that evaluate chose, {threshold:.6g}:"
        if threshold is not None
        else "No threshold has so few false accepts as were allowed, so that every "
        "word is missed:"
    )
    note = charts.note(chosen)
    return f'{note}<table class="figures">{head}{cells}</table>'
