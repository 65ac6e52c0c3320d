"""The formulas of `benchmarks.scaling` against the models and against the compiler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import compiled_costs, corpus_costs, jobs_by_formula, layer_costs, pods
from benchmarks.layer_costs import total
from distill_jax.models.conv_vae import ConvVAE
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.models.wav2vec2 import Wav2Vec2
from distill_jax.models.wav2vec2_bert import Wav2Vec2Bert
from distill_jax.task import Task

# What ml_collections reads a config with.
pytestmark = pytest.mark.filterwarnings("ignore:.*load_module:DeprecationWarning")

NETWORKS = {
    "vae": (ConvVAE(), (1, 128, 94, 2), layer_costs.conv_vae()),
    "tiny": (TinyConv(35), (1, 49, 40), layer_costs.tiny_conv(35)),
    "depthwise": (
        TinyConv(6, use_depthwise=True),
        (1, 49, 40),
        layer_costs.tiny_conv(6, depthwise=True),
    ),
    "bert": (Wav2Vec2Bert(scan=True), (1, 49, 160), layer_costs.wav2vec2_bert(49)),
    "base": (Wav2Vec2(scan=True), (1, 16_000), layer_costs.wav2vec2(16_000)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_model(name):
    module, shape, parts = NETWORKS[name]
    params = compiled_costs.shapes(module, shape)["params"]
    assert total(parts.values()).params == compiled_costs.count(params)


def test_flops_are_within_five_per_cent_of_the_compilers():
    module, parts = TinyConv(4), layer_costs.tiny_conv(4)
    compiled = compiled_costs.learning(module, (2, 49, 40), train=True)
    wanted = 2 * jobs_by_formula.learnt(total(parts.values()), parts["first"])
    # Norms and activations come on top.
    assert 0.95 < wanted / compiled_costs.flops(compiled) < 1


def linear():
    """A job of one matrix and one bias."""

    def init(rng):
        kernel = jax.random.normal(rng, (64, 16))
        return {"kernel": kernel, "bias": jnp.zeros(16)}, {}

    def loss_fn(params, state, batch, rng):
        y_bo = batch["audio_bs"] @ params["kernel"] + params["bias"][None]
        return jnp.mean(y_bo**2 * batch["weight_b"][:, None]), (state, {})

    return Task(
        init, loss_fn, None, lambda params: (params, ()), lambda _, batch: batch, None
    )


@pytest.mark.parametrize("fsdp", [1, 8])
def test_collectives_are_those_of_a_program_on_eight_devices(fsdp):
    config, task = compiled_costs.config_of("vae", "tiny"), linear()
    config.rate_scale = ()
    audio_bs = np.ones((8, 64), np.float32)
    batch = {"audio_bs": audio_bs, "weight_b": np.ones(8, np.float32)}
    program = compiled_costs.update(config, task, (), batch, fsdp)
    found = compiled_costs.collective_bytes(program)
    params, _ = jax.eval_shape(task.init, jax.random.key(0))
    gradients = 4 * compiled_costs.count(params)
    # The loss and the norm of the gradient are scalars of their own.
    assert gradients <= found.pop("all-reduce") <= gradients + 16
    kernel = 4 * 64 * 16
    assert compiled_costs.cut_bytes(params, fsdp) == (kernel if fsdp > 1 else 0)
    assert found == ({"all-gather": kernel} if fsdp > 1 else {})


def test_rings_send_all_but_their_own_share():
    assert pods.all_reduce_bytes(1, 800) == pods.all_gather_bytes(1, 800) == 0
    assert pods.all_reduce_bytes(8, 800) == 1400
    assert pods.all_gather_bytes(8, 800) == 700


def test_a_copy_is_shared_by_as_few_chips_as_hold_it():
    job, pod = jobs_by_formula.bert_teacher(), pods.v5e(4, 4)
    assert pods.fits(job, pod, 8) == 1
    assert pods.fits(job, pod, 32) > 1
    assert pods.fits(job, pod, 1000) is None
    assert pods.predicted(job, pod, 1000) is None


def test_efficiency_falls_where_a_batch_is_shared_by_more_chips():
    job = jobs_by_formula.vae()
    few, many = (
        pods.predicted(job, pod, 1024 / pod.chips)
        for pod in (pods.v5e(2, 4), pods.v5e(16, 16))
    )
    assert many.step < few.step
    assert many.efficiency < few.efficiency < 1


def test_small_jobs_wait_for_the_host():
    found = pods.predicted(jobs_by_formula.quantised(), pods.h200(8), 64)
    assert found.limit == "dispatch"
    assert found.step == pods.DISPATCH_SECONDS


def test_layers_are_extrapolated_from_the_second():
    assert compiled_costs.extrapolated(one=10, two=13, layers=4) == 19


def test_room_is_used_up_by_the_hours_it_is_enough_for():
    for growth in corpus_costs.growths('{"name": "a.wav"}'):
        assert growth.hours * growth.each_hour == pytest.approx(growth.room)
