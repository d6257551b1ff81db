-- Marks locked assets as published. $1: ids
UPDATE assets SET published = true WHERE id = ANY ($1::int8[])
