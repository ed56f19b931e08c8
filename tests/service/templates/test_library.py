"""Files of styles and wildcards: formats, faults, and changes while the gateway runs."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from service.app import create_app
from service.templates.library import Library

SHAPES = Path(__file__).parents[3] / "models" / "shapes"
Open = Callable[..., Library]


@pytest.fixture
def opened(settings: Settings) -> Open:
    def open_library(**changes: object) -> Library:
        fields = {"models": "none=nowhere"} | {name: str(v) for name, v in changes.items()}
        return Library.open(settings.model_copy(update=fields))

    return open_library


def write(path: Path, text: str, changed_s: int = 0) -> Path:
    """A file that was changed so many seconds after the epoch: clocks of disks are coarse."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    os.utime(path, (changed_s, changed_s))
    return path


def style(name: str, **fields: object) -> str:
    return json.dumps([{"name": name, "prompt": "{prompt}, " + name} | fields])


def test_json_and_csv_files_of_a_folder_are_read(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "styles"
    write(folder / "a.json", style("night", defaults={"width": 96, "sampler": "DPM++ 2M"}))
    write(
        folder / "deep" / "styles.csv",
        '\ufeffname,prompt,negative_prompt\n--- divider ---,,\noil,"oil, {prompt}",photo\n',
    )
    write(folder / "README.md", "not a style")
    styles = opened(styles=folder).styles
    assert list(styles) == ["night", "oil"]
    assert (styles["night"].defaults.width, styles["night"].defaults.sampler) == (96, "dpmpp_2m")
    assert (styles["oil"].prompt, styles["oil"].negative_prompt) == ("oil, {prompt}", "photo")


def test_a_single_file_is_enough_and_none_means_no_styles(opened: Open, tmp_path: Path) -> None:
    assert list(opened(styles=write(tmp_path / "my.json", style("night"))).styles) == ["night"]
    assert opened().styles == {}


def test_a_local_model_brings_its_styles_along(opened: Open, tmp_path: Path) -> None:
    models = f"shapes={SHAPES},other={tmp_path}"
    assert "night" in opened(models=models).styles
    own = write(tmp_path / "my.json", style("mine"))
    assert list(opened(models=models, styles=own).styles) == ["mine"], "ours are all"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "[", "is not JSON"),
        ("a.json", "{}", "must hold a list of styles"),
        ("a.json", "[1]", "style 1: "),
        ("a.json", '[{"prompt": "x"}]', "style 1: name: Field required"),
        ("a.json", '[{"name": "a", "promt": "x"}]', "style 1: promt: Extra inputs"),
        ("a.json", '[{"name": "a", "defaults": {"wide": 1}}]', "style 1: defaults.wide: Extra"),
        ("a.json", '[{"name": "a", "defaults": {"width": 7}}]', "style 1: defaults.width: "),
        ("a.json", '[{"name": "a"}, {"name": "a"}]', "two styles “a”"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.csv", "name,prompt\nx,y\n", "must begin with the line name,prompt,negative_prompt"),
        ("a.csv", 'name,prompt,negative_prompt\n"x', "is not CSV"),
        ("a.csv", "name,prompt,negative_prompt\n,y,\n", "style 1: name"),
    ],
)
def test_a_file_that_is_no_set_of_styles_is_named_at_start(
    settings: Settings, tmp_path: Path, name: str, text: str, why: str
) -> None:
    file = write(tmp_path / name, text)
    with pytest.raises(ConfigurationError) as caught:
        create_app(settings.model_copy(update={"styles": str(file)}))
    assert str(file) in caught.value.message
    assert why in caught.value.message


def test_a_missing_file_is_named_at_start(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.json does not exist"):
        opened(styles=tmp_path / "gone.json")
    with pytest.raises(ConfigurationError, match="gone is not a folder"):
        opened(wildcards=tmp_path / "gone")


def test_wildcards_are_the_lines_of_text_files_below_a_folder(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "wildcards"
    write(folder / "colours.txt", "# comment\nred\n\n  blue \r\n")
    write(folder / "animals" / "small.txt", "frog")
    write(folder / "empty.txt", "\n")
    write(folder / "notes.md", "no")
    found = opened(wildcards=folder).wildcards
    assert found == {"animals/small": ("frog",), "colours": ("red", "blue")}


def test_what_is_no_text_is_named(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "wildcards"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match=r"a\.txt is not UTF-8"):
        opened(wildcards=folder)
    (folder / "a.txt").write_bytes(b"a\0b")
    with pytest.raises(ConfigurationError, match=r"a\.txt is not a text"):
        opened(wildcards=folder)


def test_changes_are_read_and_a_broken_one_keeps_the_last_good_set(
    opened: Open, tmp_path: Path
) -> None:
    file = write(tmp_path / "styles" / "a.json", style("night"), 1)
    colours = write(tmp_path / "wildcards" / "colours.txt", "red", 1)
    library = opened(styles=file.parent, wildcards=colours.parent)
    with structlog.testing.capture_logs() as logs:
        library.refresh()
        assert logs == [], "nothing changed"
        write(file, style("day"), 2)
        write(file.with_name("b.json"), style("dusk"), 2)
        write(colours, "blue", 2)
        library.refresh()
        assert list(library.styles) == ["day", "dusk"]
        assert library.wildcards == {"colours": ("blue",)}
        write(file, "[", 3)
        library.refresh()
        library.refresh()
        assert list(library.styles) == ["day", "dusk"]
    broken = [one for one in logs if one["log_level"] == "error"]
    assert [(one["event"], one["what"]) for one in broken] == [("templates.unusable", "styles")]
    assert str(file) in broken[0]["why"]
    write(file, style("dawn"), 4)
    library.refresh()
    assert list(library.styles) == ["dawn", "dusk"]
    file.unlink()
    library.refresh()
    assert list(library.styles) == ["dusk"]
