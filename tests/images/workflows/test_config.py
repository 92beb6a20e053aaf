"""Configuration of image runs: files, command-line values and invalid entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from topicnet.errors import ConfigError, InputError
from topicnet.images.workflows.config import ImageConfig, read_config
from topicnet.images.workflows.fit import estimator_of
from topicnet.images.workflows.preflight import run_name


def test_the_default_configuration() -> None:
    config = read_config(None, {"variant": None, "parameters": {}})
    assert config == ImageConfig()
    model = estimator_of(config)
    assert (model.variant, model.random_state, model.n_categories, model.max_epochs) == ("vae", 0, None, None)


def test_every_entry_reaches_the_estimator() -> None:
    given = {
        "variant": "joint-vae", "data": "somewhere", "categories": 7, "latent_dim": 5, "hidden_dim": 11, "layers": 1,
        "likelihood": "gaussian", "estimator": "enumerate", "epochs": 3, "batch_size": 9, "learning_rate": 0.02,
        "warm_up": 2, "schedule": "constant", "optimizer": "adam_normgrad", "patience": 4, "device": "cpu", "seed": 8,
        "parameters": {"gamma": 3.0}, "information_every": 3, "architecture": "conv",
    }  # fmt: skip
    assert given.keys() == ImageConfig.model_fields.keys() - {"experiment"}
    model = estimator_of(read_config(None, given))
    names = {"categories": "n_categories", "layers": "n_layers", "epochs": "max_epochs", "seed": "random_state"}
    for name, value in given.items():
        if name != "data":
            assert getattr(model, names.get(name, name)) == value, name


def test_the_command_line_wins_and_parameters_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("variant: beta-tcvae\nseed: 3\nlearning_rate: 5e-4\nparameters: {alpha: 2, beta: 1e1}\n")
    config = read_config(path, {"seed": 5, "data": None, "parameters": {"beta": 7, "gamma": 0.5}})
    assert (config.variant, config.seed, config.data, config.learning_rate) == ("beta-tcvae", 5, "digits", 5e-4)
    assert config.parameters == {"alpha": 2, "beta": 7, "gamma": 0.5}


def test_empty_files_and_empty_parameters(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content in ("", "# nothing\n", "parameters:\n"):
        path.write_text(content)
        assert read_config(path, {}) == ImageConfig()


def test_the_experiment_entry_is_not_part_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("variant: cp-vae\nexperiment: {data: [mnist], categories: [10, 150], published: {mnist: 87.15}}\n")
    config = read_config(path, {})
    assert config.experiment is not None
    assert "experiment" not in config.model_dump()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epoch: 3\n", r"unknown entry 'epoch', expected one of: variant, data, .* experiment$"),
        ("epochs: 2.5\n", r"epochs=2.5 given, expected a whole number"),
        ("epochs: true\n", r"epochs=True given, expected a whole number"),
        ("variant: 5\n", r"variant=5 given, expected text"),
        ("learning_rate: fast\n", r"learning_rate='fast' given, expected a number"),
        ("seed: 4294967296\n", r"seed=4294967296 given, expected less than 4294967296"),
        ("experiment: 3\n", r"experiment=3 given, expected names with values"),
        ("parameters: {1: 2}\n", r"parameters is \{1: 2\}, expected names with values"),
        ("5: vae\n", r"named entries"),
        ("variant: [\n", r"is not YAML"),
        ("variant: !!python/object/apply:os.system [ls]\n", r"is not YAML"),
        ("\x00", r"is not YAML"),
    ],
)
def test_invalid_entries(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path, {})
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_config(tmp_path / "none.yaml", {})


def test_parameters_of_another_variant_are_refused() -> None:
    with pytest.raises(InputError, match="parameter 'beta' given for vae: it has none"):
        estimator_of(read_config(None, {"parameters": {"beta": 2}}))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("digits", "digits"),
        ("x/letters.npz", "letters"),
        ("a/images-idx3-ubyte.gz", "images-idx3-ubyte"),
        ("a/b/", "b"),
    ],
)
def test_runs_are_named_after_their_images(source: str, name: str) -> None:
    assert run_name(ImageConfig(data=source, variant="hvae")) == f"{name}-hvae"
