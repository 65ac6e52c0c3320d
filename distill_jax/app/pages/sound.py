"""The tab that trains a sound VAE and plays it."""

import functools
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np

from distill_jax.app import charts, places, playing, progress, uploads
from distill_jax.app.pages import renewed, told

TEXT = (
    "Train a model on a folder of sounds (a handful will do), then play it: sliders "
    "move along directions that were found to change one thing that can be heard, "
    "within the range of 96 % of the training sounds."
)
QUIET = {"show_progress": "hidden"}


def tab(desk, timer):
    """Adds the tab.

    Args:
      desk: `Desk`.
      timer: `gr.Timer` that renews what is shown.
    """
    with gr.Tab("Sound") as shown:
        gr.Markdown(TEXT)
        with gr.Accordion(
            "Train", open=not playing.players(desk.root), elem_id="sound-train"
        ):
            _train(desk, timer)
        _play(desk, shown)


def _train(desk, timer):
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            upload = gr.File(
                label="Sounds, or a .zip of them (none: built-in sounds)",
                file_count="multiple",
                elem_id="sound-upload",
            )
            folder = gr.Textbox(label="Or a folder inside the work directory")
            name = gr.Textbox("sounds", label="Name of the run", elem_id="sound-name")
            steps = gr.Number(0, label="Steps; 0: as many as are usual", precision=0)
            changes = gr.Textbox(
                label="Other settings, one a line",
                placeholder="model.latent=64",
                lines=2,
                elem_id="sound-changes",
            )
            start = gr.Button(
                "Start, or go on", variant="primary", elem_id="sound-start"
            )
        with gr.Column(scale=3, min_width=420):
            curves = gr.HTML(progress.training(desk.root, None), elem_id="sound-curves")
    seen, running = gr.State(""), gr.State(None)

    @told
    def begin(upload, folder, name, steps, changes):
        data = (
            uploads.recordings(desk.root, upload, desk.most_bytes)[0]
            if upload
            else folder or ""
        )
        form = playing.Form(name, str(data), steps, changes or "")
        config, made = playing.config(desk.root, form)
        desk.trainer.start(name, lambda: playing.train(config, made))
        return places.shown(desk.root, made)

    def renew(name, before):
        if not name or not (desk.root / name / "metrics.jsonl").is_file():
            return gr.skip(), gr.skip()
        now = progress.training(desk.root, name)
        return (now, now) if now != before else (gr.skip(), gr.skip())

    start.click(begin, [upload, folder, name, steps, changes], running)
    timer.tick(renew, [running, seen], [curves, seen], **QUIET)


def _play(desk, shown):
    opened = functools.lru_cache(2)(
        lambda *version: playing.opened(desk.root, version[0])
    )

    def instrument(name):
        if not name:
            raise ValueError("choose a trained run to play first")
        return opened(*playing.version(desk.root, name))

    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            name = gr.Dropdown(
                playing.players(desk.root),
                value=None,
                label="Trained run",
                elem_id="sound-run",
            )
            note = gr.HTML()
            sliders = [
                gr.Slider(-1, 1, visible=False) for _ in range(playing.MOST_SLIDERS)
            ]
            with gr.Row():
                seed = gr.Number(0, label="Seed", precision=0, min_width=80)
                seconds = gr.Slider(
                    0.5, playing.LONGEST_SECONDS, value=2.0, step=0.5, label="Seconds"
                )
            temperature = gr.Slider(
                0, 2, value=0.8, step=0.05, label="Temperature (0: the mean sound)"
            )
            with gr.Row():
                make = gr.Button(
                    "Generate", variant="primary", elem_id="sound-generate"
                )
                random = gr.Button("Random", elem_id="sound-random")
        with gr.Column(scale=3, min_width=420):
            player = gr.Audio(
                label="Sound", interactive=False, buttons=[], elem_id="sound-player"
            )
            picture = gr.HTML(elem_id="sound-picture")
            save = gr.Button("Save as .wav", elem_id="sound-save")
            saved = gr.HTML(elem_id="sound-saved")
    state = gr.State(None)
    out = [player, picture, state, saved]
    _choose(desk, instrument, (name, shown), (note, sliders))
    wish = [name, seed, seconds, temperature, *sliders]
    make.click(functools.partial(_generate, instrument), wish, out)
    random.click(playing.random_seed, None, seed).then(
        functools.partial(_generate, instrument), wish, out
    )
    _between(instrument, name, out)
    save.click(functools.partial(_save, desk, instrument), [name, state], saved)


def _choose(desk, instrument, asked, below):
    name, shown = asked
    note, sliders = below

    @told
    def choose(name):
        found = instrument(name) if name else None
        rows = playing.sliders(found) if found else []
        text = f"<p>{escape(found.note)}</p>" if found else ""
        made = [
            gr.update(label=label, minimum=low, maximum=high, value=0, visible=True)
            for _, label, low, high in rows
        ]
        hidden = [gr.update(visible=False)] * (len(sliders) - len(rows))
        return [text, *made, *hidden]

    name.change(choose, name, [note, *sliders])
    shown.select(
        lambda value: renewed(playing.players(desk.root), value), name, name, **QUIET
    )


@told
def _generate(instrument, name, seed, seconds, temperature, *positions):
    found = instrument(name)
    keys = [key for key, *_ in playing.sliders(found)]
    moved = {k: at for k, at in zip(keys, positions, strict=False) if at}
    wish = playing.Wish(int(seed or 0), seconds, temperature, moved)
    return _shown(found, playing.generate(found, wish), wish._asdict())


def _between(instrument, name, out):
    with gr.Accordion("Between two sounds", open=False):
        with gr.Row():
            start = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="From"
            )
            end = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="To"
            )
        with gr.Row():
            mix = gr.Slider(0, 1, value=0.5, step=0.05, label="How far")
            morph = gr.Checkbox(False, label="All the way, within the sound")
        go = gr.Button("Interpolate")

    @told
    def run(name, start, end, mix, morph):
        found = instrument(name)
        rate_hz = found.sound.spec.rate_hz
        start_s, end_s = (
            uploads.sound(path, rate_hz, playing.LONGEST_SECONDS)
            for path in (start, end)
        )
        about = {"start": Path(start).name, "end": Path(end).name}
        about |= {"mix": mix, "morph": morph}
        return _shown(found, playing.between(found, start_s, end_s, mix, morph), about)

    go.click(run, [name, start, end, mix, morph], out)


def _shown(found, audio_s, about):
    rate_hz = found.sound.spec.rate_hz
    # Gradio would turn floats up to full scale.
    heard_s = np.int16(np.round(32767 * audio_s))
    picture = charts.picture(playing.drawn(found, audio_s), "spectrogram")
    return (rate_hz, heard_s), picture, (audio_s, about), ""


@told
def _save(desk, instrument, name, state):
    if state is None:
        raise ValueError("make a sound first")
    path = playing.save(instrument(name), *state)
    shown = places.shown(desk.root, path)
    return (
        f'<p class="good"><a href="/files/{escape(shown)}" download>Download '
        f"{escape(shown)}</a>; how it was made is in its comment tag</p>"
    )
