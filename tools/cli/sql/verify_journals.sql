-- $1 last id seen, $2 how many: journals whose only trace in the log is their entries (kinds from transfer on), by id, and how many
SELECT j.id, (SELECT count(*) FROM entries e WHERE e.journal_id = j.id)
  FROM journals j WHERE j.kind >= 5 AND j.id > $1 ORDER BY j.id LIMIT $2
