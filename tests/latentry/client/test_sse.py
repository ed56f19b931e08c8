from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentry.client.http.sse import ServerSentEvent, SseParser

STREAM = (
    ": ping\n\n"
    "event: queued\nid: 1-0\ndata: {}\n\n"
    "data: två\r\ndata: lines 🐸\r\n\r\n"
    "event: step\rdata:x\r\r"
    "event: nothing\n\n"
    "unknown: field\nid: 2-0\ndata\n\n"
).encode()
EVENTS = [
    ServerSentEvent("queued", "{}", "1-0"),
    ServerSentEvent("message", "två\nlines 🐸", "1-0"),
    ServerSentEvent("step", "x", "1-0"),
    ServerSentEvent("message", "", "2-0"),
]


# However slow the machine: what is drawn is small.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_however_the_bytes_arrive(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = SseParser()
    chunks = [STREAM[a:b] for a, b in pairwise(edges)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == EVENTS


def test_an_incomplete_event_is_not_returned():
    assert list(SseParser().feed(b"data: half\n")) == []
