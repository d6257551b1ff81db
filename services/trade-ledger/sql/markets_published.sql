-- Marks locked markets as published in their present version. $1: ids
UPDATE markets SET published_version = version WHERE id = ANY ($1::int8[])
