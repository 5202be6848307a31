"""The documentation site: `make docs` builds it into build/docs."""

import os
import sys
import warnings
from pathlib import Path

from sphinx.ext.autodoc.mock import mock

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "source")]
# The pages need neither a backend nor TensorFlow, whose import would take most of the time.
os.environ["KERAS_BACKEND"] = "numpy"
warnings.filterwarnings("ignore", message="`custom_gradient` for the numpy backend")
with mock(["tensorflow"]):
    import reference

    import cspkeras

    reference.write_pages(DOCS / "reference/generated")

project, release = "cspkeras", cspkeras.__version__
extensions = ["myst_parser", "sphinx_argparse_cli", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["source"]

myst_heading_anchors = 3
highlight_language = "text"
smartquotes_action = "D"  # dashes; docstrings quote values
default_role = "code"  # docstrings have Markdown's single backticks

napoleon_use_ivar = True
autodoc_mock_imports = ["tensorflow"]
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 100
add_module_names = False

html_theme = "furo"
html_title = "cspkeras"
html_show_copyright = html_show_sphinx = html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]


def setup(app):
    """Show a dataclass's default that is made anew as `...`: Sphinx can't read `<factory>`."""
    app.connect("autodoc-process-signature", _without_factories)


def _without_factories(app, what, name, documented, options, signature, returns):
    return signature and signature.replace("<factory>", "..."), returns
