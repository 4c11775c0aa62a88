"""A copy of a running shop from which it can be brought up elsewhere; ``docs/operations.md`` says what it promises."""
