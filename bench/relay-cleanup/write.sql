INSERT INTO outbox (topic, key, type, payload)
SELECT 'orders.accepted.v1', convert_to('k' || i, 'UTF8'), 'penstock.orders.v1.OrderAccepted', decode(repeat('5a', 200), 'hex')
  FROM generate_series(1, 100) AS i;
