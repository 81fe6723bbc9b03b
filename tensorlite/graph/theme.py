"""Colours, light and dark, and the fonts. Text has a contrast of at least 4.5 to 1 on everything it stands on."""

LIGHT = {
    "paper": "#ffffff",
    "text": "#1c2230",
    "grey": "#5a6377",
    "value": "#0b62b8",
    "grad": "#b84600",
    "alarm": "#b3142c",
    "line": "#7a8499",
    "edge-of-card": "#b3bccd",
    "op": "#ffffff",
    "module": "#e6f0fb",
    "leaf": "#ffffff",
    "constant": "#f1f2f6",
    "more": "#f1f2f6",
    "output": "#fdeee2",
    "cluster": "#f5f7fb",
    "cluster2": "#ffffff",
}
DARK = {
    "paper": "#12161f",
    "text": "#e8ebf2",
    "grey": "#a3adc0",
    "value": "#7db9f5",
    "grad": "#ffa366",
    "alarm": "#ff8f9c",
    "line": "#7f8aa1",
    "edge-of-card": "#4a5468",
    "op": "#1b202c",
    "module": "#1a2a40",
    "leaf": "#1b202c",
    "constant": "#262c3a",
    "more": "#262c3a",
    "output": "#38271b",
    "cluster": "#171c27",
    "cluster2": "#12161f",
}
THEMES = {"auto": LIGHT, "light": LIGHT, "dark": DARK}  # "auto" turns dark where the reader's screen is
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"


def fill(card) -> str:
    """The name of a card's background colour."""
    return "output" if card.output else card.kind


def variables(theme: dict) -> str:
    """The colours as CSS variables."""
    return ";".join(f"--{name}:{colour}" for name, colour in theme.items())
