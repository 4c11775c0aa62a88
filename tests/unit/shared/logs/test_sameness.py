import contextvars
import logging
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.logs.context import add_bound_fields
from shared.logs.logger import LineLogger, direct_logger
from shared.logs.rendering import Renderer
from tests.unit.shared.logs.straightforward import StraightforwardRenderer, timeless

CONSTANT = {
    "service.name": "order",
    "service.node.name": "order-1",
    "service.environment": "local",
    "service.version": "0.1.0",
    "event.dataset": "kirana.order",
    "process.pid": 7,
}
FAST, STRAIGHTFORWARD = Renderer(CONSTANT), StraightforwardRenderer(CONSTANT)


class Kind(StrEnum):
    PLAIN = "plain"
    TELLING = "ada@example.com"


class Hostile:
    def __str__(self):
        raise RuntimeError


class Whole(int):
    pass


PARTS = st.sampled_from(
    ["event", "duration", "action", "dataset", "service", "name", "node", "environment", "process", "pid", "ecs",
     "version", "log", "level", "logger", "http", "request", "id", "user", "email", "labels", "x", "token", "", "url"]
)  # fmt: skip
NAMES = st.one_of(
    st.lists(PARTS, min_size=1, max_size=4).map(".".join),
    st.sampled_from([*CONSTANT, "ecs.version", "tags", "exc_info", "Set-Cookie", "http.response.status_code", "code"]),
    st.text(max_size=5),
).filter(lambda name: name != "event")
TEXTS = st.one_of(
    st.text(st.characters(), max_size=8),
    st.sampled_from(["ada@example.com", "amqp://u:hunter2@h/", "eyJhbGciOi.eyJzdWIi.c2ln", "@", "eyJ", "\ud800"]),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([2**64, -(2**70), Whole(3), *Kind]), st.floats(), TEXTS,
    st.binary(max_size=3),
    st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), ValueError("mail to ada@example.com"), ValueError, object()]),
)  # fmt: skip
KEYS = st.one_of(NAMES, TEXTS, st.integers(), st.booleans(), st.none(), st.tuples(st.integers()), st.sampled_from(Kind))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner), st.dictionaries(KEYS, inner, max_size=3),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip
FIELDS = st.dictionaries(NAMES, st.one_of(VALUES, VALUES, VALUES, st.builds(Hostile)), max_size=9)


def deep(times):
    value = {"password": "hunter2"}
    for _ in range(times):
        value = {"in": [value]}
    return value


@settings(deadline=None)
@given(event=TEXTS, fields=FIELDS, name=st.sampled_from([None, "kirana.test"]), levels=st.integers(0, 6))
def test_the_fast_recipe_gives_byte_for_byte_what_the_straightforward_one_gives(event, fields, name, levels):
    logger = LineLogger(print, name)
    fields = {**fields, "event": event, "structure": deep(levels)}

    fast = FAST(logger, "info", dict(fields))

    assert timeless(fast) == timeless(STRAIGHTFORWARD(logger, "info", dict(fields)))


@settings(deadline=None)
@given(earlier=FIELDS, fields=st.dictionaries(NAMES, SCALARS, max_size=4))
def test_a_line_leaves_nothing_behind_in_the_next(earlier, fields):
    FAST(None, "info", dict(earlier))

    fast = FAST(None, "info", {"event": "x", **fields})

    assert timeless(fast) == timeless(StraightforwardRenderer(CONSTANT)(None, "info", {"event": "x", **fields}))


class EveryMethod:
    """What a bound logger of structlog needs: a method of each name."""

    name = "kirana.test"

    def __init__(self, write):
        self.debug = self.info = self.warning = self.error = self.critical = write


CALLS = st.one_of(
    st.tuples(st.sampled_from(["debug", "info", "warning", "warn", "error", "critical", "fatal", "exception", "msg"])),
    st.tuples(st.just("log"), st.sampled_from([logging.DEBUG, logging.INFO, logging.ERROR])),
)
SAYINGS = st.sampled_from([("order.placed",), ("100 %",), ("%s of %d", "a", 2), ("%(a)s", {"a": 1}), ("%s", {})])


def lines_of(wrapper, processors, logger_of, act):
    lines = []
    logger = structlog.wrap_logger(
        logger_of(lines.append), processors=processors, wrapper_class=wrapper, context_class=dict, order_id="o1"
    )
    contextvars.Context().run(act, logger)
    return [timeless(line) for line in lines]


@settings(deadline=None)
@given(
    call=CALLS,
    saying=SAYINGS,
    fields=st.dictionaries(NAMES.filter(lambda name: name not in {"self", "level"}), SCALARS, max_size=4),
    bound=st.dictionaries(NAMES, SCALARS, max_size=1),
    threshold=st.sampled_from([logging.DEBUG, logging.INFO, logging.ERROR, logging.CRITICAL]),
)
def test_the_direct_way_says_what_the_layers_of_structlog_say(call, saying, fields, bound, threshold):
    method, *level = call

    def act(log):
        structlog.contextvars.bind_contextvars(**bound, gone=1)
        structlog.contextvars.unbind_contextvars("gone")
        try:
            int("no number")
        except ValueError:
            getattr(log, method)(*level, *saying, **fields)
            getattr(log.bind(order_id="o2", more=1), method)(*level, *saying, **fields)

    direct = lines_of(
        direct_logger(threshold), [add_bound_fields, FAST], lambda write: LineLogger(write, "kirana.test"), act
    )

    assert direct == lines_of(
        structlog.make_filtering_bound_logger(threshold),
        [structlog.contextvars.merge_contextvars, STRAIGHTFORWARD],
        EveryMethod,
        act,
    )
