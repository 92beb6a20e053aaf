"""The check of links finds each kind of broken link."""

from tests.support.scripts import load_script


def test_broken_links_are_found(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="here"></h1><a href="#here">a</a><a href="#gone">b</a><a href="part/page.html#x">c</a>'
        '<a href="part/page.html#y">d</a><a href="missing.html">e</a><a href="https://example.org/">f</a>'
        '<img src="none.png">'
    )
    (tmp_path / "part" / "page.html").write_text('<p id="x"></p><a href="../index.html">up</a>')
    assert load_script("tools/check_links.py").broken_links(tmp_path) == [
        "index.html: no anchor #gone",
        "index.html: no file missing.html",
        "index.html: no file none.png",
        "index.html: no anchor part/page.html#y",
    ]
