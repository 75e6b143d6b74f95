"""What `label` prints."""

from collections.abc import Sequence

from model_maker.studio.labelling import Suggestion
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape


def show_queue(found: Sequence[Suggestion]) -> None:
    """A table of photos, the first to label first."""
    table = rendering.table("photo", "looks like", "score>")
    for one in found:
        score = f"{one.score:.3f}" if one.guess else "-"
        table.add_row(escape(str(one.path)), escape(one.guess or "-"), score)
    rendering.console().print(table)
