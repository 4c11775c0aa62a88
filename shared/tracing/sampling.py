"""Decides where a trace begins whether it is recorded; everybody after that goes by its flags."""

from __future__ import annotations

import random
from typing import Final

from shared.tracing.recording import Recorder
from shared.tracing.spans import Span, flagged

_DICE = random.Random()  # noqa: S311 - nobody gains by guessing which trace is recorded


NEVER: Final = Recorder(lambda _: None, ratio=0.0)
"""Of what would only be noise."""


def decided(span: Span, recorder: Recorder) -> Span:
    """The span with a decision of our own. Not made from the trace's id, which a client can choose."""
    is_chosen = recorder.ratio > 0 and _DICE.random() < recorder.ratio
    return span._replace(traceparent=flagged(span.traceparent, is_sampled=is_chosen))
