"""A hook of mkdocs: attributes that share a line of a docstring stand together.

Of "validation, test: shares" griffe makes an attribute "validation," of the type "test".
"""

import re

_JOINT = re.compile(r"<b><code>((?:<[^>]*>)*\w+,(?:<[^>]*>)*)</code></b>\s*\(<code>(.*?)</code>\)", re.S)


def on_page_content(html: str, **_) -> str:
    """Puts all names of such a line where the first one stands."""
    return _JOINT.sub(_together, html)


def _together(match: re.Match[str]) -> str:
    names = re.findall(r"\w+", re.sub(r"<[^>]*>", "", f"{match[1]} {match[2]}"))
    return f"<b><code>{', '.join(names)}</code></b>"
