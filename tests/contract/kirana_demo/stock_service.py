"""A service of stock Nameko, with nothing of ours, to be called by ours."""

from nameko.events import event_handler
from nameko.extensions import DependencyProvider
from nameko.rpc import ServiceRpc, rpc


class Context(DependencyProvider):
    """What Nameko knows of the call."""

    def get_dependency(self, worker_ctx):
        return {**worker_ctx.context_data, "call_id_stack": worker_ctx.call_id_stack}


class Stocker:
    name = "stocker"
    demo = ServiceRpc("demo")
    context = Context()

    @rpc
    def echo(self, text, times=1):
        known = {name: self.context.get(name) for name in ("user_id", "request_id", "call_id_stack")}
        return {"text": text * times, **known}

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
