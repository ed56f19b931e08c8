"""Which models lie in folders, by the names of their files. Nothing of their content is read."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from latentry.contracts.fields.bounds import MODEL_ID
from worker.engine.file_state import FileState, file_state

INDEX: Final = "model_index.json"  # of a model in diffusers layout
_CONFIG: Final = "config.json"  # of one network alone, which is no model
_SUFFIX: Final = ".safetensors"
_BESIDE: Final = (".vae.safetensors", ".motion.safetensors", ".yaml", ".latentry.json")
_OTHERS: Final = re.compile(r"[^a-z0-9._-]+")
_MOST: Final = 64  # letters of an id

State: TypeAlias = tuple[tuple[str, FileState], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Where a model is, and what changes when one of its files is written or replaced.

    state: the name of each of its files, and what its file system says of it.
    """

    path: Path
    state: State

    @property
    def changed_at(self) -> float:
        """Unix time in seconds, when a file of it changed last."""
        return max(changed_ns for _, (_, _, changed_ns) in self.state) / 1e9


def find(
    pairs: Mapping[str, Path], folders: Sequence[Path], taken: Collection[str] = ()
) -> tuple[dict[str, Found], dict[Path, str]]:
    """The models of all places by id, and those that have none of their own.

    Pairs come first, then folders in their order, with all that is below them; of two models with
    one id the first counts, and the other is said with the id that it would have; so is one whose
    id is `taken` by a model without files. Raises OSError for a folder that cannot be read.
    """
    found: dict[str, Found] = {}
    twice: dict[Path, str] = {}
    in_folders = (path for folder in folders for path in _models_in(folder, set()))
    for id, path in [*pairs.items(), *((id_of(path), path) for path in in_folders)]:
        known = found.get(id)
        is_taken = id in taken or (known is not None and known.path != path)
        if is_taken or not re.fullmatch(MODEL_ID, id):
            twice[path] = id
        elif known is None and (state := _state_of(path)):
            found[id] = Found(path, state)
    return found, twice


def id_of(path: Path) -> str:
    """A model's id by the name of its file or folder: in lower case, other letters as dashes."""
    name = path.name if path.is_dir() else path.stem
    return _OTHERS.sub("-", name.lower()).strip("-.")[:_MOST]


def _models_in(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Files and folders of one model each, in it at whatever depth, the upper ones first."""
    if folder.is_file() or (folder / INDEX).exists():
        yield folder
        return
    place = folder.resolve()  # a link may lead back
    if place in seen or (folder / _CONFIG).exists():
        return
    seen.add(place)
    entries = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    yield from (one for one in entries if _is_checkpoint(one))
    for one in entries:
        if one.is_dir():
            with suppress(PermissionError):  # such as lost+found
                yield from _models_in(one, seen)


def _is_checkpoint(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(_SUFFIX) and not name.endswith(_BESIDE) and path.is_file()


def _state_of(path: Path) -> State:
    """Of a folder, that of all its files; of a file, also of those beside it that belong to it."""
    files = (
        sorted(Path(at, name) for at, _, names in os.walk(path) for name in names)
        if path.is_dir()
        else [path, *(path.with_suffix(end) for end in _BESIDE)]
    )
    found = []
    for file in files:
        try:
            one = file.stat()
        except OSError:  # there is none, or it has just gone
            continue
        found.append((str(file), file_state(one)))
    return tuple(found)
