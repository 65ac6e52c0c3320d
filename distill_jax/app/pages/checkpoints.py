"""The tab that looks into checkpoints and makes features."""

from html import escape

import gradio as gr

from distill_jax.app import charts, looking, places, uploads
from distill_jax.app.pages import chooser, renewed, told

TEXT = (
    "Safetensors as save_pretrained writes them. Only headers are read to look; speech "
    "encoders (Wav2Vec2-BERT, Wav2Vec2, HuBERT, WavLM) can make features of sounds."
)
FITS = {
    True: ("every tensor fits the model", "good"),
    False: ("not every tensor fits the model, see the end of the text", "bad"),
    None: ("no model here to hold it against", "note"),
}
QUIET = {"show_progress": "hidden"}


def tab(desk):
    """Adds the tab.

    Args:
      desk: `Desk`.
    """
    with gr.Tab("Checkpoints") as shown:
        gr.Markdown(TEXT)
        with gr.Row(equal_height=True):
            folder = chooser(
                "Folder or file in the work directory",
                looking.choices(desk.root),
                scale=4,
                elem_id="checkpoint",
            )
            look = gr.Button("Inspect", variant="primary", scale=1, elem_id="inspect")
        fits = gr.HTML(elem_id="fits")
        with gr.Row():
            text = gr.Textbox(label="What it is", lines=12, max_lines=24, scale=2)
            with gr.Column(scale=3):
                table = gr.HTML(elem_id="tensors")
        with gr.Accordion("Extract features with it", open=False):
            _extract(desk, folder)

    @told
    def inspect(name):
        page, rows, fit = looking.look(desk.root, name or "")
        return charts.note(*FITS[fit]), page, rows

    look.click(inspect, folder, [fits, text, table])
    shown.select(
        lambda name: gr.update(choices=looking.choices(desk.root)),
        folder,
        folder,
        **QUIET,
    )


def _extract(desk, folder):
    with gr.Row(equal_height=True):
        data = chooser("Folder of sounds", _sounds(desk), scale=3)
        layer = gr.Number(17, label="Layer", precision=0, scale=1, min_width=80)
        out = gr.Textbox("features", label="Name of the new folder", scale=2)
        start = gr.Button("Extract, or go on", scale=1)
    said = gr.HTML()

    @told
    def begin(model, data, layer, out):
        wanted = looking.request(desk.root, model or "", data or "", out, layer or 0)
        desk.trainer.start(out, lambda: looking.extract(wanted))
        where = escape(places.shown(desk.root, wanted.out))
        return charts.note(f"features go to {where}; how far it is stands at the top")

    start.click(begin, [folder, data, layer, out], said)
    data.focus(lambda name: renewed(_sounds(desk), name), data, data, **QUIET)


def _sounds(desk):
    return places.folders(desk.root, uploads.has_sound)
