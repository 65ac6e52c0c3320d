import distill_jax


def test_the_command_tells_its_version(call):
    assert call("--version") == (0, f"distill_jax {distill_jax.__version__}\n", "")
