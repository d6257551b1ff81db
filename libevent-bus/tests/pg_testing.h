/* pg_testing.h -- short forms for the tests of pg and outbox. Each fails the test when the thing itself fails. */
#pragma once

#include <event_bus/pg.h>

#define STATEMENT(identifier, text) static const struct pg_statement identifier = { #identifier, text }

struct pg *pg_testing_open(const char *dsn);
void pg_testing_begin(struct pg *pg);
void pg_testing_send(struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result);
void pg_testing_wait(struct pg *pg);
void pg_testing_commit(struct pg *pg);
struct pg_result *pg_testing_query(struct pg *pg, const struct pg_statement *statement);
void pg_testing_run(struct pg *pg, const struct pg_statement *statement);
int64_t pg_testing_int64(struct pg *pg, const struct pg_statement *statement); /* first row, first column */
int32_t pg_testing_backend(struct pg *pg);                                     /* process id */
/* Ends that backend and waits until it is gone. */
void pg_testing_terminate(struct pg *other, int32_t backend);
