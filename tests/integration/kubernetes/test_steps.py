"""What must be done by hand before the first time in production is written down, with names that are read."""

import re

from tests.builders.manifests import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
STEPS = PAGE.partition("### Production")[2].partition("\nA new version")[0]
SETTINGS = (ROOT / "shipper" / "setup" / "settings.py").read_text(encoding="utf-8")


def test_elasticsearch_is_set_up_before_the_shop_is_there():
    numbered = re.findall(r"^(\d+)\. ", STEPS, re.MULTILINE)

    assert numbered == [str(number) for number in range(1, len(numbered) + 1)]
    assert 0 < STEPS.find("`kirana elastic setup`") < STEPS.find("`kubectl apply -k kubernetes/overlays/prod`")


def test_the_settings_of_that_step_are_read():
    (step,) = re.findall(r"^\d+\. [^`]*`kirana elastic setup`.*?(?=^\d+\. )", STEPS, re.MULTILINE | re.DOTALL)
    named = {name.removesuffix("_FILE") for name in re.findall(r"`KIRANA_(\w+)`", step)}

    assert named
    assert {name for name in named if f'read("{name}"' not in SETTINGS} == set()
