"""The checker of clips sees how drawn things move, and when they do not as they should."""

import random
from dataclasses import replace

from tools.scenes.clips import PHRASES, WAYS, MovingScene, moving_caption, sample_moving
from tools.scenes.drawing import draw
from tools.scenes.movement import moves_as_told


def scenes() -> list[MovingScene]:
    rng = random.Random("movement")
    return [sample_moving(rng, 8) for _ in range(24)]


def test_drawn_clips_move_as_told() -> None:
    found = [moves_as_told([draw(frame) for frame in one.frames], one) for one in scenes()]
    assert all(found)


def test_what_moves_otherwise_is_seen() -> None:
    for one in scenes():
        frames = [draw(frame) for frame in one.frames]
        still = [frames[0]] * 8
        jumping = [*frames[:3], frames[0], *frames[4:]]
        assert not moves_as_told(frames[::-1], one), "backwards"
        assert not moves_as_told(still, one), "it stands still"
        assert not moves_as_told(jumping, one), "it jumps back"
        other = next(way for way in WAYS if way != one.way)
        assert not moves_as_told(frames, replace(one, way=other)), f"not {other}"


def test_a_thing_that_is_missing_in_a_frame_does_not_move() -> None:
    one = scenes()[0]
    frames = [draw(frame) for frame in one.frames]
    frames[4] = draw(replace(one.frames[4], things=()))
    assert not moves_as_told(frames, one)


def test_a_scene_backwards_goes_the_other_way() -> None:
    for one in scenes():
        back = one.reversed()
        assert moves_as_told([draw(frame) for frame in back.frames], back)
        assert back.reversed() == one


def test_captions_say_the_way() -> None:
    rng = random.Random(1)
    for one in scenes():
        assert one.way is not None
        text = moving_caption(one, rng, empty=0)
        assert any(phrase in text for phrase in PHRASES[one.way])
        assert one.frames[0].background in text
