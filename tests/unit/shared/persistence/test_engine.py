from datetime import timedelta

from shared.persistence.engine import SPARE_CONNECTIONS, build_engine, milliseconds


def test_beside_the_connections_for_calls_some_are_to_spare():
    engine = build_engine("postgresql://nobody@127.0.0.1:1/none", connections=20, application="x" * 100)

    assert engine.pool.size() == 20 + SPARE_CONNECTIONS
    assert engine.dialect.driver == "psycopg2"


def test_no_time_left_is_never_written_as_no_limit():
    assert milliseconds(timedelta(0)) == 1
    assert milliseconds(timedelta(seconds=-3)) == 1
    assert milliseconds(timedelta(seconds=1.5)) == 1500


def test_a_limit_in_milliseconds_is_never_shorter_than_what_was_meant():
    assert [milliseconds(timedelta(microseconds=micros)) for micros in (0, 1, 1000, 1001)] == [1, 1, 1, 2]
