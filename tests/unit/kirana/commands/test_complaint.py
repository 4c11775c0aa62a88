import io

from rich.console import Console

from kirana.commands.complaint import complain
from kirana.stack import faults


def test_a_fault_tells_its_log_its_cause_and_the_next_command():
    written = io.StringIO()
    fault = faults.ServiceFailed(
        "order-1 is [not] ready", cause="the disk is full", mend="kirana doctor", log=("[x] line",)
    )

    complain(fault, to=Console(file=written, width=200))

    assert "order-1 is [not] ready" in written.getvalue()
    assert "[x] line" in written.getvalue()
    assert "the disk is full" in written.getvalue()
    assert "kirana doctor" in written.getvalue()


def test_every_kind_of_fault_has_an_exit_status_of_its_own():
    kinds = [kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, faults.StackFault)]

    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    assert all(kind.exit_code > 0 for kind in kinds)
