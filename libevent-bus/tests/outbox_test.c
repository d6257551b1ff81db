#include "pg_testing.h"

#include <event_bus/outbox.h>

#include <criterion/criterion.h>
#include <orders_v1.pb-c.h>
#include <support.h>

static struct support_database database;
static struct pg *pg;
static struct outbox *outbox;

static void open_outbox(void)
{
    support_database_open("identity", &database);
    pg = pg_testing_open(database.url);
    outbox = outbox_new();
}

static void close_outbox(void)
{
    outbox_free(outbox);
    pg_free(pg);
}

TestSuite(outbox, .init = open_outbox, .fini = close_outbox, .timeout = 60);

STATEMENT(read_outbox, "SELECT topic, key, type, payload, traceparent, array_to_string(headers, '|', '<null>'),"
                       " cardinality(headers), xid = pg_current_xact_id() FROM outbox ORDER BY id");
STATEMENT(count_outbox, "SELECT count(*) FROM outbox");

static void write_outbox(void)
{
    struct error e = { 0 };
    cr_assert(outbox_write(outbox, pg, &e), "%s", e.message);
}

static void add_text(const char *topic, const char *payload)
{
    outbox_add_raw(
        outbox, topic, (struct bytes){ "k", 1 }, "test.Type", (struct bytes){ payload, strlen(payload) }, NULL, NULL);
}

Test(outbox, events_are_written_as_they_were_added)
{
    static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Penstock__Orders__V1__CancelOrder cancel = PENSTOCK__ORDERS__V1__CANCEL_ORDER__INIT;
    cancel.client_id = 7;
    char topic[] = "orders.requests.v1", key[] = "BTC-USD";
    outbox_add(outbox, topic, key, &cancel.base, parent);
    memset(topic, 'x', strlen(topic)); /* copies were made */
    memset(key, 'x', strlen(key));
    outbox_add_raw(outbox, "raw", (struct bytes){ NULL, 0 }, "test.Type", (struct bytes){ NULL, 0 }, "", NULL);
    cr_assert_eq(outbox_count(outbox), 2);

    pg_testing_begin(pg);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    write_outbox();
    cr_assert_eq(outbox_count(outbox), 0);
    pg_testing_send(pg, &read_outbox, &rows);
    pg_testing_commit(pg);

    cr_assert_eq(pg_rows(rows), 2);
    cr_assert_str_eq(pg_get_text(rows, 0, 0), "orders.requests.v1");
    struct bytes bytes = pg_get_bytes(rows, 0, 1);
    cr_assert_eq(bytes.len, 7);
    cr_assert_arr_eq(bytes.data, "BTC-USD", 7);
    cr_assert_str_eq(pg_get_text(rows, 0, 2), "penstock.orders.v1.CancelOrder");
    bytes = pg_get_bytes(rows, 0, 3);
    Penstock__Orders__V1__CancelOrder *back =
        penstock__orders__v1__cancel_order__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
    cr_assert(back);
    cr_assert_eq(back->client_id, 7);
    penstock__orders__v1__cancel_order__free_unpacked(back, NULL);
    cr_assert_str_eq(pg_get_text(rows, 0, 4), parent);
    cr_assert(pg_is_null(rows, 0, 5));
    cr_assert(pg_get_bool(rows, 0, 7), "the row carries its transaction");

    cr_assert(pg_is_null(rows, 1, 1));
    cr_assert_not(pg_is_null(rows, 1, 3));
    cr_assert_eq(pg_get_bytes(rows, 1, 3).len, 0);
    cr_assert(pg_is_null(rows, 1, 4));
}

Test(outbox, ids_follow_the_order_of_adding)
{
    STATEMENT(out_of_order, "SELECT count(*) FROM (SELECT convert_from(payload, 'UTF8')::int AS n,"
                            " row_number() OVER (ORDER BY id) AS r FROM outbox) AS o WHERE n <> r");
    enum { COUNT = 20000 };
    for (int i = 1; i <= COUNT; i++) {
        char payload[16];
        snprintf(payload, sizeof payload, "%d", i);
        if (i % 3 == 0)
            outbox_add_raw(outbox, "b", (struct bytes){ "k", 1 }, "T", (struct bytes){ payload, strlen(payload) }, NULL,
                (const char *const[]){ "n", payload, NULL });
        else
            add_text("a", payload);
        if (i == COUNT / 2) {
            pg_testing_begin(pg);
            write_outbox();
        }
    }
    write_outbox();
    pg_testing_commit(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_outbox), COUNT);
    cr_assert_eq(pg_testing_int64(pg, &out_of_order), 0);
}

Test(outbox, is_written_with_the_transaction_or_not_at_all)
{
    STATEMENT(fail, "SELECT 1 / 0");
    struct error e = { 0 };
    pg_testing_begin(pg);
    add_text("t", "rolled back");
    write_outbox();
    pg_rollback(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_outbox), 0);

    pg_testing_begin(pg);
    add_text("t", "lost to an error");
    write_outbox();
    pg_testing_send(pg, &fail, NULL);
    cr_assert_not(pg_commit(pg, &e));
    pg_rollback(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_outbox), 0);

    pg_testing_begin(pg);
    add_text("t", "committed");
    write_outbox();
    pg_testing_commit(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_outbox), 1);
}

Test(outbox, nothing_gathered_is_no_statement)
{
    pg_testing_begin(pg);
    write_outbox();
    cr_assert_eq(PQtransactionStatus(pg_native(pg)), PQTRANS_IDLE, "not even a BEGIN has left");
    pg_testing_commit(pg);
}

Test(outbox, what_was_cleared_is_not_written)
{
    add_text("t", "forgotten");
    outbox_clear(outbox);
    add_text("t", "kept");
    pg_testing_begin(pg);
    write_outbox();
    pg_testing_commit(pg);
    CLEANUP(pg_result_free) struct pg_result *rows = pg_testing_query(pg, &read_outbox);
    cr_assert_eq(pg_rows(rows), 1);
    cr_assert_arr_eq(pg_get_bytes(rows, 0, 3).data, "kept", 4);
}

static const struct {
    const char *headers[5];
    const char *written; /* joined by '|'; NULL: none */
} header_cases[] = {
    { { NULL }, NULL },
    { { "dlq_reason", "price is missing" }, "dlq_reason|price is missing" },
    { { "a", "", "b", "NULL" }, "a||b|NULL" },
    { { "quotes", "\"{},\\\"\\\\", "c", " padded " }, "quotes|\"{},\\\"\\\\|c| padded " },
    { { "umlaut", "\u00fc\u20ac" }, "umlaut|\u00fc\u20ac" },
    { { "poison", "a\xff\xc3[\n" }, "poison|a??[?" },
};

Test(outbox, headers_survive_whatever_they_hold)
{
    for (size_t i = 0; i < ARRAY_LEN(header_cases); i++)
        outbox_add_raw(outbox, "t", (struct bytes){ "\xff\0", 2 }, "T\xff", (struct bytes){ "\0", 1 }, "no traceparent",
            header_cases[i].headers);
    pg_testing_begin(pg);
    write_outbox();
    pg_testing_commit(pg);
    CLEANUP(pg_result_free) struct pg_result *rows = pg_testing_query(pg, &read_outbox);
    for (size_t i = 0; i < ARRAY_LEN(header_cases); i++) {
        size_t count = 0;
        while (header_cases[i].headers[count])
            count++;
        cr_assert_eq(pg_get_int64(rows, i, 6), (int64_t)count, "case %zu", i);
        cr_assert_eq(pg_is_null(rows, i, 5), !header_cases[i].written, "case %zu", i);
        cr_assert_str_eq(
            pg_get_text(rows, i, 5), header_cases[i].written ? header_cases[i].written : "", "case %zu", i);
        cr_assert_str_eq(pg_get_text(rows, i, 2), "T?");
        cr_assert_eq(pg_get_bytes(rows, i, 1).len, 2, "a key is bytes");
        cr_assert(pg_is_null(rows, i, 4), "a malformed traceparent is dropped");
    }
}

Test(outbox, a_large_batch_travels_in_one_statement)
{
    enum { COUNT = 2000, SIZE = 10000 };
    CLEANUP(xfree) char *payload = xcalloc(SIZE, 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++)
            outbox_add_raw(outbox, "t", (struct bytes){ "k", 1 }, "T", (struct bytes){ payload, SIZE }, NULL, NULL);
        pg_testing_begin(pg);
        write_outbox();
        pg_testing_commit(pg);
    }
    cr_assert_eq(pg_testing_int64(pg, &count_outbox), 2 * COUNT);
}

/* ---- outbox_write() in SQL ---- */

STATEMENT(write_in_sql, "SELECT outbox_write($1, $2, $3, $4, $5, $6::text[])");
STATEMENT(last_traceparent, "SELECT coalesce(traceparent, 'none') FROM outbox ORDER BY id DESC LIMIT 1");
STATEMENT(last_headers, "SELECT coalesce(array_to_string(headers, '|'), 'none') FROM outbox ORDER BY id DESC LIMIT 1");

#define LONG_TYPE "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
#define TRACE     "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"

struct sql_write {
    const char *topic, *type, *traceparent, *headers;
    const char *want_traceparent, *want_headers; /* NULL: it is refused */
};

static bool write_sql(const struct sql_write *write, const char *payload, struct error *e)
{
    pg_arg_text(pg, write->topic);
    pg_arg_text(pg, "key");
    pg_arg_text(pg, write->type);
    pg_arg_bytes(pg, (struct bytes){ payload, payload ? strlen(payload) : 0 });
    pg_arg_text(pg, write->traceparent);
    pg_arg_text(pg, write->headers);
    return pg_query(pg, &write_in_sql, NULL, e);
}

Test(outbox, the_sql_function_refuses_and_mends_what_the_c_library_does)
{
    static const struct sql_write writes[] = {
        { "a.v1", "T", NULL, NULL, "none", "none" },
        { "a.v1", "T", "00-" TRACE "-01", "{h,v}", "00-" TRACE "-01", "h|v" },
        { "a.v1", "T", "cc-" TRACE "-03-more", NULL, "00-" TRACE "-01", "none" },
        { "a.v1", "T", "cc-" TRACE "-02", NULL, "00-" TRACE "-00", "none" },
        { "a.v1", "T", "00-" TRACE "-01-more", NULL, "none", "none" },
        { "a.v1", "T", "ff-" TRACE "-01", NULL, "none", "none" },
        { "a.v1", "T", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", NULL, "none", "none" },
        { "a.v1", "T", "00-" TRACE, "{\"a\tb\",v,w,\"x\ny\"}", "none", "a?b|v|w|x?y" },
        { "", "T", NULL, NULL, NULL, NULL },
        { NULL, "T", NULL, NULL, NULL, NULL },
        { "a b", "T", NULL, NULL, NULL, NULL },
        { "a.v1", "", NULL, NULL, NULL, NULL },
        { "a.v1", NULL, NULL, NULL, NULL, NULL },
        { "a.v1", "T\tU", NULL, NULL, NULL, NULL },
        { "a.v1", LONG_TYPE LONG_TYPE, NULL, NULL, NULL, NULL },
        { "a.v1", "T", NULL, "{h}", NULL, NULL },
        { "a.v1", "T", NULL, "{h,NULL}", NULL, NULL },
        { "a.v1", "T", NULL, "{{h,v},{i,w}}", NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        struct error e = { 0 };
        bool written = write_sql(&writes[i], "payload", &e);
        cr_expect_eq(written, writes[i].want_headers != NULL, "%zu: %s", i, e.message);
        if (!written) {
            cr_expect(error_is(&e, ERROR_REFUSED), "%zu: %s", i, e.message);
            continue;
        }
        CLEANUP(pg_result_free) struct pg_result *trace = pg_testing_query(pg, &last_traceparent);
        CLEANUP(pg_result_free) struct pg_result *headers = pg_testing_query(pg, &last_headers);
        cr_expect_str_eq(pg_get_text(trace, 0, 0), writes[i].want_traceparent, "%zu", i);
        cr_expect_str_eq(pg_get_text(headers, 0, 0), writes[i].want_headers, "%zu", i);
    }
    struct error e = { 0 };
    cr_expect_not(write_sql(&writes[0], NULL, &e), "a payload is required");
    cr_expect_eq(pg_testing_int64(pg, &count_outbox), 8);
}
