import importlib
import pkgutil
import sys

import msgspec
import pytest

import shared.contracts
from shared.contracts import events
from shared.contracts.method import Methods, Request
from shared.contracts.refusals import Refusal

MODULES = [
    importlib.import_module(f"shared.contracts.{module.name}")
    for module in pkgutil.iter_modules(shared.contracts.__path__)
]
METHODS = [
    method for module in MODULES if isinstance(getattr(module, "METHODS", None), Methods) for method in module.METHODS
]


def refusals(kind=Refusal):
    for each in kind.__subclasses__():
        if getattr(sys.modules[each.__module__], each.__name__, None) is each:  # not one made for an unknown code
            yield each
            yield from refusals(each)


def test_every_refusal_has_a_code_of_its_own_and_a_sentence():
    codes = [each.code for each in refusals()]

    assert len(codes) == len(set(codes)) > 20
    assert all(each.sentence.endswith(".") for each in refusals())


@pytest.mark.parametrize("refusal", list(refusals()), ids=lambda each: each.code)
def test_a_refusal_crosses_the_wire_as_code_sentence_and_details(refusal):
    wire = refusal(wanted=3).to_wire()

    assert wire["exc_args"] == [refusal.code, refusal.sentence, {"wanted": 3}]
    assert wire["exc_path"] == f"kirana.{refusal.code}"
    assert "shared" not in str(wire)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.routing_key)
def test_a_method_name_is_one_word_of_a_routing_key_and_its_types_have_a_schema(method):
    assert method.name.isidentifier()
    assert issubclass(method.request, Request)
    msgspec.json.schema_components([method.request, method.answer])


def test_events_are_named_after_what_happened_in_the_service_that_says_so():
    assert all(len(each.name.split(".")) == 2 for each in events.EVENT_TYPES)
    assert len({each.name for each in events.EVENT_TYPES}) == len(events.EVENT_TYPES)
