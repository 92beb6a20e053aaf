"""Check that every internal link of a built HTML site leads to a page, a file or an anchor that exists.

python tools/check_links.py docs/_build/html
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

GENERATED = {"genindex.html", "search.html", "py-modindex.html"}  # pages whose links are the theme's


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the targets and the anchors of a tag."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name in ("href", "src"):
                self.links.add(value)


def broken_links(site: Path) -> list[str]:
    """Each internal link that leads nowhere, with the page it is on; also each script or style from another host."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name in GENERATED:
            continue
        for link in sorted(page.links):
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            other = (path.parent / unquote(target.path)).resolve() if target.path else path
            other = other / "index.html" if other.is_dir() else other
            if not other.exists():
                found.append(f"{path.relative_to(site)}: no file {link}")
            elif other in pages and unquote(target.fragment) not in pages[other].anchors:
                found.append(f"{path.relative_to(site)}: no anchor {link}")
    return found


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    found = broken_links(site)
    print("\n".join(found) or "all internal links lead somewhere")
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
