"""What became of models, once it is over."""

from pathlib import Path

from worker.model_files.found import Found
from worker.model_files.settling import STILL_S, Settling


def model(size: int, changed_at: float = 0.0) -> Found:
    return Found(Path("x"), (("x", (size, 0, int(changed_at * 1e9))),))


def test_at_first_what_has_not_changed_for_a_while_counts_and_what_was_named() -> None:
    now = 1000.0
    found = {
        "old": model(1, now - STILL_S),
        "copied": model(1, now - STILL_S / 2),
        "named": model(1, now),
        "ahead": model(1, now + 60),  # the clock of a file server
    }
    settling = Settling()
    assert list(settling.begin(found, now, certain=["named"]).there) == ["old", "named"]
    assert list(settling.look(found).there) == ["copied", "ahead"]
    assert not settling.look(found).there


def test_a_file_that_grows_is_no_model_yet() -> None:
    settling = Settling()
    settling.begin({}, 0.0)
    for size in (1, 2, 3):
        assert not settling.look({"a": model(size)}).there
    assert settling.look({"a": model(3)}).there == {"a": model(3)}
    assert not settling.look({"a": model(3)}).there


def test_one_that_was_replaced_is_there_again_when_it_is_whole() -> None:
    settling = Settling()
    settling.begin({"a": model(1)}, 1000.0)
    assert not settling.look({"a": model(2)}).there, "it stays what it was"
    assert settling.look({"a": model(2)}).there == {"a": model(2)}
    settling.look({"a": model(3)})
    assert not settling.look({"a": model(2)}).there, "back before anybody read it"


def test_one_that_is_missing_twice_is_gone_and_said_once() -> None:
    settling = Settling()
    settling.begin({"a": model(1), "b": model(1)}, 1000.0)
    assert not settling.look({"b": model(1)}).gone
    assert not settling.look({"a": model(1), "b": model(1)}).gone, "as one is replaced, or a disk"
    settling.look({"b": model(1)})
    assert settling.look({"b": model(1)}).gone == ("a",)
    assert not settling.look({"b": model(1)}).gone
    settling.look({"a": model(1)})
    assert list(settling.look({"a": model(1)}).there) == ["a"]


def test_one_that_never_settled_is_not_gone() -> None:
    settling = Settling()
    settling.begin({}, 0.0)
    settling.look({"a": model(1)})
    settling.look({})
    assert not settling.look({}).gone
