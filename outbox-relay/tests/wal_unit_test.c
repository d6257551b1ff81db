/* What wal mode does without a server: rows out of values, files of large transactions, what a slot may look like. */
#include "source_wal_row.h"
#include "source_wal_slot.h"
#include "source_wal_spill.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES(literal) ((struct bytes){ (literal), sizeof(literal) - 1 })

static struct pgoutput_message message;

static void add_column(const char *name, uint32_t type)
{
    message.columns[message.count++] = (struct pgoutput_column){ { name, strlen(name) }, type };
}

static void set_value(int column, struct bytes value)
{
    message.values[column] = (struct pgoutput_value){ PGOUTPUT_BINARY, value };
}

enum { ID, TOPIC, KEY, TYPE, PAYLOAD, HEADERS, TRACE, CREATED, COLUMNS };

/* The table of schemas/common/, as it is described. */
static void describe(
    struct mapping *mapping, uint32_t payload_type, uint32_t headers_type, struct wal_relation *relation)
{
    struct error e = { 0 };

    message.count = 0;
    message.relation = 77;
    add_column("id", 20);
    add_column("topic", 25);
    add_column("key", 17);
    add_column("type", 1043);
    add_column("payload", payload_type);
    add_column("headers", headers_type);
    add_column("traceparent", 25);
    add_column("created_at", 1184);
    cr_assert(wal_relation_read(&message, mapping, NULL, 0, relation, &e), "%s", e.message);
}

static void fill(void)
{
    message.count = COLUMNS;
    set_value(ID, BYTES("\0\0\0\0\0\0\x01\x02"));
    set_value(TOPIC, BYTES("orders.v1"));
    set_value(KEY, BYTES("\0k"));
    set_value(TYPE, BYTES("shop.Placed"));
    set_value(PAYLOAD, BYTES("\x08\x01"));
    message.values[HEADERS].format = PGOUTPUT_NULL;
    message.values[TRACE].format = PGOUTPUT_NULL;
    set_value(CREATED, BYTES("\0\0\0\0\0\x0f\x42\x40"));
}

static struct source_row read_row(const struct wal_relation *relation, const struct mapping *mapping)
{
    static struct arena *arena;
    struct source_row row;
    struct error e = { 0 };

    arena = arena ? arena : arena_new();
    cr_assert(wal_row_read(&message, relation, mapping, arena, &row, &e), "%s", e.message);
    return row;
}

static bool same(struct bytes bytes, struct bytes wanted)
{
    return bytes.len == wanted.len && memcmp(bytes.data, wanted.data, wanted.len) == 0;
}

Test(wal_row, has_what_its_columns_say)
{
    struct mapping mapping = mapping_default;
    struct wal_relation relation;
    struct source_row row;

    describe(&mapping, 17, 1009, &relation);
    fill();
    row = read_row(&relation, &mapping);
    cr_expect_null(row.flaw, "%s", row.flaw);
    cr_expect_eq(row.id, 0x102);
    cr_expect_null(row.event_id);
    cr_expect_str_eq(row.topic, "orders.v1");
    cr_expect_str_eq(row.type, "shop.Placed");
    cr_expect_str_eq(row.traceparent, "");
    cr_expect(same(row.key, BYTES("\0k")));
    cr_expect(same(row.payload, BYTES("\x08\x01")));
    cr_expect_eq(row.created_at_us, INT64_C(946684801000000));
    cr_expect_eq(row.header_count, 0);

    message.values[KEY].format = message.values[PAYLOAD].format = PGOUTPUT_NULL;
    row = read_row(&relation, &mapping);
    cr_expect(!row.key.data && !row.payload.data, "NULL is no key and a tombstone");
    set_value(PAYLOAD, BYTES(""));
    row = read_row(&relation, &mapping);
    cr_expect(row.payload.data && row.payload.len == 0, "empty is not NULL");
}

Test(wal_row, values_become_text_as_postgres_writes_it)
{
    static const struct {
        uint32_t type;
        struct bytes value;
        const char *text;
    } cases[] = {
        { 25, BYTES("plain"), "plain" },
        { 21, BYTES("\xff\xfe"), "-2" },
        { 23, BYTES("\x80\0\0\0"), "-2147483648" },
        { 20, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff"), "9223372036854775807" },
        { 114, BYTES("{\"a\": 1}"), "{\"a\": 1}" },
        { 3802, BYTES("\x01{\"a\": 1}"), "{\"a\": 1}" },
        { 2950, BYTES("\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11"),
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mapping mapping = mapping_default;
        struct wal_relation relation;

        describe(&mapping, cases[i].type, 1009, &relation);
        fill();
        set_value(PAYLOAD, cases[i].value);
        struct source_row row = read_row(&relation, &mapping);
        cr_expect(same(row.payload, (struct bytes){ cases[i].text, strlen(cases[i].text) }), "%s", cases[i].text);
    }
}

Test(wal_row, formats_make_topic_and_type)
{
    struct mapping mapping = mapping_default;
    struct wal_relation relation;

    mapping.topic_format = (char *)(uintptr_t) "shop.{}.v1";
    mapping.type_format = (char *)(uintptr_t) "shop.Happened";
    mapping.id_column = (char *)(uintptr_t) "type";
    describe(&mapping, 17, 1009, &relation);
    fill();
    struct source_row row = read_row(&relation, &mapping);
    cr_expect_str_eq(row.topic, "shop.orders.v1.v1");
    cr_expect_str_eq(row.type, "shop.Happened");
    cr_expect_str_eq(row.event_id, "shop.Placed");
}

#define ARRAY(count, rest) "\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0" count "\0\0\0\x01" rest

Test(wal_row, headers_are_pairs_or_a_json_object)
{
    static const struct {
        uint32_t type;
        struct bytes value;
        const char *headers; /* NULL: a flaw */
    } cases[] = {
        { 1009,
            BYTES(ARRAY("\x02", "\0\0\0\x01"
                                "a"
                                "\0\0\0\x02"
                                "12")),
            "a=12 " },
        { 1009, BYTES("\0\0\0\0\0\0\0\0\0\0\0\x19"), "" },
        { 1009,
            BYTES(ARRAY("\x01", "\0\0\0\x01"
                                "a")),
            NULL },
        { 1009,
            BYTES(ARRAY("\x02", "\0\0\0\x01"
                                "a"
                                "\xff\xff\xff\xff")),
            NULL },
        { 1009,
            BYTES(ARRAY("\x02", "\0\0\0\x01"
                                "a"
                                "\0\0\0\x09"
                                "12")),
            NULL },
        { 3802, BYTES("\x01{\"a\": \"x\", \"b\": 2, \"c\": [1, true]}"), "a=x b=2 c=[1,true] " },
        { 114, BYTES("{}"), "" },
        { 114, BYTES("[1]"), NULL },
        { 114, BYTES("{\"a\": null}"), NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mapping mapping = mapping_default;
        struct wal_relation relation;
        char text[256] = "";
        size_t len = 0;

        describe(&mapping, 17, cases[i].type, &relation);
        fill();
        set_value(HEADERS, cases[i].value);
        struct source_row row = read_row(&relation, &mapping);
        cr_expect_eq(row.flaw == NULL, cases[i].headers != NULL, "case %zu: %s", i, row.flaw);
        for (size_t h = 0; !row.flaw && h < row.header_count; h += 2)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s=%s ", (const char *)row.headers[h].data,
                (const char *)row.headers[h + 1].data);
        if (cases[i].headers)
            cr_expect_str_eq(text, cases[i].headers, "case %zu", i);
    }
}

Test(wal_row, one_that_cannot_be_an_event_says_why)
{
    static const struct {
        int column;
        struct bytes value; /* data NULL: NULL */
        const char *flaw;
    } cases[] = {
        { ID, BYTES("\0\0\0\0\0\0\0\0"), "the order column is not positive" },
        { TOPIC, { 0 }, "the topic column is NULL" },
        { TYPE, { 0 }, "the type column is NULL" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mapping mapping = mapping_default;
        struct wal_relation relation;

        describe(&mapping, 17, 1009, &relation);
        fill();
        set_value(cases[i].column, cases[i].value);
        if (!cases[i].value.data)
            message.values[cases[i].column].format = PGOUTPUT_NULL;
        struct source_row row = read_row(&relation, &mapping);
        cr_assert_not_null(row.flaw);
        cr_expect_str_eq(row.flaw, cases[i].flaw);
    }
}

Test(wal_row, values_that_are_not_of_their_type_are_an_error)
{
    struct mapping mapping = mapping_default;
    struct wal_relation relation;
    struct arena *arena = arena_new();
    struct source_row row;
    struct error e = { 0 };

    describe(&mapping, 17, 1009, &relation);
    fill();
    set_value(ID, BYTES("\0\0\0\x01"));
    cr_expect_not(wal_row_read(&message, &relation, &mapping, arena, &row, &e));
    fill();
    message.values[TOPIC].format = PGOUTPUT_TEXT;
    cr_expect_not(wal_row_read(&message, &relation, &mapping, arena, &row, &e));
    fill();
    message.count = CREATED;
    cr_expect_not(wal_row_read(&message, &relation, &mapping, arena, &row, &e));
    arena_free(arena);

    message.count = 0;
    add_column("id", 1700); /* numeric */
    cr_expect_not(wal_relation_read(&message, &mapping, NULL, 0, &relation, &e));
}

Test(wal_row, an_enum_is_its_label)
{
    static const struct wal_type types[] = { { 16500, WAL_TEXT } };
    struct mapping mapping = mapping_default;
    struct wal_relation relation;
    struct error e = { 0 };

    message.count = 0;
    add_column("topic", 16500);
    cr_expect_not(wal_relation_read(&message, &mapping, NULL, 0, &relation, &e));
    cr_expect(wal_relation_read(&message, &mapping, types, 1, &relation, &e));
}

/* ---- Spills ---- */

Test(wal_spill, gives_back_what_was_added_and_knows_what_was_rolled_back)
{
    CLEANUP(wal_spill_free) struct wal_spill *spill = NULL;
    struct error e = { 0 };
    struct bytes data;
    char text[300000];

    cr_assert(wal_spill_open("/tmp", 727, &spill, &e), "%s", e.message);
    for (size_t i = 1; i <= 300; i++) {
        memset(text, (int)i, sizeof text);
        cr_assert(wal_spill_add(spill, (struct bytes){ text, i * 1000 }, &e));
    }
    for (uint32_t xid = 1000; xid > 700; xid -= 3)
        cr_assert(wal_spill_abort(spill, xid, &e));
    cr_assert(wal_spill_rewind(spill, &e), "%s", e.message);
    for (size_t i = 1; i <= 300; i++) {
        cr_assert(wal_spill_next(spill, &data, &e) && data.data);
        cr_assert_eq(data.len, i * 1000);
        cr_assert_eq(((const unsigned char *)data.data)[data.len - 1], i & 255);
    }
    cr_assert(wal_spill_next(spill, &data, &e));
    cr_expect_null(data.data);
    for (uint32_t xid = 690; xid < 1010; xid++)
        cr_expect_eq(wal_spill_aborted(spill, xid), xid > 700 && xid <= 1000 && (1000 - xid) % 3 == 0, "%u", xid);
    cr_expect_eq(wal_spill_xid(spill), 727);
}

Test(wal_spill, a_folder_that_is_not_there_is_an_error)
{
    struct wal_spill *spill;
    struct error e = { 0 };

    cr_expect_not(wal_spill_open("/no/such/folder", 1, &spill, &e));
    cr_expect_eq(e.kind, ERROR_TRANSIENT);
}

/* ---- Slots ---- */

Test(wal_slot, is_ours_only_if_plugin_and_database_are_and_nothing_is_lost)
{
    static const struct {
        const char *plugin, *database, *status, *trouble;
        bool exists;
    } cases[] = {
        { NULL, NULL, NULL, NULL, false }, { "pgoutput", "shop", "reserved", NULL, true },
        { "pgoutput", "shop", "extended", NULL, true }, { "pgoutput", "shop", "lost", "is lost", false },
        { "pgoutput", "other", "reserved", "of database", false }, { "wal2json", "shop", "reserved", "plugin", false },
        { NULL, NULL, "reserved", "plugin", false }, /* a physical one */
    };
    static const char *const names[] = { "flush", "plugin", "database", "pid", "status", "restart", "confirmed",
        "current" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const values[] = { "900", cases[i].plugin, cases[i].database, NULL, cases[i].status,
            cases[i].status ? "500" : NULL, cases[i].status ? "700" : NULL, "shop" };
        CLEANUP(pg_result_clear) PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
        PGresAttDesc columns[ARRAY_LEN(names)] = { 0 };
        struct wal_slot slot;
        struct error e = { 0 };

        for (size_t c = 0; c < ARRAY_LEN(names); c++)
            columns[c].name = (char *)(uintptr_t)names[c];
        cr_assert(PQsetResultAttrs(result, ARRAY_LEN(names), columns));
        for (int c = 0; c < (int)ARRAY_LEN(names); c++)
            cr_assert(PQsetvalue(result, 0, c, (char *)(uintptr_t)values[c], values[c] ? (int)strlen(values[c]) : -1));
        cr_expect_eq(wal_slot_take(result, "s", &slot, &e), cases[i].trouble == NULL, "case %zu: %s", i, e.message);
        if (cases[i].trouble)
            cr_expect(strstr(e.message, cases[i].trouble) && e.kind == ERROR_FATAL, "case %zu: %s", i, e.message);
        else
            cr_expect(slot.exists == cases[i].exists && slot.flush_lsn == 900 &&
                      slot.confirmed_lsn == (cases[i].exists ? 700 : 0));
    }
}
