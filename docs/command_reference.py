"""A hook of mkdocs: puts the commands' arguments, and the options of `train`, into the pages that ask for them."""

import argparse

from model_maker import cli
from model_maker import options as declared
from model_maker.cli import train_command


def on_page_markdown(markdown: str, **_) -> str:
    """Replaces the marks in a page."""
    for place, text in (("<!-- commands -->", commands), ("<!-- options -->", options)):
        markdown = markdown.replace(place, text()) if place in markdown else markdown
    return markdown


def commands() -> str:
    """Returns Markdown: for each sub-command its usage, and each of its arguments with its help."""
    [found] = [action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return "\n\n".join(_command(name, parser) for name, parser in found.choices.items())


def options() -> str:
    """Returns Markdown: a table of the options of `train`, by group."""
    rows = ["| option | type | meaning |", "|---|---|---|"]
    for name, entry in declared.declarations().items():
        kind = str(declared.kinds()[name]).removeprefix("<class '").removesuffix("'>").replace("|", "or")
        rows.append(f"| `{name}` | {kind} | {train_command.help_of(name, entry)} |")
    return "\n".join(rows)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    parts = [f"## {name}", parser.description or "", f"```text\n{_usage(name, parser)}\n```"]
    for group in parser._action_groups:
        # absl's flags bring --helpshort and --helpfull along.
        actions = [action for action in group._group_actions if "--help" not in " ".join(action.option_strings)]
        if actions:
            if group.title not in ("positional arguments", "options"):
                parts.append(f"**{group.title[0].upper()}{group.title[1:]}.** {group.description or ''}")
            parts.append("\n\n".join(_argument(action, parser) for action in actions))
    if parser.epilog:
        parts.append(f"```text\n{parser.epilog.strip()}\n```" if "\n" in parser.epilog else parser.epilog)
    return "\n\n".join(parts)


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    """Returns what has to be given; the options stand below it."""
    if parser.usage:
        return parser.usage
    formatter = parser._get_formatter()
    words = [formatter._format_args(action, action.metavar) for action in parser._actions if not action.option_strings]
    words += [formatter._format_action_invocation(a) for a in parser._actions if a.option_strings and a.required]
    return " ".join(["model_maker", name, "[options]", *words])


def _argument(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Returns an item of a definition list."""
    formatter = parser._get_formatter()
    text = formatter._expand_help(action).replace("<", "&lt;").replace("*", r"\*")
    return f"`{formatter._format_action_invocation(action)}`\n:   {text}"
