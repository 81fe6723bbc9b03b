"""What is drawn: cards, edges and clusters as plain data, from which DOT, SVG and text are all made."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Line:
    """One line of a card: a word on the left, text on the right, and (red, bold) what is wrong with the numbers."""

    label: str
    text: str = ""
    kind: str = "note"  # "value", "grad", "note", "none" (a gradient that is not there) or "heat" (see heat.py)
    alarm: str = ""
    grid: bool = False  # a row of numbers that stand below those of the row before


@dataclass(slots=True)
class Card:
    """A box: an operation, a whole module, a leaf, a constant, or many operations or leaves in one ("more")."""

    id: int
    kind: str  # "op", "module", "leaf", "constant" or "more"
    items: list  # ids of the items it stands for; the last one is its result
    cluster: int = -1
    call: int = -1  # of a module card: the module call
    times: int = 1  # of a module card: how many equal ones it stands for
    name: str = ""  # of a module card: its path below the cluster it is in
    params: list = field(default_factory=list)  # of a module card: (name, item id, whether others use it too)
    total: int = 0  # of a module card: the parameters' elements, of all the modules it stands for
    inside: str = ""  # of a module card: what happens in it, in words
    used: int = 0  # how many operands read the result
    output: bool = False
    failed: bool = False  # the operation that raised an error
    ends: list = field(default_factory=list)  # outputs that are results of what is folded away: "h after call 12"
    title: str = ""
    note: str = ""
    shape: str = ""
    lines: list = field(default_factory=list)
    about: str = ""  # everything, for the tooltip
    whole: list = field(default_factory=list)  # ids of all items it stands for: folded ones, and leaves in it, included
    heat: int | None = None  # its colour on the scale of the legend; None: not known


@dataclass(slots=True)
class Edge:
    """From the card that computes something to one that uses it; what is said about it line by line."""

    source: int
    target: int
    labels: list = field(default_factory=list)
    operands: list = field(default_factory=list)  # names of the operands that read along it
    constant: bool = False  # no gradient flows back along it


@dataclass(slots=True)
class Cluster:
    """A box around cards: an open module, or what is repeated (`times` > 1)."""

    id: int
    outer: int
    name: str  # "blocks.0 … blocks.11"
    kind: str  # "Block"; empty: operations that repeat
    level: int
    call: int = -1  # the module call; -1: operations that repeat
    times: int = 1
    chained: bool = True
    total: int = 0  # the parameters' elements, of all the modules it stands for
    amount: str = ""  # with color_by: the sum of what is in it

    @property
    def title(self) -> str:
        """What is written at its top."""
        words = [self.name, f"{self.kind} × {self.times:,}" if self.times > 1 and self.kind else self.kind]
        if not self.kind:
            words = [f"repeated × {self.times:,}"]
        if self.times > 1 and not self.chained:
            words.append("side by side")
        if self.total:
            words.append(f"{self.total:,} params")
        if self.amount:
            words.append(self.amount)
        return "   ".join(w for w in words if w)


@dataclass(slots=True)
class Legend:
    """What the colours of cards mean, where they are a scale."""

    scale: str  # "memory", "time" or "grad"
    title: str
    steps: list  # of each colour: "1 KiB .. 5 KiB"
    unknown: bool  # whether there are cards without a colour


@dataclass
class View:
    """A picture's content: cards in the order of the computation, edges, clusters (outer before inner), remarks."""

    cards: list = field(default_factory=list)
    edges: list = field(default_factory=list)
    clusters: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    folds: list = field(default_factory=list)  # "blocks.0 … blocks.11"
    title: str = ""
    depth: int = 0
    legend: Legend | None = None

    @property
    def caption(self) -> str:
        """The text under the picture: what it is of, and remarks; nothing where the cards say it all."""
        return " ".join([f"{self.title}.", *self.notes]) if self.notes or "→" in self.title else ""
