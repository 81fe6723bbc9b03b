"""Colours, light and dark, and the fonts. Text has a contrast of at least 4.5 to 1 on everything it stands on."""

LIGHT = {
    "paper": "#ffffff",
    "text": "#1c2230",
    "grey": "#5a6377",
    "value": "#0b62b8",
    "grad": "#b84600",
    "local": "#0a7456",
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
    "local": "#5fd3ae",
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
SCALES = {  # for color_by, pale to deep; all text on them is in the colour "text"
    "memory": (
        ("#f3f8fe", "#d3e6fa", "#a9cdf3", "#7fb4ec", "#5c9cdf"), ("#1b2230", "#1c2f4a", "#1d3d66", "#1f4c83", "#225ba1")
    ),
    "time": (
        ("#f0faf6", "#cdeee1", "#9adcc3", "#66c6a3", "#40ad88"), ("#1b2725", "#1b3a33", "#1a4c40", "#18604f", "#15735f")
    ),
    "grad": (
        ("#fef6ee", "#fde0c5", "#fbc290", "#f7a15e", "#ec8433"), ("#2a221d", "#47301d", "#643a19", "#814613", "#9a500d")
    ),
}  # fmt: skip
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"


def fill(card, legend=None) -> str:
    """The name of a card's background colour."""
    if legend is not None:
        return "constant" if card.heat is None else f"heat{card.heat}"
    return "output" if card.output else card.kind


def palette(theme, legend=None, dark=False) -> dict:
    """The colours of a picture: name -> colour. dark: those of the night, where the theme is "auto"."""
    dark = dark or theme == "dark"
    colours = DARK if dark else LIGHT
    if legend is None:
        return colours
    return {**colours, **{f"heat{k}": c for k, c in enumerate(SCALES[legend.scale][dark])}}


def variables(theme: dict) -> str:
    """The colours as CSS variables."""
    return ";".join(f"--{name}:{colour}" for name, colour in theme.items())
