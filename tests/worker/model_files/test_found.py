"""Which models lie in folders, by the names of their files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from latentry.settings import Settings
from tests.worker.inodes import invent_inodes
from worker.model_files.found import find, id_of
from worker.opened import model_files


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_and_folders_of_models_at_any_depth(tmp_path: Path) -> None:
    one = write(tmp_path / "DreamShaper 8.safetensors")
    write(tmp_path / "DreamShaper 8.vae.safetensors")
    write(tmp_path / "DreamShaper 8.motion.safetensors")
    write(tmp_path / "DreamShaper 8.safetensors.part")
    write(tmp_path / "old.ckpt")
    write(tmp_path / "xl/Base/model_index.json")
    write(tmp_path / "xl/Base/unet/diffusion_pytorch_model.safetensors")
    write(tmp_path / "controlnet/config.json")
    write(tmp_path / "controlnet/diffusion_pytorch_model.safetensors")
    write(tmp_path / ".cache/hidden.safetensors")
    two = write(tmp_path / "xl/turbo.SAFETENSORS")
    found, others = find({}, [tmp_path])
    assert {id: model.path for id, model in found.items()} == {
        "dreamshaper-8": one,
        "base": tmp_path / "xl/Base",
        "turbo": two,
    }
    assert not others


def test_a_folder_may_be_one_model_and_a_file_too(tmp_path: Path) -> None:
    write(tmp_path / "shapes/model_index.json")
    write(tmp_path / "dream.safetensors")
    found, _ = find({}, [tmp_path / "shapes", tmp_path / "dream.safetensors"])
    assert list(found) == ["shapes", "dream"]


def test_pairs_come_first_and_of_two_with_one_id_the_first_counts(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.safetensors")
    first = write(tmp_path / "one/pen.safetensors")
    second = write(tmp_path / "two/Pen.safetensors")
    taken = write(tmp_path / "two/ink.safetensors")
    folders = [tmp_path / "one", tmp_path / "two"]
    found, others = find({"ink": mine, "gone": tmp_path / "gone.safetensors"}, folders)
    assert {id: model.path for id, model in found.items()} == {"ink": mine, "pen": first}
    assert others == {second: "pen", taken: "ink"}


def test_no_file_in_a_folder_takes_the_id_of_a_model_that_was_named(tmp_path: Path) -> None:
    """A hub's or a simulated one has no file here: it would be another model under its name."""
    file = write(tmp_path / "SD15.safetensors")
    other = write(tmp_path / "try.safetensors")
    named = f"sd15=owner/name@{'0' * 40},try=simulated:,mine={tmp_path}/mine,{tmp_path}"
    with capture_logs() as logs:
        files = model_files(Settings(models=named))
        assert files.open() == {}
        assert not files.look().there
    assert {(one["model"], one["path"]) for one in logs if one["event"] == "model.name_taken"} == {
        ("sd15", str(file)),
        ("try", str(other)),
    }


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("v1-5-pruned.emaonly", "v1-5-pruned.emaonly"),
        ("Ünsinn & Co_2", "nsinn-co_2"),
        ("-._x", "_x"),
        ("ß", ""),
        ("a" * 80, "a" * 64),
    ],
)
def test_ids_are_names_in_the_letters_that_ids_have(tmp_path: Path, name: str, id: str) -> None:
    path = write(tmp_path / f"{name}.safetensors")
    assert id_of(path) == id
    found, others = find({}, [tmp_path])
    assert (list(found), list(others)) == (([id], []) if id.strip("_x") else ([], [path]))


def test_a_link_that_leads_back_ends_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a/pen.safetensors")
    (tmp_path / "a/back").symlink_to(tmp_path)
    assert list(find({}, [tmp_path])[0]) == ["pen"]


def test_a_folder_in_it_that_nobody_may_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a/pen.safetensors")
    write(tmp_path / "lost+found/x.safetensors")
    write(tmp_path / "z/ink.safetensors")
    iterdir = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == "lost+found":
            raise PermissionError
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert set(find({}, [tmp_path])[0]) == {"pen", "ink"}
    with pytest.raises(PermissionError):
        find({}, [tmp_path / "lost+found"])


def test_a_state_changes_with_each_of_a_models_files(tmp_path: Path) -> None:
    file = write(tmp_path / "pen.safetensors")
    folder = write(tmp_path / "shapes/model_index.json").parent
    weights = write(folder / "unet/weights.safetensors")
    seen = [find({}, [tmp_path])[0]]

    def differ() -> set[str]:
        seen.append(find({}, [tmp_path])[0])
        return {id for id, model in seen[-1].items() if model != seen[-2][id]}

    assert differ() == set()
    write(tmp_path / "pen.latentry.json")
    assert differ() == {"pen"}
    before = file.stat()
    write(tmp_path / "new")
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "new").replace(file)  # same name, size and time
    assert differ() == {"pen"}
    weights.write_text("longer")
    assert differ() == {"shapes"}


def test_where_inodes_are_invented_a_model_stays_what_it_is_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FUSE mounts do: by their inodes all models would be other ones at each look."""
    file = write(tmp_path / "pen.safetensors")
    write(tmp_path / "shapes/model_index.json")
    (tmp_path / "back").symlink_to(tmp_path)
    invent_inodes(monkeypatch)
    assert file.stat().st_ino != file.stat().st_ino
    before = find({}, [tmp_path])[0]
    assert set(before) == {"pen", "shapes"}
    assert find({}, [tmp_path])[0] == before
    stat = file.stat()
    write(tmp_path / "new", "y")
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "new").replace(file)
    after = find({}, [tmp_path])[0]
    assert (after["pen"] != before["pen"], after["shapes"]) == (True, before["shapes"])
