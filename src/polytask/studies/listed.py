"""Tables: the same one for a terminal, for Markdown, for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Listed:
    """Heads and rows of cells; the first `num_words` columns hold words, the others numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_words: int = 1

    def table(self) -> Table:
        """For a terminal: words are folded where there is no room, numbers never."""
        table = Table(
            title=escape(self.title),
            box=box.SIMPLE,
            title_justify="left",
            pad_edge=False,
            collapse_padding=True,
        )
        for place, name in enumerate(self.heads):
            is_word = place < self.num_words
            justify: JustifyMethod = "left" if is_word else "right"
            table.add_column(escape(name), justify=justify, no_wrap=not is_word, overflow="fold")
        for row in self.rows:
            table.add_row(*map(escape, row))
        return table

    def markdown(self) -> str:
        """For a file, without the title."""
        rule = ["---"] * self.num_words + ["---:"] * (len(self.heads) - self.num_words)
        rows = [[_in_one_cell(cell) for cell in row] for row in (self.heads, *self.rows)]
        lines = [rows[0], rule, *rows[1:]]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _in_one_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").splitlines())
