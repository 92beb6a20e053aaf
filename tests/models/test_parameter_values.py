"""Parameter names and values checked without importing a model agree with the models."""

import pytest

from topicnet.errors import InputError
from topicnet.experiments.baselines import BASELINES
from topicnet.experiments.job import BASELINE_NAMES
from topicnet.models import MODELS
from topicnet.models.parameter_names import NOT_PARAMETERS, parameter_names
from topicnet.models.parameter_values import COUNTS, NUMBERS, check_shared_values


@pytest.mark.parametrize("model", MODELS)
def test_names_read_from_the_source_are_those_of_the_estimator(model: str) -> None:
    assert {*parameter_names(model), *NOT_PARAMETERS} == set(MODELS[model]().get_params())


def test_each_checked_parameter_belongs_to_a_model() -> None:
    known = {name for model in MODELS for name in MODELS[model]().get_params()}
    assert {*COUNTS, *NUMBERS} <= known


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_accepted(model: str) -> None:
    check_shared_values(MODELS[model]().get_params())


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 1), ("max_epochs", 0), ("dropout", 1.0), ("init", "lda"), ("decoder", []), ("kl_weight", "x")],
)
def test_bad_values_give_the_same_message_as_the_models(name: str, value: object) -> None:
    with pytest.raises(InputError) as early:
        check_shared_values({name: value})
    with pytest.raises(InputError) as late:
        MODELS["etm"](**{name: value}).check_parameters()
    assert str(early.value) == str(late.value)


def test_the_listed_names_of_baselines_are_those_of_the_baselines() -> None:
    assert tuple(BASELINES) == BASELINE_NAMES
