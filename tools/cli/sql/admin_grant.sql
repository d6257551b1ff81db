-- Gives the user of address $1 the role $2, or with $3 takes it away; a word of his scope. Answers with the scope.
UPDATE users
   SET scope = array_to_string(array_remove(string_to_array(scope, ' '), $2::text) || CASE WHEN $3::bool THEN '{}' ELSE ARRAY[$2] END, ' ')
 WHERE email = lower($1::text)
RETURNING id, scope
