"""Write the docs' generated parts: their tables, between markers in the pages and the READMEs, and their figures.

    pip install -e '.[dev]'
    python docs/generate.py             # all
    python docs/generate.py --check     # writes nothing; status 1 if a page's table differs

A page has `<!-- table: NAME -->`, the table, and `<!-- end -->`. The networks are counted anew, into
measured/counted.json; --check takes them from there, as tests hold it against the networks. What was measured is in
docs/measured/, each file by the script of its name in benchmarks/ (learning_equal.json: learning.py;
learning_long.json: learning_jax.py).
"""

import argparse
import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare the tables")
    parser.add_argument("--figures", nargs="+", metavar="NAME", help="only draw these, no tables")
    args = parser.parse_args()
    sys.path.insert(0, str(DOCS / "source"))
    from counting import COUNTED, count
    from figures import FIGURES
    from tables import markdown

    from cspkeras.files import replacing, write_json

    if not args.check and not args.figures:
        write_json(COUNTED, count())

    different = []
    for page in (*sorted(DOCS.parent.glob("README*.md")), *sorted(DOCS.rglob("*.md"))) if not args.figures else ():
        text = page.read_text(encoding="utf-8")
        generated = MARKED.sub(lambda found: f"{found[1]}{markdown(found[2])}\n{found[3]}", text)
        if generated != text:
            different.append(page)
            if not args.check:
                with replacing(page) as aside:
                    aside.write_text(generated, encoding="utf-8")
    for page in different:
        print(f"{page}: {'its tables differ from the generated ones' if args.check else 'written'}")
    if args.check:
        return 1 if different else 0
    for name in args.figures or FIGURES:
        with replacing(DOCS / "figures" / f"{name}.svg") as aside:
            FIGURES[name](aside)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
