-- GET /orders/:id/fills.
CREATE INDEX trades_maker_order ON trades (maker_order_id, id);
CREATE INDEX trades_taker_order ON trades (taker_order_id, id);
