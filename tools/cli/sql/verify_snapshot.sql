-- one snapshot for all that follows in this transaction
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY
