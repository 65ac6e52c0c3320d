"""Inner layers of a teacher as something that a small student can be held against."""

import jax.numpy as jnp
import numpy as np

# Of a teacher's features that hardly vary; LayerNorm's.
SMALLEST_VARIANCE = 1e-5


def overlaps(frames, rows):
    """How much of each frame of one clock lies in each row of another, [rows, frames].

    Both cover the same stretch of time evenly; each row has 1 in sum, so that a product
    with it is a mean.
    """
    edge_t = np.linspace(0.0, 1.0, frames + 1)
    edge_u = np.linspace(0.0, 1.0, rows + 1)[:, None]
    inside_ut = np.minimum(edge_t[1:], edge_u[1:]) - np.maximum(
        edge_t[:-1], edge_u[:-1]
    )
    return np.float32(np.maximum(inside_ut, 0.0) * rows)


def target(hidden_btd, rows):
    """A hidden layer as the target of a projector.

    Averaged to the student's clock, or over the whole window, and then standardised
    over its features: hidden layers of different encoders differ a hundredfold in
    scale, and the loss would be theirs.

    Args:
      hidden_btd: [batch, frames, teacher's width].
      rows: time steps of the student, 0 for the mean over the window.

    Returns:
      float32 [batch, rows, width], or [batch, width].
    """
    hidden_btd = hidden_btd.astype(jnp.float32)
    if rows:
        overlap_ut = overlaps(hidden_btd.shape[1], rows)
        hidden_btd = jnp.einsum("ut,btd->bud", overlap_ut, hidden_btd)
    else:
        hidden_btd = jnp.mean(hidden_btd, axis=1)
    mean = jnp.mean(hidden_btd, axis=-1, keepdims=True)
    variance = jnp.var(hidden_btd, axis=-1, keepdims=True)
    return (hidden_btd - mean) / jnp.sqrt(variance + SMALLEST_VARIANCE)


def squared(projected, aimed):
    """Mean squared difference of each example, [batch].

    Args:
      projected: of the student, [batch, …, width].
      aimed: from `target`, the same shape.
    """
    return jnp.mean(jnp.square(projected - aimed), axis=tuple(range(1, aimed.ndim)))


def cosine(projected, aimed):
    """1 - cosine of the angle between both, a mean over time, [batch].

    Args as of `squared`.
    """
    product = jnp.sum(projected * aimed, axis=-1)
    square = jnp.sum(jnp.square(projected), -1) * jnp.sum(jnp.square(aimed), -1)
    # Inside the root: its gradient at 0 is not finite.
    angle = 1 - product / jnp.sqrt(jnp.maximum(square, 1e-12))
    return jnp.mean(angle, axis=tuple(range(1, angle.ndim)))


DISTANCES = {"mse": squared, "cosine": cosine}
# Where teachers' layers are, as a share of their number.
PLACES = {"early": 0.25, "middle": 0.5, "late": 0.75, "last": 1.0}


def layers(asked, count, teacher):
    """Numbers of the hidden layers that are asked for.

    Args:
      asked: numbers and names separated by commas, "3,late"; "" for none. 0 is what
        the first layer takes, `count` what the last one gives, -1 is the last one too;
        names are those of PLACES.
      count: layers of the teacher.
      teacher: what to call it in a message.

    Returns:
      Tuple of ints from 0 to count, each once, in order.

    Raises:
      ValueError: there is no such layer; all of them are named.
    """
    found, strange = set(), []
    for name in filter(None, (part.strip() for part in asked.split(","))):
        if name in PLACES:
            found.add(max(1, round(PLACES[name] * count)))
        elif name.lstrip("-").isdigit() and -count - 1 <= int(name) <= count:
            found.add(int(name) % (count + 1))
        else:
            strange.append(name)
    if strange:
        raise ValueError(
            f"{teacher} has no layer {', '.join(strange)}; its hidden layers are 0 "
            f"(what the first takes) to {count}, or {', '.join(PLACES)}"
        )
    return tuple(sorted(found))
