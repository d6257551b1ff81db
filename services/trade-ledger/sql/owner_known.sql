-- Can money be sent there? $1 user.
SELECT EXISTS (SELECT FROM owners WHERE user_id = $1::int8) OR EXISTS (SELECT FROM accounts WHERE owner_id = $1 AND kind = 1)
