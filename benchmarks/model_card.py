"""Write docs/model_card.md from the card of a bundle; the text around the markers stays.

python benchmarks/model_card.py [BUNDLE] [--page PAGE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import PRETRAINED_BANDS, bundle_argument
from px4_tinyml.errors import Px4TinymlError
from px4_tinyml.quality.shipped_card import BEGIN, END, page_text
from px4_tinyml.quality.tables import write_page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "model_card.md"


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=bundle_argument, default=Path(PRETRAINED_BANDS), metavar="BUNDLE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="PAGE", help="default docs/model_card.md")
    args = parser.parse_args()
    try:
        write_page(args.page, page_text(ModelBundle.load(args.bundle)), BEGIN, END)
    except Px4TinymlError as error:
        print(f"model_card.py: {error}", file=sys.stderr)
        return error.exit_code
    print(args.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
