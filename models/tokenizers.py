"""From text to token ids and back: the character tokenizer."""

from tensorlite import errors
from tensorlite.creation import tensor


class CharTokenizer:
    """One id for each character of a text, in the order of their code points.

    Example:
        >>> from tensorlite.models.tokenizers import CharTokenizer
        >>> t = CharTokenizer.train("hello")
        >>> t.encode("hole"), t.decode([1, 0])
        ([1, 3, 2, 0], 'he')
    """

    def __init__(self, characters: str):
        if len(set(characters)) < len(characters):
            raise errors.ArgumentError("CharTokenizer: a character appears twice in the vocabulary")
        self.characters = characters
        self.ids = {c: i for i, c in enumerate(characters)}

    @classmethod
    def train(cls, text: str) -> "CharTokenizer":
        """A tokenizer that knows the characters of `text`."""
        return cls("".join(sorted(set(text))))

    def __len__(self):
        return len(self.characters)

    def start(self) -> str:
        """What a text may be written after when nothing is given: the end of a line, else the first character known."""
        return "\n" if "\n" in self.ids else self.characters[0]

    def encode(self, text: str) -> list:
        """The ids of a text. Raises ArgumentError naming a character that is not in the vocabulary."""
        try:
            return [self.ids[c] for c in text]
        except KeyError as e:
            raise errors.ArgumentError(
                f"encode: the character {e.args[0]!r} is not in the vocabulary of {len(self)} characters"
            ) from None

    def encode_tensor(self, text: str, device=None):
        """The ids of a text as an int64 vector."""
        return tensor(self.encode(text), dtype=int, device=device)

    def decode(self, ids) -> str:
        """The text of ids (a list or a vector)."""
        return "".join(self.characters[i] for i in (ids.tolist() if hasattr(ids, "tolist") else ids))
