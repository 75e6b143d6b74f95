"""Parsers of the languages that the apps are written in."""

import pytest


def errors(language, text):
    """Returns the lines of Kotlin, Swift or Dart that do not parse."""
    tree_sitter = pytest.importorskip("tree_sitter")
    if language == "dart":  # which has no package of its own
        parser = pytest.importorskip("tree_sitter_language_pack").get_parser(language)
    else:
        grammar = pytest.importorskip(f"tree_sitter_{language}")
        parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    found, waiting = [], [parser.parse(text.encode()).root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            found.append(text.splitlines()[node.start_point[0]])
        waiting += node.children
    return found
