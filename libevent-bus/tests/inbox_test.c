/* The same request in a second record has no second effect. */
#include "pg_testing.h"

#include <criterion/criterion.h>
#include <event_bus/inbox.h>
#include <pthread.h>
#include <support.h>
#include <unistd.h>

enum { REQUESTS_MAX = 8 };

static struct support_database database;
static struct pg *pg;

static void open_inbox(void)
{
    support_database_open("identity", &database);
    pg = pg_testing_open(database.url);
}

static void close_inbox(void)
{
    pg_free(pg);
}

TestSuite(inbox, .init = open_inbox, .fini = close_inbox, .timeout = 60);

STATEMENT(count_inbox, "SELECT count(*) FROM inbox");

struct request {
    const char *source, *id, *value;
    bool refused; /* by the handler, before it asks */
    enum { FRESH, SEEN, REUSED } wanted;
};

static void take(struct pg *connection, const struct request *requests, size_t count)
{
    struct delivery deliveries[REQUESTS_MAX] = { 0 };
    bool fresh[REQUESTS_MAX];
    struct error e = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct request *r = &requests[i];
        deliveries[i].event = (struct event){ .source = r->source, .id = r->id };
        if (r->value)
            deliveries[i].event.value = (struct bytes){ r->value, strlen(r->value) };
        if (r->refused)
            error_set(&deliveries[i].verdict, ERROR_REFUSED, "not liked");
    }
    cr_assert(inbox_take(connection, deliveries, count, fresh, &e), "%s", e.message);
    for (size_t i = 0; i < count; i++) {
        const struct request *r = &requests[i];
        bool reused = strcmp(deliveries[i].verdict.field, "ce_id") == 0;
        cr_expect_eq(fresh[i], !r->refused && r->wanted == FRESH, "%zu: %s", i, r->id);
        cr_expect_eq(reused, r->wanted == REUSED, "%zu: %s: %s", i, r->id, deliveries[i].verdict.message);
        cr_expect(!reused || error_is(&deliveries[i].verdict, ERROR_REFUSED));
    }
}

static void take_committed(const struct request *requests, size_t count)
{
    pg_testing_begin(pg);
    take(pg, requests, count);
    pg_testing_commit(pg);
}

Test(inbox, a_request_is_fresh_once_by_source_and_id_within_a_batch_and_after_it)
{
    static const struct request first[] = {
        { "/a", "1", "x", .wanted = FRESH },
        { "/b", "1", "x", .wanted = FRESH },
        { "/a", "1", "x", .wanted = SEEN },
        { "/a", "2", NULL, .wanted = FRESH },
        { "/a", "1", "another", .wanted = REUSED },
    };
    static const struct request second[] = {
        { "/a", "3", "z", .wanted = FRESH },
        { "/b", "1", "x", .wanted = SEEN },
        { "/a", "2", NULL, .wanted = SEEN },
        { "/a", "2", "not nothing", .wanted = REUSED },
        { "/a", "1", "another", .wanted = REUSED },
    };
    take_committed(first, ARRAY_LEN(first));
    take_committed(second, ARRAY_LEN(second));
    cr_expect_eq(pg_testing_int64(pg, &count_inbox), 4);
}

Test(inbox, what_is_refused_or_rolled_back_was_never_seen)
{
    static const struct request refused[] = { { "/a", "1", "x", .refused = true },
        { "/a", "2", "x", .refused = true } };
    static const struct request again[] = { { "/a", "1", "x", .wanted = FRESH }, { "/a", "2", "y", .wanted = FRESH } };
    take_committed(refused, ARRAY_LEN(refused));
    pg_testing_begin(pg);
    take(pg, again, ARRAY_LEN(again));
    pg_rollback(pg);
    cr_expect_eq(pg_testing_int64(pg, &count_inbox), 0);
    take_committed(again, ARRAY_LEN(again));
    cr_expect_eq(pg_testing_int64(pg, &count_inbox), 2);
}

static void *take_seen(void *other)
{
    static const struct request seen[] = { { "/a", "2", "x", .wanted = SEEN }, { "/a", "1", "x", .wanted = SEEN } };
    pg_testing_begin(other);
    take(other, seen, ARRAY_LEN(seen));
    pg_testing_commit(other);
    return NULL;
}

Test(inbox, two_who_take_the_same_requests_at_once_wait_for_each_other_and_one_has_them)
{
    static const struct request fresh[] = { { "/a", "1", "x", .wanted = FRESH }, { "/a", "2", "x", .wanted = FRESH } };
    CLEANUP(pg_free) struct pg *other = pg_testing_open(database.url);
    pthread_t thread;
    pg_testing_begin(pg);
    take(pg, fresh, ARRAY_LEN(fresh));
    pthread_create(&thread, NULL, take_seen, other);
    usleep(200000);
    pg_testing_commit(pg);
    pthread_join(thread, NULL);
    cr_expect_eq(pg_testing_int64(pg, &count_inbox), 2);
}
