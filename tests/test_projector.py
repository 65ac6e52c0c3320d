import jax
import numpy as np

from distill_jax.models.projector import Projector


def test_projector_is_dense_norm_relu_dense():
    rng = np.random.default_rng(0)
    module, x_bd = Projector(5, inner=6), np.float32(rng.normal(size=(3, 4)))
    shapes = jax.eval_shape(module.init, jax.random.key(0), x_bd)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
    inner, norm, outer = (variables["params"][n] for n in ("inner", "norm", "outer"))
    x_bi = x_bd @ inner["kernel"] + inner["bias"]
    x_bi = (x_bi - x_bi.mean(1)[:, None]) / np.sqrt(x_bi.var(1)[:, None] + 1e-5)
    x_bi = np.maximum(x_bi * norm["scale"] + norm["bias"], 0)
    np.testing.assert_allclose(
        module.apply(variables, x_bd), x_bi @ outer["kernel"] + outer["bias"], atol=1e-5
    )


def test_projector_takes_features_over_time():
    module = Projector(768)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((2, 7, 64)))
    result = jax.eval_shape(module.apply, shapes, np.zeros((2, 7, 64)))
    assert result.shape == (2, 7, 768)
