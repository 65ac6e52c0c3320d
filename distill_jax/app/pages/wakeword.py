"""The tab that makes a wake word."""

import gradio as gr

from distill_jax import wakeword
from distill_jax.app import places, planning, progress, uploads
from distill_jax.app.pages import chooser, renewed, told

SPOKEN, UPLOADED, THERE = "speech made of the text", "an upload", "a folder"
STUDENTS = [
    ("depthwise, 8.5 thousand weights", "depthwise"),
    ("small, with shortcuts, 12 thousand", "small"),
    ("standard, full convolutions, 60 thousand", "standard"),
]
WORD_TEXT = (
    "Type a word. Without recordings it is spoken by a synthesiser; with some, give a "
    "folder for every word: the one called after the word, the others are what it is "
    "not to be taken for."
)


def tab(desk, timer):
    """Adds the tab.

    Args:
      desk: `Desk`.
      timer: `gr.Timer` that renews what is shown.
    """
    with gr.Tab("Wake word"), gr.Row():
        with gr.Column(scale=2, min_width=340):
            gr.Markdown(WORD_TEXT)
            fields = _fields(desk)
            start = gr.Button("Start", variant="primary", elem_id="word-start")
        with gr.Column(scale=3, min_width=420):
            with gr.Row(equal_height=True):
                known = gr.Dropdown(
                    planning.known(desk.root),
                    label="Made or begun",
                    scale=3,
                    elem_id="word-known",
                )
                again = gr.Button("Go on", scale=1, elem_id="word-resume")
            curves = gr.HTML(progress.word(desk.root, None), elem_id="word-curves")
            seen = gr.State("")

    @told
    def begin(*values):
        plan = planning.plan(desk.root, _form(desk, values))
        name = places.shown(desk.root, plan.workdir)
        desk.trainer.start(name, lambda: wakeword.make(plan))
        names = sorted({*planning.known(desk.root), name})
        return gr.update(choices=names, value=name)

    @told
    def go_on(name):
        plan = planning.reopened(desk.root, name)
        desk.trainer.start(name, lambda: wakeword.make(plan))

    def renew(name, before):
        now = progress.word(desk.root, _begun(desk, name))
        return (now, now) if now != before else (gr.skip(), gr.skip())

    start.click(begin, fields, known)
    again.click(go_on, known)
    gr.on([timer.tick, known.change], renew, [known, seen], [curves, seen], **QUIET)
    known.focus(
        lambda name: renewed(planning.known(desk.root), name), known, known, **QUIET
    )


QUIET = {"show_progress": "hidden"}


def _begun(desk, name):
    """The name where its folder is there by now; asked again and again."""
    there = name and planning.is_word(places.inside(desk.root, name))
    return name if there else None


def _fields(desk):
    """The widgets of the form, in the order of `_form`."""
    text = gr.Textbox(label="Word or phrase", placeholder="hey jarvis", elem_id="word")
    source = gr.Radio(
        [SPOKEN, UPLOADED, THERE], value=SPOKEN, label="Learn it from", elem_id="source"
    )
    upload = gr.File(
        label="A .zip with a folder of recordings for every word",
        file_count="multiple",
        visible=False,
        elem_id="word-upload",
    )
    folder = chooser(
        "Folder (or .csv, .jsonl) inside the work directory",
        places.folders(desk.root, uploads.has_words),
        visible=False,
        elem_id="word-folder",
    )
    clips = gr.Number(1000, label="How many times it is spoken", precision=0)
    student = gr.Radio(STUDENTS, value="depthwise", label="Student")
    with gr.Accordion("Teachers", open=False, elem_id="word-teachers"):
        teachers = _teachers(desk)
    with gr.Accordion("Training", open=False, elem_id="word-training"):
        training = _training()
    source.change(
        lambda chosen: [
            gr.update(visible=chosen == UPLOADED),
            gr.update(visible=chosen == THERE),
            gr.update(visible=chosen == SPOKEN),
        ],
        source,
        [upload, folder, clips],
        **QUIET,
    )
    return [text, source, upload, folder, clips, student, *teachers, *training]


def _teachers(desk):
    kinds = gr.CheckboxGroup(
        wakeword.KINDS,
        value=["wav2vec2_bert", "wav2vec2"],
        label="Small ones, trained on the recordings first",
        info="With none the student learns from the labels alone, which is quicker.",
        elem_id="teachers",
    )
    encoders = gr.Textbox(
        label="Encoders of your own",
        placeholder="w2v-bert-2.0, hubert",
        info="Folders in the work directory as transformers saves them, with commas.",
    )
    layers = gr.Textbox(
        label="Layers the student is aligned with",
        placeholder="middle",
        info="A number, early, middle, late, last; several with commas; ; between "
        "teachers.",
    )
    weighting = gr.Dropdown(
        planning.WEIGHTINGS,
        value=planning.WEIGHTINGS[0],
        label="Teachers are weighed by",
    )
    return kinds, encoders, layers, weighting


def _training():
    gr.Markdown("0 steps: as many as are usual.")
    with gr.Row():
        steps = [
            gr.Number(0, label=f"{name} steps", precision=0, min_width=90)
            for name in ("Teachers’", "Student’s", "QAT")
        ]
    with gr.Row():
        per_hour = gr.Number(0.5, label="False accepts per hour", min_width=120)
        seed = gr.Number(0, label="Seed", precision=0, min_width=80)
    noise = gr.Textbox(label="Folder of background noise in the work directory")
    name = gr.Textbox(label="Name of the run", placeholder="made of the word")
    changes = gr.Textbox(
        label="Other settings, one a line",
        placeholder="student.distill.tau=0.3",
        lines=2,
        elem_id="changes",
    )
    return *steps, per_hour, seed, noise, name, changes


def _form(desk, values):
    """The `planning.Form` of the values of `_fields`."""
    text, source, upload, folder, clips, student, *rest = values
    kinds, encoders, layers, weighting, *rest = rest
    *steps, per_hour, seed, noise, name, changes = rest
    data = ""
    if source == UPLOADED:
        data, _ = uploads.recordings(desk.root, upload, desk.most_bytes)
    elif source == THERE:
        data = folder or ""
        if not data:
            raise ValueError("choose a folder of recordings, or type its path")
    return planning.Form(
        text,
        name or "",
        str(data),
        noise or "",
        tuple(kinds),
        encoders or "",
        student,
        layers or "",
        weighting,
        dict(zip(planning.STEPS, steps, strict=True)),
        clips or 0,
        per_hour or 0,
        seed or 0,
        changes or "",
    )
