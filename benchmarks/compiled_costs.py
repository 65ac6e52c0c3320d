"""What the compiler says of programs, nothing of which is run: to check formulas."""

import importlib.util
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import optimizer, sharding, step
from distill_jax.task import TrainState

CONFIGS = Path(__file__).parents[1] / "configs"
BYTES = {"pred": 1, "u8": 1, "s8": 1, "bf16": 2, "f16": 2, "f64": 8, "s64": 8}
COLLECTIVES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
CALL = re.compile(rf"= (\(.*?\)|\S+) ({COLLECTIVES})(?:-start)?\(")
ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


def shapes(module, *inputs):
    """Shapes of the variables of a module, for inputs of these shapes."""
    given = [jnp.zeros(shape) for shape in inputs]
    return jax.eval_shape(lambda rng: module.init(rng, *given), jax.random.key(0))


def count(tree):
    """Numbers in a tree of arrays or shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def learning(module, shape, frozen=None, train=False):
    """The compiled gradient of a network's squared result, for inputs of a shape.

    Args:
      module: gives a result and a dictionary.
      shape: of its input, with the batch.
      frozen: name of parameters to which no gradient goes, or None.
      train: train mode.
    """
    variables = dict(shapes(module, (1, *shape[1:])))
    params = variables.pop("params")
    held = {name: params[name] for name in params if name == frozen}
    moving = {name: params[name] for name in params if name != frozen}
    rng = jax.random.key(0)

    def loss(moving, held, state, x):
        given = {"params": moving | held, **state}
        rngs = {"dropout": rng, "latent": rng}
        mutable = list(state) if train else False
        found = module.apply(given, x, train=train, rngs=rngs, mutable=mutable)
        (result, _) = found[0] if train else found
        return jnp.sum(result**2)

    x = jax.ShapeDtypeStruct(shape, np.float32)
    return jax.jit(jax.grad(loss)).lower(moving, held, variables, x).compile()


def flops(compiled):
    """FLOPs as the compiler counts them."""
    return compiled.cost_analysis()["flops"]


def extrapolated(one, two, layers):
    """What so many layers take, if the second of two takes what each takes."""
    return one + (layers - 1) * (two - one)


def config_of(name, variant):
    """Settings of `configs/<name>.py:<variant>`."""
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def update(config, task, frozen, batch, fsdp):
    """The compiled update of a job over all devices of this process.

    Args:
      config: of the job.
      task: `Task`.
      frozen: what nobody moves, arrays.
      batch: {name: numpy array}.
      fsdp: devices to a copy.
    """
    mesh = sharding.mesh(fsdp)
    state = jax.eval_shape(lambda: _begun(config, task))
    shardings = sharding.shard(mesh, state)
    placed = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        state,
        shardings,
    )
    program = step.make_step(config, task, shardings)
    frozen, batch = sharding.spread(mesh, frozen), sharding.place(mesh, batch)
    return program.lower(placed, frozen, batch).compile()


def _begun(config, task):
    params, state = task.init(jax.random.key(0))
    moving = optimizer.trainable(params, task.trainable)
    opt_state, zero = optimizer.adamw(config).init(moving), jnp.zeros((), jnp.int32)
    return TrainState(zero, params, state, opt_state, params, zero, zero)


def cut_bytes(params, fsdp):
    """Float32 bytes of the parameters that `sharding.shard` cuts."""
    places = sharding.shard(sharding.mesh(fsdp), params)
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(places), strict=True)
    return 4 * sum(leaf.size for leaf, place in pairs if any(place.spec))


def collective_bytes(compiled):
    """Bytes of the results of each kind of collective, {kind: bytes}."""
    found = dict.fromkeys(COLLECTIVES.split("|"), 0)
    for result, kind in CALL.findall(compiled.as_text()):
        found[kind] += sum(
            BYTES.get(dtype, 4) * math.prod(int(n) for n in dims.split(",") if n)
            for dtype, dims in ARRAY.findall(result)
        )
    return {kind: size for kind, size in found.items() if size}
