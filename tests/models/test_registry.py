"""A model is one file and one registry entry, from which names, help, tables and documentation derive."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import topicnet
from tests.support import toy_model
from tests.support.corpora import planted
from topicnet.cli import run as command
from topicnet.models import MODELS
from topicnet.models.registry import REGISTRY, Registration, extra_units
from topicnet.workflows.export import export_tables

ROOT = Path(__file__).resolve().parents[2]
K, N_FAMILIES = 3, 2
THEMES = ["sea ship sail wind wave port", "bread flour oven yeast crust dough", "court judge law trial jury crime"]
TEXTS = [" ".join(np.random.default_rng(d).choice(THEMES[d % 3].split(), 20)) for d in range(60)]
TOY = Registration("tests.support.toy_model", "Toy", "a plain VAE", ("family",))


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(REGISTRY, "toy", TOY)


def test_registered_models_are_found_by_name_and_class():
    assert list(MODELS) == ["etm", "nvdm-gsm", "w-lda", "gmntm"]
    assert {name: kind.__name__ for name, kind in MODELS.items()} == {
        name: registration.class_name for name, registration in REGISTRY.items()
    }
    assert topicnet.ETM is topicnet.models.ETM is MODELS["etm"]
    assert "lda" not in MODELS
    assert MODELS.get("lda") is None
    with pytest.raises(AttributeError, match=r"topicnet\.models.* has no attribute 'LDA'"):
        _ = topicnet.models.LDA


def test_the_registry_is_read_without_torch():
    code = "import sys; from topicnet.models import MODELS; from topicnet.models.registry import extra_units; "
    code += "print(list(MODELS), extra_units(), sorted({'torch', 'sklearn', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['etm', 'nvdm-gsm', 'w-lda', 'gmntm'] {'component': ['gmntm']} []\n"


@pytest.mark.parametrize("name", [*MODELS, "toy"])
def test_the_registered_units_are_those_of_the_extra_tables(registered, name):
    counts, _ = planted(60, 30, K, seed=1)
    model = MODELS[name](K, max_epochs=1, init="random", random_state=0, device="cpu").fit(counts)
    tables = model.extra_tables()
    assert tuple(extra.unit for extra in tables) == REGISTRY[name].extra_units
    for extra in tables:
        assert extra.words.shape[1] == 30
        assert extra.of_documents(counts).shape == (60, len(extra.words))


@pytest.mark.parametrize("kind", [*MODELS.values(), toy_model.Toy], ids=lambda kind: kind.__name__)
def test_every_parameter_of_a_model_is_described(kind):
    section = re.search(r"^Parameters\n-+\n(.*?)\n\n", kind.__doc__, re.DOTALL | re.MULTILINE).group(1)
    entries = [entry.split("\n") for entry in re.split(r"\n(?=\S)", section)]
    described = [heading.partition(" : ")[0] for heading, *_ in entries]
    assert described == list(inspect.signature(kind).parameters)
    for heading, *description in entries:
        assert re.fullmatch(r"\w+ : .+", heading), "each has a separate entry"
        assert all(line.startswith("    ") for line in description)
        assert "".join(description).strip()
    assert described[0] == "n_topics"


def test_only_the_number_of_topics_is_positional():
    for kind in MODELS.values():
        assert kind(7).n_topics == 7
        with pytest.raises(TypeError, match="positional argument"):
            kind(7, 64)


@pytest.mark.parametrize("registration", REGISTRY.values(), ids=REGISTRY.keys())
def test_the_file_of_a_model_is_short_without_docstrings(registration):
    source = (ROOT / (registration.module.replace(".", "/") + ".py")).read_text("utf-8")
    described = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [ast.get_docstring(node) for node in ast.walk(ast.parse(source)) if isinstance(node, described)]
    assert len(source.splitlines()) - sum(len(one.splitlines()) for one in docstrings if one) <= 130


def test_readme_and_reference_list_the_registered_models():
    text, files = ((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/reference/run-folder.md"))
    for name, registration in REGISTRY.items():
        assert f"| `{name}` | `{registration.class_name}` | {registration.summary} | " in text
        for unit in registration.extra_units:
            assert f"`doc_{unit}.csv`" in files
            assert f"`{unit}_word.csv`" in files


def test_a_new_model_takes_sixty_lines_and_a_registry_entry(registered):
    assert len(Path(toy_model.__file__).read_text("utf-8").splitlines()) <= 60
    assert MODELS["toy"] is toy_model.Toy
    assert extra_units() == {"component": ["gmntm"], "family": ["toy"]}


def test_a_toy_model_is_fitted_saved_and_loaded(registered, tmp_path):
    run = topicnet.fit(TEXTS, model="toy", n_topics=K, max_epochs=2, random_state=0, device="cpu")
    assert run.extra["family"].shape == (len(TEXTS), N_FAMILIES)
    assert run.components is None
    assert list(run.topics(5).columns) == ["size", "npmi", "words"]
    loaded = topicnet.load(run.save(tmp_path / "run"))
    assert np.array_equal(loaded.extra["family"], run.extra["family"])
    assert np.array_equal(loaded.model.components_, run.model.components_)
    assert np.array_equal(loaded.transform(TEXTS[:4]), run.theta[:4])


def test_a_toy_model_works_in_every_command(registered, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(TEXTS), "utf-8")
    fit = ["fit", "texts.txt", "--model", "toy", "-k", str(K), "--epochs", "2", "--param", "n_families=2"]
    assert command([*fit, "--out", "run", "--quiet"]) == 0
    documents = pl.read_csv("run/doc_family.csv")
    assert documents.columns == ["doc_id", "status", "top_family", "family_0", "family_1"]
    assert pl.read_csv("run/family_word.csv")["family"].unique().sort().to_list() == [0, 1]
    capsys.readouterr()
    assert command(["topics", "run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["topics"]) == K
    assert command(["transform", "run", "texts.txt", "--out", "theta.csv", "--quiet"]) == 0
    assert pl.read_csv("theta.csv").height == documents.height
    written = {"doc-family": Path("d.csv"), "family-word": Path("w.parquet")}
    export_tables(Path("run"), written, None, 10, overwrite=False)
    assert Path("d.csv").read_bytes() == Path("run/doc_family.csv").read_bytes()
    assert pl.read_parquet("w.parquet").columns == ["family", "rank", "word", "probability"]
    with pytest.raises(topicnet.errors.InputError, match="toy has no components: only gmntm has"):
        export_tables(Path("run"), {"doc-component": Path("c.csv")}, None, 10, overwrite=False)
    assert command(["evaluate", "run", "--json"]) == 0
    assert "c_v" in capsys.readouterr().out.lower()
