import pytest
import typer

from kirana.commands.up import instances


def test_instances_are_read_by_service():
    assert instances(["catalog=2", "order=3"]) == {"catalog": 2, "order": 3}


@pytest.mark.parametrize(
    "word", ["catalog", "catalog=", "catalog=0", "catalog=-1", "catalog=x", "edge=2", "catalog=17"]
)
def test_a_scale_that_makes_no_sense_is_refused(word):
    with pytest.raises(typer.BadParameter):
        instances([word])
