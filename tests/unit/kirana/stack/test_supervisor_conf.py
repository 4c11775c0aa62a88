import configparser
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.programs import Program
from kirana.stack.supervisor_conf import render


def parsed(home, *programs):
    parser = configparser.RawConfigParser()
    parser.read_string(render(home, programs))
    return parser


def test_an_environment_survives_the_supervisors_reader(tmp_path):
    value = 'a "quoted", 100% odd; value'

    found = parsed(Home(tmp_path), Program("x", ("true",), {"KIRANA_ODD": value}))["program:x"]["environment"]

    assert dict_of_key_value_pairs(found % {})["KIRANA_ODD"] == value


def test_every_process_carries_the_mark_of_its_stack(tmp_path):
    found = parsed(Home(tmp_path), Program("x", ("true",)))["program:x"]["environment"]

    assert dict_of_key_value_pairs(found)["KIRANA_STACK"] == str(tmp_path)
    assert dict_of_key_value_pairs(found)["KIRANA_HOME"] == str(tmp_path)


def test_a_program_is_restarted_for_ever_but_first_started_by_up(tmp_path):
    section = parsed(Home(tmp_path), Program("x", ("true",)))["program:x"]

    assert section["autorestart"] == "true"
    assert section["autostart"] == "false"
    assert int(section["startretries"]) >= 1_000_000


def test_a_home_that_the_supervisor_could_not_read_is_refused():
    with pytest.raises(StackFault, match="cannot take in"):
        render(Home(Path("/tmp/a 'b\" ;c")), [Program("x", ("true",))])
