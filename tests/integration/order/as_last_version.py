"""What another version makes of the orders in a database. Run beside its packages, it sees nothing of ours:

python as_last_version.py URL USER_ID
"""

import json
import sys
from datetime import timedelta

from rpc_services.order.answers import show
from rpc_services.order.desk import SqlDesk
from rpc_services.order.storage import SqlOrders
from shared.messaging.call import Call, serving
from shared.messaging.transactions import Scope
from shared.persistence.engine import build_engine
from shared.values.times import now

MANY = 50


def listed(scope, user_id):
    with scope.reading() as session:
        return [show(order).id for order in SqlOrders(session).page(user_id, None, MANY)]


def got(scope, user_id, order_ids):
    with scope.reading() as session:
        return [show(order).id for order in SqlOrders(session).of_user(user_id, order_ids)]


def cancelled(scope, user_id, order_ids):
    for order_id in order_ids:
        with scope.writing() as session:
            orders = SqlOrders(session)
            orders.cancel(*orders.lock(user_id, order_id).cancelled(now(), actor=user_id))
    with scope.reading() as session:
        return [order.id for order in SqlOrders(session).of_user(user_id, order_ids) if order.status == "cancelled"]


def taken_up(scope):
    tomorrow = now() + timedelta(days=1)
    desk = SqlDesk(scope, Call(request_id="r"), clock=lambda: tomorrow)
    return [order.id for order in iter(desk.take_up, None)]


def everything(url, user_id):
    scope = Scope(build_engine(url, application="test"))
    with serving(Call(request_id="r", method="order.cancel_order")):
        seen = listed(scope, user_id)
        return {
            "taken_up": taken_up(scope),
            "listed": seen,
            "got": got(scope, user_id, seen),
            "cancelled": cancelled(scope, user_id, seen),
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(everything(*sys.argv[1:])))
