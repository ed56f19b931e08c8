"""What the step loop is told of models' files."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from latentry.contracts import ModelCard
from latentry.errors import ConfigurationError, Unavailable
from tests.latentry.ledger.factory import card
from worker.claims.inbox import Inbox, ModelChanged
from worker.model_files.model_files import ModelFiles
from worker.model_files.watcher import ModelWatcher


class FakeReader:
    """A file's text is its family; of `bad` and `odd` it is no model. `lacks`: what to read it."""

    def __init__(self) -> None:
        self.read_of: list[str] = []
        self.lacks = ""

    def read(self, model: str, path: Path) -> tuple[ModelCard, object]:
        self.read_of.append(model)
        text = path.read_text()
        if self.lacks:
            raise Unavailable(f"This machine has no {self.lacks}.")
        if text == "bad":
            raise ConfigurationError(f"{model} is bad.")
        if text == "odd":
            raise ValueError("as no library should")
        return card(model).model_copy(update={"family": text}), f"blueprint of {text}"


class Watched:
    """A folder, and a watcher that has looked once."""

    def __init__(self, folder: Path, *served: str) -> None:
        self.folder, self.inbox, self.reader = folder, Inbox(), FakeReader()
        files = ModelFiles({}, [folder], clock=lambda: 2**40)  # whatever is there is old
        assert set(files.open()) >= set(served)
        self.watcher = ModelWatcher(files, self.reader, self.inbox, served)

    def write(self, name: str, text: str) -> None:
        (self.folder / "new").write_text(text)
        (self.folder / "new").replace(self.folder / f"{name}.safetensors")

    def remove(self, name: str) -> None:
        (self.folder / f"{name}.safetensors").unlink()

    def said(self) -> list[tuple[str, object]]:
        """Of each model that has changed, once that has settled."""
        self.watcher.look()
        assert not self.inbox.take(), "one look is not enough"
        self.watcher.look()
        found = [one for one in self.inbox.take() if isinstance(one, ModelChanged)]
        assert all((one.card is None) == (one.blueprint is None) for one in found)
        return [(one.model, one.blueprint) for one in found]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    (tmp_path / "a.safetensors").write_text("SD 1.x")
    return Watched(tmp_path, "a")


def test_models_come_change_and_go(watched: Watched) -> None:
    assert watched.said() == []
    watched.write("b", "SDXL")
    assert watched.said() == [("b", "blueprint of SDXL")]
    watched.write("b", "SD 2.x")
    assert watched.said() == [("b", "blueprint of SD 2.x")]
    watched.remove("a")
    assert watched.said() == [("a", None)]
    watched.write("a", "SD 1.x")
    assert watched.said() == [("a", "blueprint of SD 1.x")]
    assert watched.said() == []


@pytest.mark.parametrize("text", ["bad", "odd"])
def test_what_cannot_be_used_is_said_once_and_ends_nothing(watched: Watched, text: str) -> None:
    with capture_logs() as logs:
        watched.write("b", text)
        assert watched.said() == []
        watched.remove("b")
        assert watched.said() == [], "it never was there"
        watched.write("a", text)
        assert watched.said() == [("a", None)], "it is what it was no more"
        assert watched.said() == []
    assert watched.reader.read_of == ["b", "a"]
    assert [one["model"] for one in logs if one["event"] == "model.unusable"] == ["b", "a"]
    watched.write("a", "SDXL")
    assert watched.said() == [("a", "blueprint of SDXL")]


def test_what_a_machine_cannot_read_now_is_read_at_the_next_look(watched: Watched) -> None:
    watched.reader.lacks = "memory"
    watched.write("a", "SDXL")
    watched.write("b", "SDXL")
    watched.write("c", "SDXL")
    assert watched.said() == [], "nothing is known of them yet"
    watched.reader.lacks = ""
    watched.remove("c")
    watched.watcher.look()
    assert len(watched.inbox.take()) == 2
    assert watched.said() == []
    assert watched.reader.read_of.count("b") == 2


def test_a_folder_that_is_away_changes_nothing(watched: Watched) -> None:
    os.rename(watched.folder, away := watched.folder.with_name("away"))
    for _ in range(3):
        assert watched.said() == []
    os.rename(away, watched.folder)
    assert watched.said() == []


def test_a_folder_that_does_not_exist_is_no_silence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which does not exist"):
        ModelFiles({}, [tmp_path / "none"]).open()


def test_pairs_are_served_at_once_and_looked_at_like_others(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_text("SD 1.x")
    files = ModelFiles({"mine": file, "late": tmp_path / "late.safetensors"}, [])
    assert files.open() == {}
    assert not files.look().there
    (tmp_path / "late.safetensors").write_text("SDXL")
    file.unlink()
    files.look()
    changes = files.look()
    assert (list(changes.there), changes.gone) == (["late"], ("mine",))
