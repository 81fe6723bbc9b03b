"""A view as plain text, for terminals: a line for each card, indented by module."""

from tensorlite.graph.metrics import columns, line_text


def draw(view) -> str:
    """The picture as text: what each card is, what it reads, what it holds."""
    names = _names(view)
    reads = {c.id: [] for c in view.cards}
    for e in view.edges:
        words = f" ({'; '.join(e.labels)})" if e.labels else ""
        reads[e.target].append(names[e.source] + words)
    rows, opened = [], []
    for card in view.cards:
        chain, c = [], card.cluster
        while c >= 0:
            chain.insert(0, c)
            c = view.clusters[c].outer
        same = 0
        while same < min(len(chain), len(opened)) and chain[same] == opened[same]:
            same += 1
        for k in range(same, len(chain)):
            rows.append(("  " * k + f"[{view.clusters[chain[k]].title}]", "", ""))
        opened = chain
        note = card.note if card.note != card.title else ""
        if card.used > 1:
            note = f"{note}, used {card.used}×" if note else f"used {card.used}×"
        left = "  " * len(chain) + " ".join(t for t in (names[card.id], card.shape) if t)
        rows.append((left, f"<- {', '.join(reads[card.id])}" if reads[card.id] else "", note))
        for line in card.lines:
            rows.append(("  " * len(chain) + "    " + f"{line.label:5} {line_text(line)}".rstrip(), "", ""))
    wide = [min(44, max((columns(r[k]) for r in rows if r[1] or r[2]), default=0)) for k in (0, 1)]
    lines = []
    for left, middle, right in rows:
        text = left + " " * (wide[0] - columns(left)) + "  " + middle if middle or right else left
        if right:
            text += " " * (wide[0] + 2 + wide[1] - columns(text)) + "  " + right
        lines.append(text.rstrip())
    lines = [view.caption or view.title, *lines]
    return (
        "\n".join("".join(" " if c == "\u00a0" else c if c.isprintable() else "\ufffd" for c in line) for line in lines)
        + "\n"
    )


def _names(view):
    """A name for each card that no other has: `mul`, `mul.2`."""
    used, names = {}, {}
    for card in view.cards:
        n = used[card.title] = used.get(card.title, 0) + 1
        names[card.id] = card.title if n == 1 else f"{card.title}.{n}"
    return names
