"""A service of stock Nameko, with nothing of ours, to be called by ours."""

from nameko.events import event_handler
from nameko.rpc import ServiceRpc, rpc


class Stocker:
    name = "stocker"
    demo = ServiceRpc("demo")

    @rpc
    def shout(self, text, times=1):
        if text == "fail":
            raise ValueError("the stock service fails")
        if text == "hang":
            import time

            time.sleep(30)
        return {"text": text.upper() * times, "user_id": None, "request_id": "", "call_id_stack": []}

    @rpc
    def relay(self, text):
        return self.demo.echo(text)

    @event_handler("demo", "thing.added")
    def hear(self, event):
        with open("/dev/null", "w") as sink:  # noqa: PTH123
            sink.write(str(event["event_id"]))
