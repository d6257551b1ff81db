"""A CloudEvents SDK that is not ours reads what our writers published, and writes what our consumer reads.

usage: cloudevents_sdk.py FOLDER_OF_GENERATED_CODE read TOPIC CE_ID   one event, as the SDK understands it, as JSON
       cloudevents_sdk.py FOLDER_OF_GENERATED_CODE write              requests by the SDK, and what was answered, as JSON
KAFKA_BROKERS from the environment.
"""
import json
import os
import sys
import time
import uuid
from datetime import datetime, timezone

sys.path.insert(0, sys.argv[1])

from cloudevents.core.bindings import kafka  # noqa: E402
from cloudevents.core.formats.json import JSONFormat  # noqa: E402
from cloudevents.core.v1.event import CloudEvent  # noqa: E402
from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from google.protobuf.json_format import MessageToDict  # noqa: E402

import orders_v1_pb2 as orders  # noqa: E402
import topups_v1_pb2 as topups  # noqa: E402

BROKERS = os.environ["KAFKA_BROKERS"]
CLIENT = 910001
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TYPES = {m.DESCRIPTOR.full_name: m for m in (
    orders.PlaceOrder, orders.OrderAccepted, orders.OrderRejected, topups.TopupBooked, topups.TopupRejected)}


class Protobuf(JSONFormat):
    """The SDK leaves the data's format to its user. Ours are bytes that the SDK has no business with."""

    def read_data(self, body, datacontenttype):
        return bytes(body) if datacontenttype == "application/protobuf" else super().read_data(body, datacontenttype)


class Events:
    """A topic from its beginning, committed records only, through the SDK."""

    def __init__(self, *topics):
        self.consumer = Consumer({
            "bootstrap.servers": BROKERS, "group.id": f"sdk-{uuid.uuid4()}", "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "enable.auto.commit": False})
        metadata = self.consumer.list_topics(timeout=60)
        self.consumer.assign([TopicPartition(t, p, 0) for t in topics for p in metadata.topics[t].partitions])
        self.seen = []

    def wait(self, what, wanted, seconds=120):
        deadline = time.monotonic() + seconds
        checked = 0
        while time.monotonic() < deadline:
            for event, headers in self.seen[checked:]:
                checked += 1
                if wanted(event):
                    return event, headers
            record = self.consumer.poll(0.2)
            if record is None or record.error():
                continue
            headers = dict(record.headers() or [])
            event = kafka.from_binary(kafka.KafkaMessage(headers, record.key(), record.value()), Protobuf())
            self.seen.append((event, headers))
        raise SystemExit(f"no {what} within {seconds} s; seen: {[e.get_attributes() for e, _ in self.seen]}")


def decoded(event):
    message = TYPES[event.get_type()]()
    message.ParseFromString(event.get_data())
    return message


def read(topic, ce_id):
    event, headers = Events(topic).wait(ce_id, lambda e: e.get_id() == ce_id)
    known = event.get_type() in TYPES
    age = (datetime.now(timezone.utc) - event.get_time()).total_seconds()
    print(json.dumps({
        "specversion": event.get_specversion(), "id": event.get_id(), "source": event.get_source(),
        "type": event.get_type(), "datacontenttype": event.get_datacontenttype(), "subject": event.get_subject(),
        "partitionkey": event.get_extension("partitionkey"), "recent": -5 < age < 600,
        "traceparent": headers.get("traceparent", b"").decode(), "note": headers.get("x-note", b"").decode(),
        "data": MessageToDict(decoded(event)) if known else event.get_data().hex(),
    }))


class Requests:
    def __init__(self):
        self.producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True})

    def produce(self, topic, message):
        self.producer.produce(topic, key=message.key, value=message.value, headers=list(message.headers.items()))
        self.producer.flush(60)

    def send(self, topic, body, **attributes):
        event = CloudEvent({
            "id": str(uuid.uuid4()), "source": "/sdk/python", "specversion": "1.0", "time": datetime.now(timezone.utc),
            "type": body.DESCRIPTOR.full_name, "datacontenttype": "application/protobuf", "subject": str(CLIENT),
            "partitionkey": str(CLIENT), "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", **attributes,
        }, body.SerializeToString())
        self.produce(topic, kafka.to_binary(event, Protobuf()))
        return event


def order(price="40000.00"):
    return orders.PlaceOrder(client_id=CLIENT, symbol="BTC-USD", side=orders.SIDE_BUY, type=orders.ORDER_TYPE_LIMIT,
                             price=price, quantity="0.25")


def write():
    requests, answers, result = Requests(), Events("orders.events.v1", "topups.events.v1"), {}

    def answer_to(event, name):
        def wanted(e):
            return e.get_type().endswith("." + name) and decoded(e).request_id == event.get_id()
        return answers.wait(name, wanted)

    topup = requests.send("topups.requests.v1", topups.TopupRequested(client_id=CLIENT, currency="USD", amount="100000"))
    answer, headers = answer_to(topup, "TopupBooked")
    result["topup"] = [answer.get_source(), decoded(answer).user_id, headers["traceparent"].decode()[3:35] == TRACE_ID]

    placed = requests.send("orders.requests.v1", order())
    requests.send("orders.requests.v1", order(), id=placed.get_id())  # the same event again
    answer, headers = answer_to(placed, "OrderAccepted")
    accepted = decoded(answer)
    result["accepted"] = [accepted.price_ticks, accepted.quantity_lots, headers["traceparent"].decode()[3:35] == TRACE_ID]
    refused = requests.send("orders.requests.v1", order("-1"))
    result["refused"] = decoded(answer_to(refused, "OrderRejected")[0]).problem
    result["accepted_count"] = sum(e.get_type().endswith(".OrderAccepted") for e, _ in answers.seen)

    # What our consumer cannot take: another content type, another message, and the SDK's structured mode.
    malformed = {
        "another content type": requests.send("orders.requests.v1", order(), datacontenttype="application/json").get_id(),
        "another message": requests.send("orders.requests.v1", order(), type="com.example.greeting").get_id(),
    }
    event = CloudEvent({"id": "structured", "source": "/sdk/python", "specversion": "1.0", "type": "com.example.greeting",
                        "partitionkey": str(CLIENT)}, {"hello": "world"})
    requests.produce("orders.requests.v1", kafka.to_structured(event, JSONFormat()))
    letters = Events("orders.requests.v1.ledger-requests.dead")
    malformed["structured mode"] = ""  # its id is in the value, where nobody looks
    for name, ce_id in malformed.items():
        _, headers = letters.wait(
            f"dead letter of {name}", lambda e: letters_id(letters, e) == ce_id)
        result[name] = [headers[h].decode() for h in ("dlq_kind", "dlq_field", "dlq_reason")]
    print(json.dumps(result))


def letters_id(letters, event):
    return next(h for e, h in letters.seen if e is event).get("dlq_ce_id", b"").decode()


if sys.argv[2] == "read":
    read(*sys.argv[3:])
else:
    write()
