/* source_wal.h -- wal mode of source.h: rows as they are committed, read from Postgres' log through a replication slot.
 */
#pragma once

#include "source.h"

/* Connects, and holds table, columns and publication against the mapping. Errors: as source_open(). */
MUST_CHECK bool source_wal_open(const struct source_options *options, struct source **ret_source, struct error *e);
