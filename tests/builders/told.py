"""What a process tells Prometheus of itself."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.builders.waiting import eventually


def told(url, name, **labels):
    """The sum of all series of this name that have these labels. A process that just restarts is waited for."""
    answer = eventually(lambda: httpx.get(url, timeout=10), despite=(httpx.TransportError,), what=url)
    assert answer.status_code == httpx.codes.OK, answer.text
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())
