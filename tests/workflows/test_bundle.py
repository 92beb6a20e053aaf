"""Saved models load unchanged; damaged, foreign and malicious bundles are refused in one line."""

import json
import pickle
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import topicnet
from tests.support.corpora import THREE_THEMES, texts
from topicnet.errors import BundleError, InputError
from topicnet.storage.formats import json_checksum
from topicnet.storage.model_files import HEADER, TENSORS
from topicnet.text.corpus import Corpus
from topicnet.text.readers.in_memory import documents_of_texts
from topicnet.text.readers.read import Documents
from topicnet.workflows.bundle import FORMAT, VOCABULARY, load_bundle

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def run():
    return topicnet.fit(texts(), n_topics=3, max_df=1.0, hidden_dim=8, embedding_dim=4, max_epochs=3)


@pytest.fixture
def saved(run, tmp_path):
    return run.save(tmp_path / "run")


def refusal(folder):
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_loaded_run_is_the_saved_one(run, saved):
    loaded = topicnet.load(saved)
    assert np.array_equal(loaded.theta, run.theta)
    assert np.array_equal(loaded.transform(texts()), run.transform(texts()))
    assert np.array_equal(loaded.model.components_, run.model.components_)
    assert loaded.vocabulary == run.vocabulary
    assert loaded.status == run.status
    assert loaded.model.get_params() == run.model.get_params()
    assert str(loaded.model.history_) == str(run.model.history_)  # NaN equals NaN
    assert loaded.topics().equals(run.topics())


def test_transform_takes_raw_text(run, saved):
    theta = topicnet.load(saved).transform(["The CAT, the dog -- and a Goat!", "", "zzz qqq"])
    assert theta.shape == (3, 3)
    assert np.allclose(theta.sum(1), 1, atol=1e-5)
    animals = [k for k, words in enumerate(run.top_words(3)) if set(words) <= set(THREE_THEMES[0].split())]
    assert theta[0].argmax() in animals
    assert np.array_equal(theta[1], theta[2])


def test_a_bundle_loads_from_its_own_folder(run, saved, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(saved / "model", alone)
    bundle = load_bundle(alone)
    corpus = Corpus.from_texts(texts(), vocabulary=bundle.vocabulary)
    assert np.array_equal(bundle.theta(corpus), run.transform(texts()))


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.glob("bundle-*")))
def test_bundles_of_every_past_format_load(name):
    """Bundles written by earlier versions give the same theta as they did then."""
    bundle = load_bundle(FIXTURES / name)
    expected = json.loads((FIXTURES / name / "expected.json").read_text())
    corpus = bundle.count([documents_of_texts(expected["texts"], None)])
    assert np.allclose(bundle.theta(corpus), expected["theta"], atol=1e-5)
    assert corpus.status.tolist() == expected["status"]


def test_there_is_a_bundle_of_each_format():
    assert {path.name.split("-")[1] for path in FIXTURES.glob("bundle-*")} == {str(n + 1) for n in range(FORMAT)}


def test_the_newer_format_is_used_only_if_older_versions_would_misread_the_bundle(run, saved, tmp_path):
    assert json.loads((saved / "model" / HEADER).read_text())["format"] == 1
    cut = replace(run, bundle=replace(run.bundle, text=run.bundle.text | {"passages": 5}))
    newer = cut.save(tmp_path / "newer")
    assert json.loads((newer / "model" / HEADER).read_text())["format"] == 2


@pytest.mark.parametrize("name", [TENSORS, VOCABULARY, HEADER])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.9])
def test_one_changed_byte_is_detected(saved, name, where):
    path = saved / "model" / name
    content = bytearray(path.read_bytes())
    at = int(where * (len(content) - 1))
    content[at] ^= 0x01
    path.write_bytes(content)
    assert "damaged" in refusal(saved) or name == HEADER


@pytest.mark.parametrize("name", [TENSORS, VOCABULARY, HEADER])
@pytest.mark.parametrize("keep", [0, 10, -2])
def test_a_truncated_file_is_detected(saved, name, keep):
    path = saved / "model" / name
    path.write_bytes(path.read_bytes()[:keep])
    assert "damaged" in refusal(saved)


@pytest.mark.parametrize("name", [TENSORS, VOCABULARY, HEADER])
def test_a_missing_file_is_detected(saved, name):
    (saved / "model" / name).unlink()
    assert refusal(saved)


def rewrite(saved, tensors=None, **changes):
    """Change the header and recompute its checksums, as an attacker would."""
    from topicnet.storage.formats import sha256

    folder = saved / "model"
    if tensors is not None:
        (folder / TENSORS).write_bytes(tensors)
    header = json.loads((folder / HEADER).read_text())
    header.pop("checksum")
    header["sha256"] = {name: sha256(folder / name) for name in (TENSORS, VOCABULARY)}
    header |= changes
    (folder / HEADER).write_text(json.dumps(header | {"checksum": json_checksum(header)}))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_in_place_of_tensors_is_not_executed(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rewrite(saved, tensors=pickle.dumps(Bomb()))
    assert "damaged" in refusal(saved)
    assert not (tmp_path / "exploded").exists()


def test_a_huge_safetensors_header_is_refused(saved):
    rewrite(saved, tensors=struct.pack("<Q", 2**62) + b"{}")
    assert "damaged" in refusal(saved)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": 99}, "update"),
        ({"model": "unheard-of"}, "update"),
        ({"parameters": {"n_topics": 4}}, "damaged"),
        ({"parameters": {"nonsense": 4}}, "damaged"),
        ({"parameters": {"n_topics": "3"}}, "damaged"),
        ({"vocab_size": 2}, "damaged"),
        ({"text": {"lang": "en"}}, "damaged"),
        ({"text": []}, "damaged"),
        ({"sha256": {}}, "damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(saved, changes, word):
    rewrite(saved, **changes)
    assert word in refusal(saved)


def test_text_is_not_tokenised_by_another_tokenizer_than_that_of_the_model(saved):
    text = json.loads((saved / "model" / HEADER).read_text())["text"]
    rewrite(saved, text=text | {"tokenizer": "of tomorrow"})
    bundle = load_bundle(saved)  # its topics can be read
    with pytest.raises(InputError, match="tokenised by of tomorrow, but unicode-letters-1 is installed"):
        bundle.count([Documents(["1"], ["stars and planets"], [{}])])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "1"}', "null", "[" * 100_000, "\x00\x01"])
def test_a_foreign_header_is_refused(tmp_path, content):
    (tmp_path / HEADER).write_text(content)
    assert refusal(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    assert "run folder" in refusal(tmp_path / "missing")
    assert "run folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["doc_topic.csv", "topics.json", "metrics.json", "run.json"])
def test_a_run_with_a_damaged_table_is_refused(saved, name):
    (saved / name).write_bytes(b"\xff{")
    with pytest.raises(BundleError):
        topicnet.load(saved)
