"""The course in docs/learn: each chapter runs, prints what it says, makes its pictures byte for byte; the Chinese has the same code."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEARN = ROOT / "docs" / "learn"
spec = importlib.util.spec_from_file_location("make_learn", ROOT / "docs" / "make_learn.py")
make_learn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_learn)
CHAPTERS = [c.name for c in make_learn.chapters()]


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_runs(name, tmp_path):
    chapter = LEARN / name
    blocks = make_learn.code(chapter)
    said = make_learn.promised(blocks)
    assert said, "a chapter shows what it prints"
    printed = make_learn.run(chapter, tmp_path)
    assert make_learn.missing(printed, said) == [] and make_learn.unlike(printed, make_learn.shown(chapter)) == []
    pictures = sorted(re.findall(r"\]\((images/[^)]+)\)", chapter.read_text(encoding="utf-8")))
    made = sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / "images").iterdir())
    assert pictures == made and pictures
    for picture in pictures:
        assert (LEARN / picture).read_bytes() == (tmp_path / picture).read_bytes(), f"{picture}: python3 dev.py docs"


def test_there_are_ten_chapters_and_no_stray_picture():
    assert [n[:2] for n in CHAPTERS] == [f"{k:02}" for k in range(1, 11)]
    named = {p for n in CHAPTERS for p in re.findall(r"\((images/[^)]+)\)", (LEARN / n).read_text(encoding="utf-8"))}
    assert named == {f"images/{p.name}" for p in (LEARN / "images").iterdir()}


@pytest.mark.parametrize("name", CHAPTERS)
def test_chinese_has_the_same_code_and_pictures(name):
    english, chinese = LEARN / name, LEARN / "zh" / name
    assert make_learn.code(english) == make_learn.code(chinese)
    assert make_learn.shown(english) == make_learn.shown(chinese)
    text, other = (p.read_text(encoding="utf-8") for p in (english, chinese))
    assert re.findall(r"images/[\w-]+\.svg\)", text) == re.findall(r"images/[\w-]+\.svg\)", other)
    prose = re.sub(r"```python.*?```", "", other, flags=re.S)
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 100


@pytest.mark.parametrize("folder", [LEARN, LEARN / "zh"], ids=["en", "zh"])
def test_links_lead_somewhere(folder):
    for page in folder.glob("*.md"):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_engine_of_chapter_seven_is_short():
    lines = make_learn.code(LEARN / "07-engine.md")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
