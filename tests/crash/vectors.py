"""The vectors of all users, as a ranker makes them that has just read the checkpoints: with them is compared what no
value in `features` shows, since it is read against a candidate (gap, overlap)."""
from fleet import oracle
from ranking import TOLERANCE, Application, expected_rows, vector_rows, vectors_of

MOST_USERS = 40             # of those whose bursts make hundreds of users
CANDIDATES = 8


def differ(world, expected):
    """(values compared, differences as text)"""
    ranker = world.start_process("ranker")
    try:
        ranker.wait_ready()
        app = Application(world.test, world.fleet)
        sent = [app.send(request) for request in requests(world.load)]
        app.wait_answers(sent)
        logs = [app.wait_log(request) for request in sent]
    finally:
        ranker.kill()
    want, got = [], []
    for request, log in zip(sent, logs):
        want += expected_rows(expected.state, request, request["candidates"])
        got += vector_rows(log["request_id"], log["candidates"], vectors_of(log))
    return oracle.compare(want, got, expected.features, tolerance=TOLERANCE)


def requests(load):
    """One of each user, for some candidates, at the time of the last event."""
    events = [line["event"] for line in load.lines if "event" in line]
    last_ms = max(event["timestamp"] for event in events)
    propositions = [line["proposition"]["id"] for line in load.lines if "proposition" in line][:CANDIDATES]
    users = list(dict.fromkeys(event["user_id"] for event in events))[:MOST_USERS]
    return [{"user_id": user, "timestamp": last_ms, "candidates": propositions} for user in users]
