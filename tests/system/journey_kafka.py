"""The journey over Kafka, by a client that is not ours: confluent-kafka and protobuf's own Python code from proto/.

usage: journey_kafka.py FOLDER_OF_GENERATED_CODE; KAFKA_BROKERS from the environment. Prints one JSON object of what it saw.
"""
import json
import os
import sys
import time
import uuid

sys.path.insert(0, sys.argv[1])

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402

import orders_v1_pb2 as orders  # noqa: E402
import topups_v1_pb2 as topups  # noqa: E402
import trades_v1_pb2 as trades  # noqa: E402

BROKERS = os.environ["KAFKA_BROKERS"]
SELLER, BUYER = 900001, 900002
TYPES = {
    m.DESCRIPTOR.full_name: m
    for m in (
        orders.OrderAccepted, orders.OrderRejected, orders.OrderOpened, orders.OrderFilled, orders.OrderCancelled,
        orders.CancelRejected, topups.TopupBooked, topups.TopupRejected, trades.TradeExecuted,
    )
}


class Events:
    """Everything on the answer topics, from the beginning, committed records only."""

    def __init__(self):
        self.consumer = Consumer({
            "bootstrap.servers": BROKERS, "group.id": f"journey-{uuid.uuid4()}", "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "enable.auto.commit": False,
        })
        topics = ["orders.events.v1", "topups.events.v1", "trades.v1"]
        metadata = self.consumer.list_topics(timeout=60)
        self.consumer.assign([TopicPartition(t, p, 0) for t in topics for p in metadata.topics[t].partitions])
        self.seen = []

    def wait(self, what, predicate, seconds=120):
        deadline = time.monotonic() + seconds
        checked = 0
        while time.monotonic() < deadline:
            while checked < len(self.seen):
                message, headers = self.seen[checked]
                checked += 1
                if predicate(message):
                    return message, headers
            record = self.consumer.poll(0.2)
            if record is None or record.error():
                continue
            headers = {k: v.decode() for k, v in record.headers() or []}
            message = TYPES[headers["ce_type"]]()
            message.ParseFromString(record.value())
            self.seen.append((message, headers))
        raise SystemExit(f"no {what} within {seconds} s; seen: {[type(m).__name__ for m, _ in self.seen]}")


class Requests:
    def __init__(self):
        self.producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True})

    def send(self, topic, key, message, ce_id=None, value=None, ce_type=None):
        ce_id = ce_id or str(uuid.uuid4())
        self.producer.produce(
            topic, key=str(key), value=message.SerializeToString() if value is None else value,
            headers={
                "ce_specversion": "1.0", "ce_id": ce_id, "ce_source": "/journey",
                "ce_type": ce_type or message.DESCRIPTOR.full_name, "content-type": "application/protobuf",
            })
        self.producer.flush(60)
        return ce_id


def order(client, side, price, quantity, **more):
    return orders.PlaceOrder(client_id=client, symbol="BTC-USD", side=side, type=orders.ORDER_TYPE_LIMIT, price=price,
                             quantity=quantity, **more)


def main():
    requests, events, result = Requests(), Events(), {}

    for client, currency, amount in ((SELLER, "BTC", "3"), (BUYER, "USD", "100000")):
        ce_id = requests.send("topups.requests.v1", client, topups.TopupRequested(client_id=client, currency=currency, amount=amount))
        events.wait("TopupBooked", lambda m: isinstance(m, topups.TopupBooked) and m.request_id == ce_id)
    result["topups"] = "booked"

    # The same request twice has one effect.
    ce_id = requests.send("orders.requests.v1", SELLER, order(SELLER, orders.SIDE_SELL, "40000.00", "1"))
    requests.send("orders.requests.v1", SELLER, order(SELLER, orders.SIDE_SELL, "40000.00", "1"), ce_id=ce_id)
    sell, _ = events.wait("OrderAccepted", lambda m: isinstance(m, orders.OrderAccepted) and m.request_id == ce_id)
    events.wait("OrderOpened", lambda m: isinstance(m, orders.OrderOpened) and m.order_id == sell.order_id)

    buy_request = requests.send("orders.requests.v1", BUYER, order(BUYER, orders.SIDE_BUY, "40000.00", "0.25"))
    buy, _ = events.wait("OrderAccepted", lambda m: isinstance(m, orders.OrderAccepted) and m.request_id == buy_request)
    trade, headers = events.wait("TradeExecuted", lambda m: isinstance(m, trades.TradeExecuted) and m.taker_order_id == buy.order_id)
    result["trade"] = [trade.price_ticks, trade.quantity_lots, trade.maker_order_id == sell.order_id]
    result["trade_headers"] = sorted(k for k in headers if k.startswith("ce_") or k in ("content-type", "traceparent"))
    filled, _ = events.wait("OrderFilled", lambda m: isinstance(m, orders.OrderFilled) and m.order_id == buy.order_id)
    result["filled"] = filled.status == orders.ORDER_STATUS_FILLED

    requests.send("orders.requests.v1", SELLER, orders.CancelOrder(client_id=SELLER, order_id=sell.order_id))
    cancelled, _ = events.wait("OrderCancelled", lambda m: isinstance(m, orders.OrderCancelled) and m.order_id == sell.order_id)
    result["cancelled_lots"] = cancelled.remaining_lots

    # Refused requests are answered, never swallowed.
    refused = {}
    for name, message in {
        "unknown symbol": orders.PlaceOrder(client_id=BUYER, symbol="XXX-USD", side=1, type=1, price="1", quantity="1"),
        "unspecified side": orders.PlaceOrder(client_id=BUYER, symbol="BTC-USD", side=0, type=1, price="1", quantity="1"),
        "unknown side": orders.PlaceOrder(client_id=BUYER, symbol="BTC-USD", side=9, type=1, price="1", quantity="1"),
        "zero quantity": order(BUYER, orders.SIDE_BUY, "1", "0"),
        "negative price": order(BUYER, orders.SIDE_BUY, "-1", "1"),
        "too many decimals": order(BUYER, orders.SIDE_BUY, "1.001", "1"),
        "no funds": order(BUYER, orders.SIDE_BUY, "90000", "100"),
        "not an order yet": order(BUYER, orders.SIDE_BUY, "", "1"),
    }.items():
        ce_id = requests.send("orders.requests.v1", BUYER, message)
        answer, _ = events.wait(f"OrderRejected ({name})", lambda m: isinstance(m, orders.OrderRejected) and m.request_id == ce_id)
        refused[name] = [answer.problem, answer.field]
    result["refused"] = refused
    ce_id = requests.send("topups.requests.v1", BUYER, topups.TopupRequested(client_id=BUYER, currency="XXX", amount="1"))
    answer, _ = events.wait("TopupRejected", lambda m: isinstance(m, topups.TopupRejected) and m.request_id == ce_id)
    result["topup_refused"] = answer.problem

    # Poison: bytes that are not the message, and a type that does not belong here.
    requests.send("orders.requests.v1", BUYER, orders.PlaceOrder(), value=b"\xff\xff\xff\xff")
    requests.send("orders.requests.v1", BUYER, orders.PlaceOrder(), ce_type="penstock.orders.v1.Nonsense")

    result["accepted_for_duplicate"] = sum(
        isinstance(m, orders.OrderAccepted) and m.user_id == SELLER for m, _ in events.seen)
    print(json.dumps(result))


main()
