"""The benchmark of doors: what its requests are, and what its table says."""

import json

from benchmarks.callers.doors import (
    A1111,
    HUGGING_FACE,
    NATIVE,
    OPENAI,
    READ,
    REPLICATE,
    Stream,
    report,
    requests,
)


def test_each_door_is_asked_for_the_same_and_waits_for_it() -> None:
    found = requests()
    assert found[READ] == found[NATIVE]
    places = {REPLICATE: "input", HUGGING_FACE: "parameters"}
    for path in (NATIVE, OPENAI, A1111, REPLICATE, HUGGING_FACE):
        head, _, text = found[path].partition("\r\n\r\n")
        assert head.startswith(f"POST {path} ")
        assert f"Content-Length: {len(text)}" in head
        body = json.loads(text)
        fields = body[places[path]] if path in places else body
        assert fields.get("num_inference_steps", fields.get("steps")) == 2
        assert "a red circle" in text
        assert fields.get("width", 128) == 128
        assert ("Prefer: wait" in head) == (path in (NATIVE, REPLICATE))


def test_a_partial_image_at_its_step_is_not_late() -> None:
    assert Stream(10.0, 12.0, 14.0).lateness == 1
    assert Stream(10.0, 13.0, 14.0).lateness == 1.5


def test_its_table_has_a_goal_for_each_ratio() -> None:
    ratios = {
        "OpenAI's rate beside the native door's, 16 callers": [0.97, 0.99, 0.98],
        "AUTOMATIC1111's rate beside the native door's, 16 callers": [0.96, 0.97, 0.98],
        "Replicate's rate beside the native door's, 16 callers": [0.96, 0.97, 0.98],
        "Hugging Face's rate beside the native door's with its pictures read": [1.0, 1.1, 1.2],
        "64 streams beside 64 whole answers": [1.0, 0.98, 1.01],
        "first partial image, by the time of its step": [1.0, 1.2, 1.1],
    }
    lines = report({"machine": "m", "rounds": 3, "ratios": ratios})
    assert any("0.980 (" in line and "at least 0.95" in line for line in lines)
    assert any("1.10 (1.20 at most)" in line for line in lines)
