"""The voice lint counts phrases in each kind of prose, and fails above its limit."""

import json

import pytest

from tests.support.scripts import load_script

PLAIN = '"""Read a file and return its rows."""\n'


@pytest.fixture
def lint(tmp_path, monkeypatch):
    module = load_script("tools/voice_lint.py")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def f():\n    """Return the rows\n    so\n    many."""\n', [(3, "so many")]),
        ("x = 1\n# The rows of such\n# tables are kept\n# apart.\n", [(2, "of such"), (3, "kept apart")]),
        ("x = 1  # ends so\n\n# many rows\n", []),
        ('x = f"{a} told {b}"\n', [(1, "told")]),
        ('x = f"rows of {a} kept " f"apart in {b}"\n', [(1, "kept apart")]),
        ('x = {"told": "is told"}\n', []),
        ('class A:\n    x: int\n    """Number of rows at\n    hand."""\n', [(3, "at hand")]),
    ],
)
def test_python_is_searched_in_docstrings_comments_and_strings(lint, tmp_path, source, found):
    path = write(tmp_path, "topicnet/core/a.py", source)
    assert [(line, phrase) for line, phrase, _ in lint.findings(path)[1]] == found


def test_strings_outside_of_the_package_are_not_prose(lint, tmp_path):
    assert lint.findings(write(tmp_path, "tests/a.py", 'x = "the rows are told apart"\n')) == (0, [])


PAGE = """# A page

The rows are so
many here.

- so
- many

```python
told = 1
```

```{note}
It was told.
```

`told` and `begun
anew` are code.
"""


def test_markdown_is_searched_by_paragraphs_outside_of_code(lint, tmp_path):
    path = write(tmp_path, "docs/a.md", PAGE)
    assert [(line, phrase) for line, phrase, _ in lint.findings(path)[1]] == [(3, "so many"), (14, "told")]


def test_markdown_cells_of_notebooks_are_searched(lint, tmp_path):
    cells = [{"cell_type": "code", "source": ["# told"]}, {"cell_type": "markdown", "source": ["It is\n", "told."]}]
    path = write(tmp_path, "docs/a.ipynb", json.dumps({"cells": cells}))
    assert lint.findings(path) == (3, [(2, "told", "It is told.")])


def test_the_table_counts_by_folder_and_fails_above_the_limit(lint, tmp_path, capsys):
    write(tmp_path, "topicnet/images/model/a.py", PLAIN)
    write(tmp_path, "topicnet/images/data/a.py", PLAIN)
    write(tmp_path, "topicnet/text/readers/a.py", PLAIN)
    assert lint.main([]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["topicnet/images/data", "7", "0"],
        ["topicnet/images/model", "7", "0"],
        ["topicnet/text", "7", "0"],
    ]
    write(tmp_path, "topicnet/images/data/b.py", '"""Say what is told of the rows."""\n')
    assert lint.main([]) == 1
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if "above the limit" in line]
    assert row[:3] == ["topicnet/images/data", "14", "2"]


def test_a_docstring_that_begins_with_a_relative_clause_fails(lint, tmp_path, capsys):
    write(tmp_path, "topicnet/core/a.py", '"""Whether rows are read."""\n')
    assert lint.main([]) == 1
    assert "relative clause: topicnet/core/a.py:1" in capsys.readouterr().out


def test_occurrences_are_listed(lint, tmp_path, capsys):
    path = write(tmp_path, "docs/a.md", "It was\ntold.\n")
    assert lint.main([str(path)]) == 0
    assert capsys.readouterr().out == "docs/a.md:2: 'told' in 'It was told.'\n"


def test_paths_that_cannot_be_searched_give_one_line(lint, tmp_path, tmp_path_factory, capsys):
    for path, reason in [(tmp_path / "none", "no such file or folder"), (tmp_path_factory.mktemp("a"), "not in the")]:
        assert lint.main([str(path)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert reason in err
        assert err.count("\n") == 1
