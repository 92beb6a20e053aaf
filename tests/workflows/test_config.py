"""Configuration: the command line overrides the file, the file overrides the defaults, and no code in a file runs."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from topicnet.cli.options.shared import named_values
from topicnet.errors import ConfigError
from topicnet.models import MODELS
from topicnet.text.readers.named_corpora import recipes
from topicnet.workflows.config import FitConfig, read_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


@pytest.fixture
def config(tmp_path: Path):
    """Read a configuration from YAML text and options of the command line."""

    def read(text: str | bytes, **given: Any) -> FitConfig:
        path = tmp_path / "config.yaml"
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return read_config(path, given)

    return read


def refusal(config, text: str | bytes, **given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(text, **given)
    message = str(caught.value)
    assert message.isprintable()  # so: one line
    assert "config.yaml" in message
    return message


def test_the_published_configurations_are_there() -> None:
    assert {"etm-lee", "etm-20newsgroups"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_published_configuration_names_existing_fields(path: Path) -> None:
    config = read_config(path, {})
    assert config.corpus in recipes()
    assert config.model in MODELS
    known = MODELS[config.model]().get_params()
    assert set(config.parameters) <= set(known)


def test_without_options_the_documented_defaults_apply() -> None:
    config = read_config(None, {})
    assert config == FitConfig()
    assert (config.model, config.topics, config.seed, config.device) == ("etm", 20, 0, "auto")
    assert (config.text_column, config.id_column, config.encoding) == ("text", None, "utf-8")
    assert (config.keep_corpus, config.keep_texts, config.parameters) == (True, False, {})


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n", "parameters:\n", "{}"])
def test_an_empty_file_gives_the_defaults(config, text: str) -> None:
    assert config(text) == FitConfig()


def test_the_file_overrides_the_defaults_and_the_command_line_overrides_the_file(config) -> None:
    text = "topics: 50\nseed: 7\nmodel: w-lda\nkeep_texts: true\n"
    read = config(text, topics=30, seed=None, device="cpu", keep_texts=False)
    assert (read.topics, read.seed, read.model, read.device) == (30, 7, "w-lda", "cpu")
    assert read.keep_texts is False
    assert read.text_column == "text"


@pytest.mark.parametrize(("name", "value"), [("seed", 0), ("keep_corpus", False), ("corpus", ""), ("min_df", 0.0)])
def test_a_value_that_counts_as_false_is_still_given(config, name: str, value: object) -> None:
    text = "seed: 7\nkeep_corpus: true\ncorpus: lee\nmin_df: 3\n"
    assert getattr(config(text, **{name: value}), name) == value


def test_parameters_are_merged_one_by_one(config) -> None:
    text = "parameters:\n  hidden_dim: 100\n  learning_rate: 0.01\n  max_epochs: 5\n"
    read = config(text, parameters={"learning_rate": 0.5, "max_epochs": None, "batch_size": 64})
    assert read.parameters == {"hidden_dim": 100, "learning_rate": 0.5, "max_epochs": 5, "batch_size": 64}
    assert read_config(None, {"parameters": {"a": 1, "b": None}}).parameters == {"a": 1}


def test_the_options_given_are_not_modified(config) -> None:
    given = {"topics": 30, "parameters": {"a": 1}}
    config("topics: 50\nparameters: {b: 2}", **given)
    read_config(None, given)
    assert given == {"topics": 30, "parameters": {"a": 1}}


def test_numbers_and_texts_keep_their_yaml_types(config) -> None:
    read = config("corpus: 'news.csv'\nmin_df: 3\nmax_df: 0.5\nlang: 'none'\nparameters: {x: [1, 2], y: null}\n")
    assert (read.corpus, read.min_df, read.max_df, read.lang) == ("news.csv", 3, 0.5, "none")
    assert isinstance(read.min_df, int)
    assert read.parameters == {"x": [1, 2], "y": None}


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("colour: red", "unknown entry 'colour', expected one of: corpus, model, topics"),
        ("Topics: 5", "unknown entry 'Topics'"),
        ("topics: '20'", "topics='20'"),
        ("topics: 20.0", "topics=20.0"),
        ("topics: true", "topics=True"),
        ("topics: [1]", "topics=[1]"),
        ("topics: 0", "topics=0"),
        ("topics: null", "topics=None"),
        ("seed: -1", "seed=-1"),
        ("seed: 4294967296", "seed=4294967296"),
        ("max_vocab: 0", "max_vocab=0"),
        ("keep_texts: 1", "keep_texts=1"),
        ("corpus: 5", "corpus=5"),
        ("min_df: many", "min_df"),
        ('seed: "a\\nb\\x1b"', "seed="),
        ("parameters: 5", "parameters is int"),
        ("parameters: [1]", "parameters is list"),
        ("parameters: {1: 2}", "parameters"),
    ],
)
def test_an_unknown_or_impossible_entry_is_refused_by_name(config, text: str, printed: str) -> None:
    assert printed in refusal(config, text)


@pytest.mark.parametrize("text", ["parameters: []", "parameters: 0", "parameters: false", "parameters: ''"])
def test_empty_parameters_of_another_type_are_refused_too(config, text: str) -> None:
    assert "parameters" in refusal(config, text)


def test_options_of_the_command_line_are_checked_like_entries_of_a_file() -> None:
    with pytest.raises(ConfigError, match="topics=0 given") as caught:
        read_config(None, {"topics": 0})
    assert "None" not in str(caught.value)
    with pytest.raises(ConfigError, match="unknown entry 'colour'"):
        read_config(None, {"colour": "red"})


@pytest.mark.parametrize(
    "text",
    ["a: [", "corpus: 'x", "a: b: c", "\tx: 1", "? [a]\n: b", "topics: \x01", b"\xff\xfe", b"\x00", "a: *gone", "%"],
)
def test_invalid_yaml_is_reported_in_one_line(config, text: str | bytes) -> None:
    assert "is not YAML" in refusal(config, text)


@pytest.mark.parametrize(
    "text",
    ["corpus: 2024-02-30", "topics: !!int many", "topics: " + "9" * 5000, "parameters: " + "[" * 5000],
    ids=["date", "tag", "digits", "deep"],
)
def test_yaml_that_cannot_be_converted_is_reported_in_one_line(config, text: str) -> None:
    assert "is not YAML" in refusal(config, text) or "given, expected" in refusal(config, text)


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "5", "1: 2", "true: x"])
def test_yaml_without_named_entries_is_refused_with_an_example(config, text: str) -> None:
    assert "`topics: 20`" in refusal(config, text)


@pytest.mark.parametrize("tag", ["os.system", "subprocess.getoutput", "builtins.eval"])
@pytest.mark.parametrize("kind", ["apply", "new"])
def test_a_tag_that_runs_code_is_not_run(config, tmp_path: Path, tag: str, kind: str) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')" if tag == "builtins.eval" else f"touch {mark}"
    refusal(config, f'parameters:\n  x: !!python/object/{kind}:{tag} ["{code}"]\n')
    assert not mark.exists()


def test_an_unreadable_file_is_reported_in_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "config.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"cannot read the configuration .*{reason}") as caught:
            read_config(path, {})
        assert str(caught.value).isprintable()


def test_a_configuration_is_rebuilt_from_its_own_values(config) -> None:
    """The configuration in run.json starts the same run again."""
    read = config("topics: 5\nmin_df: 2\nmax_df: 0.9\nparameters: {learning_rate: 0.001}")
    assert FitConfig(**read.model_dump()) == read


LAUGHS = "\n".join(f"  {b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        pytest.param(f"parameters:\n  a: &a [x]\n{LAUGHS}\n", "more than 20,000 values", id="billion laughs"),
        pytest.param("parameters: &a\n  x: *a\n", "more than 20,000 values", id="an alias of itself"),
        pytest.param("# " + "x" * 300_000, "more than 250,000 bytes", id="a large file"),
        pytest.param("a: " + "[" * 20_000, "is not YAML", id="nested"),
        pytest.param("parameters: {x: !!bool x}", "is not YAML", id="a tag beside another value"),
        pytest.param("parameters: {x: 2020-01-01}", "x=datetime.date(2020, 1, 1)", id="a date"),
        pytest.param("parameters: {x: !!binary aGVsbG8=}", "x=b'hello'", id="bytes"),
        pytest.param("parameters: {x: !!set {a}}", "x={'a'}", id="a set"),
        pytest.param("parameters: {x: [1, [.inf]]}", "x=[1, [inf]]", id="infinity in a list"),
        pytest.param("parameters: {x: .nan}", "x=nan", id="no number"),
        pytest.param(f"parameters: {{x: {'9' * 40}}}", "x=99999", id="a huge number"),
        pytest.param("corpus: !!binary aGVsbG8=", "corpus=b'hello'", id="a corpus of bytes"),
    ],
)
def test_odd_values_are_refused_in_one_line(config, text: str, printed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(text)
    assert printed in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_few_yaml_aliases_are_read(config) -> None:
    read = config("parameters:\n  x: &a [1, 2]\n  y: *a\n  z: [*a, *a]\n")
    assert read.parameters == {"x": [1, 2], "y": [1, 2], "z": [[1, 2], [1, 2]]}


@pytest.mark.parametrize("text", ["2020-01-01", "!!binary aGVsbG8=", "!!set {a}", ".inf", "!!timestamp x", "&a [*a]"])
def test_odd_values_of_an_option_are_refused_in_one_line(text: str) -> None:
    with pytest.raises((ConfigError, typer.BadParameter)) as caught:
        read_config(None, {"parameters": named_values([f"hidden_dim={text}"], "")})
    assert "\n" not in str(caught.value)


def test_numpy_numbers_become_python_numbers() -> None:
    read = read_config(None, {"parameters": {"hidden_dim": np.int64(4), "dropout": np.float32(0.5)}})
    assert json.dumps(read.parameters) == '{"hidden_dim": 4, "dropout": 0.5}'
