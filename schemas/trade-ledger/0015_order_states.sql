-- The beginning of the order state machine: an order starts accepted, with nothing filled; and filled in part is what has fills, no more
-- and no less.
CREATE TRIGGER orders_begin BEFORE INSERT ON orders FOR EACH ROW
    WHEN (NEW.status <> 1 OR NEW.filled_lots <> 0 OR NEW.amend_status IS NOT NULL)
    EXECUTE FUNCTION forbidden_change('an order begins accepted, with nothing filled');
ALTER TABLE orders
    ADD CHECK (status <> 1 OR filled_lots = 0),
    ADD CHECK (status <> 2 OR filled_lots > 0);
