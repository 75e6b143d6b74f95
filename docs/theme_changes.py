"""A hook of mkdocs for what the theme has no option for.

The navigation stands beside the text from 1100 pixels on, not only from 1220. The theme has this width in its
stylesheets and scripts: 76.25em, and just below it 76.2344em or 76.234375em. And the search dialog has a name for
screen readers.
"""

from pathlib import Path

_WIDTHS = {"76.25em": "68.75em", "76.2344em": "68.7344em", "76.234375em": "68.734375em"}
_SEARCH = 'data-md-component="search" role="dialog"'


def on_post_page(output: str, **_) -> str:
    """Names the search dialog."""
    return output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"')


def on_post_build(config, **_) -> None:
    """Replaces the width wherever the built theme has it."""
    found = 0
    for path in Path(config["site_dir"], "assets").rglob("*.min.*"):
        if path.suffix in (".css", ".js"):
            text = path.read_text(encoding="utf-8")
            found += sum(text.count(width) for width in _WIDTHS)
            for width, narrower in _WIDTHS.items():
                text = text.replace(width, narrower)
            path.write_text(text, encoding="utf-8")
    if not found:
        raise ValueError("The theme has another width for its navigation now; see docs/theme_changes.py.")
