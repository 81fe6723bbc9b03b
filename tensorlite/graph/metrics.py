"""How large texts and cards are. All type is monospaced, so that widths are known without the viewer's fonts."""

import unicodedata

TITLE, TEXT = 14, 12  # font sizes
ADVANCE = 0.605  # of a letter, in font sizes: the widest of the common monospaced fonts
PAD_X, PAD_Y = 12, 9
TITLE_ROW, ROW = 20, 16
LABEL_ROW = 14  # of texts on edges
LABEL_TEXT = 11


def columns(text: str) -> int:
    """The letters a text is wide; Chinese and the like count twice, combining marks not at all."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def width(text: str, size: int = TEXT) -> float:
    """The width of a text in a font size."""
    return columns(text) * size * ADVANCE


def badge(card) -> str:
    """What is said about fan-out."""
    return f"used {card.used}×" if card.used > 1 else ""


def line_text(line) -> str:
    """The right side of a line, alarm included."""
    return "  ".join(t for t in (line.text, line.alarm) if t)


def blocks(lines):
    """Each line with the blanks that follow it, so that the rows of one array have the same width."""
    made, start = [], 0
    while start < len(lines):
        stop = start + 1
        while lines[start].grid and stop < len(lines) and lines[stop].grid and not lines[stop].label:
            stop += 1
        wide = max(columns(line_text(x)) for x in lines[start:stop])
        made += [(x, " " * (wide - columns(line_text(x)))) for x in lines[start:stop]]
        start = stop
    return made


def card_size(card) -> tuple:
    """(width, height) of a card."""
    rows = [width(card.title, TITLE) + (width(card.shape) + 14 if card.shape else 0)]
    side = badge(card)
    if card.note or side:
        rows.append(width(card.note) + (width(side) + 14 if side else 0))
    for line, pad in blocks(card.lines):
        right = line_text(line) + pad
        rows.append(width(line.label) + width(right) + (12 if line.label and right else 0))
    return max(72.0, max(rows) + 2 * PAD_X), 2 * PAD_Y + TITLE_ROW + ROW * (len(rows) - 1)


def label_size(edge) -> tuple:
    """(width, height) of the text on an edge; (0, 0) without."""
    if not edge.labels:
        return 0.0, 0.0
    return max(width(t, LABEL_TEXT) for t in edge.labels), float(LABEL_ROW * len(edge.labels))
