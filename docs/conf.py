"""Sphinx settings of the documentation. `make docs` builds it, without network; warnings are errors."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parent / "_ext"))

from topicnet import __version__

project = "topicnet"
author = "The topicnet authors"
project_copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "mathml",
]
exclude_patterns = ["_build", "_ext", "**/generated/*"]
root_doc = "index"
smartquotes = False  # help texts hold quotes that are meant as they are
default_role = "py:obj"  # single backticks in docstrings: a link if the name is documented, else code

myst_enable_extensions = ["deflist", "dollarmath", "colon_fence", "attrs_block", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "off"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings name types, with shapes and units
autosummary_generate = False
maximum_signature_line_length = 80
numpydoc_show_class_members = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"topicnet {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["topicnet.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, Ubuntu, sans-serif"},
}
pygments_style = "default"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

_FITTED = re.compile(r"(?<![\w`*:\\])([A-Za-z]\w*)_(?=[\s.,;:)]|$)")


def escape_fitted_names(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Escape the last underscore of names such as `components_`, which reStructuredText takes for a link."""
    lines[:] = [_FITTED.sub(r"\1\\_", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect the hooks above; numpydoc reads the docstrings first."""
    app.connect("autodoc-process-docstring", escape_fitted_names, priority=900)
