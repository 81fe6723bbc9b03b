"""The commands explain and lesson: a backward pass as a page, or as text in the terminal."""

import sys

from tensorlite import errors


def explain(args) -> int:
    """Walk back through a formula given on the command line."""
    from tensorlite.backend import dtypes
    from tensorlite.explainer.expression import read_number
    from tensorlite.explainer.lessons import formula

    given = {}
    for word in args.values:
        name, sign, value = word.partition("=")
        if not sign or not name.isidentifier():
            raise errors.ArgumentError(f"{word!r}: NAME=VALUE is needed, such as x1=2")
        if name in given:
            raise errors.ArgumentError(f"{word!r}: {name} has been given a value already")
        given[name] = read_number(name, value, dtypes.float64)
    return _give(formula(args.formula, given, lang=args.lang, title=args.formula.strip().rpartition("\n")[2]), args)


def lesson(args) -> int:
    """Open a lesson, or list them."""
    import tempfile
    import webbrowser
    from pathlib import Path

    from tensorlite.explainer.lessons import LESSONS, lesson as load, write_all

    if args.list or args.name is None:
        place = 1 if args.lang == "zh" else 0
        for name, found in LESSONS.items():
            print(f"{name:18} {found.title[place]}")
        return 0
    if args.text or args.out:
        return _give(load(args.name, args.lang), args)
    load(args.name, args.lang)  # refuses an unknown name before anything is written
    path = write_all(Path(tempfile.mkdtemp(prefix="tensorlite-")), args.lang)[args.name]
    webbrowser.open(path.as_uri())
    print(path, file=sys.stderr)
    return 0


def _give(explanation, args):
    """Print, write, or open."""
    if args.text:
        print(explanation.text(), end="")
    elif args.out:
        print(explanation.save(args.out), file=sys.stderr)
    else:
        print(explanation.show(), file=sys.stderr)
    return 0
