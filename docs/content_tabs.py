"""A hook of mkdocs: fenced blocks that say `tab="..."` become tabs.

Blocks that follow one another without text between them are one group, and those of the same tab stand together in it.
Everywhere else, as on GitHub, they read as plain blocks.
"""

import itertools
import re

_BLOCK = re.compile(r'^```\w*[^\n]*? tab="(?P<tab>[^"]+)"[^\n]*\n.*?^```\n?', re.M | re.S)


def on_page_markdown(markdown: str, **_) -> str:
    """Puts the blocks of each group into the tabs that pymdownx.tabbed knows."""
    for group in reversed(_groups(markdown)):
        tabs = [
            f'=== "{tab}"\n\n' + "\n".join(map(_inside, blocks))
            for tab, blocks in itertools.groupby(group, lambda block: block["tab"])
        ]
        start, end = group[0].start(), group[-1].end()
        markdown = markdown[:start] + "\n".join(tabs) + markdown[end:]
    return markdown


def _groups(markdown: str) -> list[list[re.Match[str]]]:
    groups: list[list[re.Match[str]]] = []
    for block in _BLOCK.finditer(markdown):
        if groups and not markdown[groups[-1][-1].end() : block.start()].strip():
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def _inside(block: re.Match[str]) -> str:
    text = block[0].replace(f' tab="{block["tab"]}"', "", 1).rstrip("\n")
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n")) + "\n"
