"""The benchmark of doors: what its requests are, and what its table says."""

import json

from benchmarks.callers.doors import NATIVE, OPENAI, Stream, report, request


def test_both_doors_are_asked_to_wait_for_the_image() -> None:
    for path in (NATIVE, OPENAI):
        head, _, body = request(path, num_inference_steps=2).partition("\r\n\r\n")
        assert f"Content-Length: {len(body)}" in head
        assert json.loads(body)["num_inference_steps"] == 2
        assert ("Prefer: wait" in head) == (path == NATIVE)


def test_a_partial_image_at_its_step_is_not_late() -> None:
    assert Stream(10.0, 12.0, 14.0).lateness == 1
    assert Stream(10.0, 13.0, 14.0).lateness == 1.5


def test_its_table_has_a_goal_for_each_ratio() -> None:
    ratios = {
        "OpenAI's rate beside the native door's, 16 callers": [0.97, 0.99, 0.98],
        "AUTOMATIC1111's rate beside the native door's, 16 callers": [0.96, 0.97, 0.98],
        "64 streams beside 64 whole answers": [1.0, 0.98, 1.01],
        "first partial image, by the time of its step": [1.0, 1.2, 1.1],
    }
    lines = report({"machine": "m", "rounds": 3, "ratios": ratios})
    assert any("0.980 (" in line and "at least 0.95" in line for line in lines)
    assert any("1.10 (1.20 at most)" in line for line in lines)
