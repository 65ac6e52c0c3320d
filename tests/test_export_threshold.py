import pytest
from test_export import CARD
from tiny_quant import drawn, network

from distill_jax import export
from distill_jax.export import header, threshold

FOUND = {"word": "yes", "threshold": 0.125}


@pytest.fixture
def model():
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnx")
    return drawn(network(True, True))


def test_all_files_of_an_export_get_it_and_the_header_as_if_exported_again(
    tmp_path, model
):
    paths = export.write(tmp_path, model, CARD, export.FORMATS)
    before = {form: path.read_bytes() for form, path in paths.items()}
    assert set(threshold.keep(paths["tflite"], FOUND)) == set(paths.values())
    for form, path in paths.items():
        data, about = export.read(path)
        assert about["threshold"] == FOUND
        assert (data == before[form]) == (form != "c")
    again = export.write(
        tmp_path / "again", model, CARD._replace(threshold=FOUND), export.FORMATS
    )
    assert paths["c"].read_bytes() == again["c"].read_bytes()
    assert export.read(paths["c"]) == export.read(again["c"])


def test_a_header_without_one_gets_one(model):
    bare = header.write(model, CARD._replace(threshold=None))
    assert b"DISTILL_THRESHOLD" not in bare
    expected = header.write(model, CARD._replace(threshold=FOUND))
    assert header.with_threshold(bare, FOUND) == expected


def test_files_of_another_network_keep_theirs(tmp_path, model):
    mine = export.write(tmp_path, model, CARD, ["npz"])
    other = export.write(tmp_path, model, CARD._replace(step=8), ["onnx"])
    assert threshold.keep(mine["npz"], FOUND) == [mine["npz"]]
    assert export.read(other["onnx"])[1]["threshold"] == CARD.threshold


def test_a_damaged_file_beside_is_told(tmp_path, model):
    paths = export.write(tmp_path, model, CARD, ["npz", "c"])
    paths["c"].write_bytes(paths["c"].read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short"):
        threshold.keep(paths["npz"], FOUND)
