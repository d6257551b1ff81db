"""relay_security.py allow PREFIX SOURCE TOPIC… | read TOPIC COUNT -- as the broker's administrator, for relay_security.sh.

allow: exactly what outbox-relay's README says its user needs, and nothing else."""
import os
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType,
                                   ResourceType)

CONFIG = {
    "bootstrap.servers": os.environ["KAFKA_BROKERS"],
    "security.protocol": "sasl_ssl",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "admin",
    "sasl.password": os.environ["ADMIN_PASSWORD"],
    "ssl.ca.location": os.environ["KAFKA_SSL_CA_LOCATION"],
}


def allow(prefix, source, *topics):
    rights = [(ResourceType.TRANSACTIONAL_ID, f"{prefix}outbox-relay-{source}{second}", operation)
              for second in ("", ".2") for operation in (AclOperation.WRITE, AclOperation.DESCRIBE)]
    rights += [(ResourceType.TOPIC, f"{prefix}outbox.positions.v1", AclOperation.READ),
               (ResourceType.TOPIC, f"{prefix}outbox.positions.v1", AclOperation.WRITE)]
    rights += [(ResourceType.TOPIC, prefix + topic, AclOperation.WRITE) for topic in topics]
    bindings = [AclBinding(kind, name, ResourcePatternType.LITERAL, "User:relay", "*", operation, AclPermissionType.ALLOW)
                for kind, name, operation in rights]
    client = AdminClient(CONFIG)  # kept: its futures end with it
    for future in client.create_acls(bindings).values():
        future.result(20)


def read(topic, count):
    consumer = Consumer({**CONFIG, "group.id": "reader", "isolation.level": "read_committed", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, 20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    events = []
    for _ in range(240):
        message = consumer.poll(0.5)
        if message and not message.error():
            events.append(message.value().decode())
        elif len(events) >= int(count):
            break
    consumer.close()
    print(" ".join(sorted(events)))


{"allow": allow, "read": read}[sys.argv[1]](*sys.argv[2:])
