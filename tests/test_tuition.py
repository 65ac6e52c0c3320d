import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_tuition

from distill_jax.distillation import alignment, certainty, targets
from distill_jax.models.projector import Projector
from distill_jax.tasks import distill, tuition, words
from distill_jax.teachers import lessons

LAYERS = "teacher_0_layer_0", "teacher_0_layer_1", "teacher_1_layer_1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes a job: (settings of config.distill) -> its task and config."""
    folder = tmp_path_factory.mktemp("tuition")
    found = tiny_tuition.teachers(folder)

    def make(**settings):
        config = tiny_tuition.config(folder, found)
        config.distill.update(settings)
        return distill.make(config), config

    return make


def params_of(task, seed=0):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(task.init, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: jnp.float32(np.abs(rng.normal(0, 0.3, leaf.shape))), shapes
    )


def batch_of(task, config, rows=0, size=6):
    """Features and answers drawn by numpy; the last two examples have no label."""
    rng = np.random.default_rng(1)
    steps = (rows,) if rows else ()
    batch = {
        "feature_btf": rng.normal(size=(size, 49, 40)),
        "label_b": np.array([0, 1, 0, 1, -1, -1][:size], np.int32),
        "weight_b": np.linspace(0.5, 2, size),
        "step": np.int32(0),
        lessons.LOGITS: 2 * rng.normal(size=(size, 2, 2)),
        **{name: rng.normal(size=(size, *steps, 24)) for name in LAYERS},
    }
    return jax.tree.map(lambda x: jnp.float32(x) if x.dtype == np.float64 else x, batch)


@pytest.mark.parametrize("over_time", [False, True])
def test_a_gradient_reaches_every_projector_and_the_student(made, over_time):
    task, config = made(over_time=over_time)
    params, state = params_of(task)
    batch = batch_of(task, config, rows=7 if over_time else 0)
    grad = jax.jit(jax.grad(lambda p: task.loss_fn(p, state, batch, None)[0]))(params)
    assert set(grad["projectors"]) == set(LAYERS)
    flat = jax.tree_util.tree_leaves_with_path(grad)
    still = [path for path, leaf in flat if not np.any(np.abs(leaf) > 1e-7)]
    assert not still
    assert np.isfinite([leaf.sum() for _, leaf in flat]).all()


def worked_out(module, params, state, batch):
    """The terms of every example: τ 0.4, temperature 3, pooled squared distances."""
    variables = {"params": distill.student_of(params), **state}
    (logits_bc, out), _ = module.apply(
        variables, batch["feature_btf"], train=True, mutable=list(state)
    )
    hard_b = -jax.nn.log_softmax(logits_bc)[np.arange(6), batch["label_b"]]
    logits_mbc = batch[lessons.LOGITS].swapaxes(0, 1)
    weight_mb = certainty.by_entropy(logits_mbc, 0.4)
    target_bc = targets.of_probabilities(logits_mbc, weight_mb, 3.0)
    distances = [
        alignment.squared(
            Projector(24, 8).apply({"params": projector}, out["embed_bd"]), batch[name]
        )
        for name, projector in params["projectors"].items()
    ]
    soft_b = targets.kl(target_bc, logits_bc, 3.0)
    return hard_b * (batch["label_b"] >= 0), soft_b, sum(distances) / 3, weight_mb


def test_the_loss_is_the_sum_of_its_terms(made):
    _, config = made(alpha=0.6, align=0.25, temperature=3.0, tau=0.4)
    config.label_smoothing = 0.0
    task = distill.make(config)
    (params, state), batch = params_of(task), batch_of(task, config)
    loss, (_, shown) = jax.jit(task.loss_fn)(params, state, batch, None)

    hard_b, soft_b, align_b, weight_mb = jax.jit(worked_out, static_argnums=0)(
        distill.model(config), params, state, batch
    )
    loss_b = 0.4 * hard_b + 0.6 * soft_b + 0.25 * align_b
    weight_b = np.asarray(batch["weight_b"])
    np.testing.assert_allclose(loss, np.average(loss_b, weights=weight_b), rtol=1e-4)
    np.testing.assert_allclose(
        shown["hard"], np.average(hard_b[:4], weights=weight_b[:4]), rtol=1e-4
    )
    for number, name in enumerate(tiny_tuition.KINDS):
        mean = np.average(weight_mb[number], weights=weight_b)
        np.testing.assert_allclose(shown[f"weight_{name}"], mean, rtol=1e-4)
        expected_n = np.histogram(weight_mb[number], bins=10, range=(0, 1))[0]
        np.testing.assert_array_equal(shown[f"weight_{name}_n"], expected_n)


def test_students_hear_what_teachers_hear(made):
    task, config = made()
    _, frozen = task.load(None)
    data = distill.data(config)
    batch = next(data.train(0))
    annotated = jax.jit(task.annotate)(frozen, {**batch, "step": np.int32(3)})
    settings = words.varied(config)
    heard_bs = words.heard({**batch, "step": 3}, frozen["bank"], settings)
    taught = tuition.build(config, tuition.opened(config), 7)
    say = jax.jit(
        lambda variables: lessons.taught(taught.lessons, variables, heard_bs, 0)
    )
    said = say(frozen["teachers"])
    assert set(said) == {lessons.LOGITS, *LAYERS}
    for name, value in said.items():
        np.testing.assert_allclose(annotated[name], value, atol=2e-4)
    assert lessons.LOGITS not in jax.eval_shape(task.annotate, frozen, batch)


def test_every_strange_setting_is_named(made):
    with pytest.raises(ValueError, match=r"'loud'.*'sum'.*'l1'.*alpha is 2.*tau is 0"):
        made(weighting="loud", mixture="sum", distance="l1", alpha=2.0, tau=0.0)


def test_one_text_for_each_teacher_is_asked_for(made):
    _, config = made()
    config.teacher_alignment_layers = ("last",)
    with pytest.raises(ValueError, match="1 entries for 2 teachers"):
        distill.make(config)


def test_teachers_of_one_name_are_refused(made):
    _, config = made()
    config.teachers = (config.teachers[0],) * 2
    with pytest.raises(ValueError, match="different names"):
        distill.make(config)


def test_a_teacher_of_other_labels_is_refused(made):
    _, config = made()
    config.labels = ("low", "high")
    with pytest.raises(ValueError, match=r"tells apart high, low.*low, high"):
        distill.make(config)


def test_teachers_and_mixup_are_refused_together(made):
    _, config = made()
    config.mixup = 0.2
    with pytest.raises(ValueError, match="hear clips that are not mixed"):
        distill.make(config)
