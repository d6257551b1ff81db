-- Marks the locked ones. $1: ids
UPDATE markets SET band_price_published = true WHERE id = ANY ($1::int8[])
