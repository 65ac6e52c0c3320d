"""What the job in the background does, in words and as a bar."""

from html import escape

from distill_jax import progress, wakeword
from distill_jax.app import charts, planning, runs

IDLE = "Nothing is running."
SAID = {
    "stopping": "stopping after this step, and saving …",
    "stopped": "stopped; what was done is saved, go on at any time",
    "done": "done",
    "failed": "did not go on",
}
# Compiling, listening and writing have no steps to count.
SLOW = "working, which may take minutes"


def shown(state):
    """A `training.State` as HTML; None where nothing was started."""
    if state is None:
        return charts.note(IDLE)
    minutes, seconds = divmod(round(state.seconds), 60)
    head = f"<b>{escape(state.name)}</b>, {minutes} min {seconds:02d} s"
    if not state.running:
        kind = {"done": "good", "failed": "bad"}.get(state.outcome, "note")
        message = charts.note(state.message, "bad") if state.message else ""
        return f'<p class="{kind}">{head}: {SAID[state.outcome]}</p>{message}'
    share, text = _place(state)
    return f"<p>{head}</p>{charts.bar(share, text)}"


def _place(state):
    """How far it is in all, from 0 to 1, and in words."""
    event = state.event
    if event is None:
        return 0.0, "starting …"
    part = event.step / event.steps if event.steps else 0.0
    share = (event.number - 1 + part) / event.count
    text = f"part {event.number} of {event.count}: {event.title}"
    if event.steps > 1:
        text += f", step {event.step} of {event.steps}"
    else:
        text += f", {SLOW}"
    values = progress.shown(event.values)
    told = [f"{n} {values[n]}" for n in ("loss", "accuracy") if n in values]
    text = " – ".join([text, ", ".join(told)] if told else [text])
    return (
        share,
        f"{text} – {SAID['stopping']}" if state.outcome == "stopping" else text,
    )


def word(root, name):
    """Curves of a wake word, and what it can do once it is made; HTML."""
    if not name:
        return charts.note(
            "Give a word and press Start: losses and accuracy appear here."
        )
    plan = planning.read(root, name)
    record, parts = wakeword.read(plan.workdir), []
    if (plan.workdir / "index.html").is_file():
        link = f'Made. <a href="/files/{escape(name)}/index.html" target="_blank">'
        text = f"{link}Open the page of “{escape(plan.text)}”</a>"
        parts.append(f'<p class="good">{text}</p>')
        parts.append(charts.note("\n".join(wakeword.lines(plan, record))))
    done = [stage for stage, each in record.items() if "figures" in each]
    if done and not parts:
        parts.append(charts.note(f"done so far: {', '.join(done)}"))
    return "".join([*parts, charts.panels(runs.of_word(plan))])


def training(root, name):
    """Curves of a run; HTML."""
    if not name:
        return charts.note("Losses appear here once a run has begun.")
    return charts.panels(runs.curves(root, [name]))
