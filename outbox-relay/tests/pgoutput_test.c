/* The parser of what Postgres' pgoutput writes: bytes by hand after the manual, each message cut at every length, and a
 * corpus of what a Postgres wrote. */
#include "pgoutput.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#define BYTES(literal) ((struct bytes){ (literal), sizeof(literal) - 1 })

#define XID     "\0\0\x02\xd7" /* 727 */
#define SUBXID  "\0\0\x02\xd8"
#define LSN     "\0\0\0\x16\xb3\x74\xd8\x48" /* 16/B374D848 */
#define END_LSN "\0\0\0\x16\xb3\x74\xd8\x78"
#define TIME    "\0\0\0\0\0\x0f\x42\x40" /* one second after 2000-01-01 */
#define TIME_US INT64_C(946684801000000)
#define RELATION                                                                                                       \
    "\0\0\x40\x01public\0outbox\0d\0\x02"                                                                              \
    "\x01"                                                                                                             \
    "id\0\0\0\0\x14\xff\xff\xff\xff"                                                                                   \
    "\0payload\0\0\0\0\x11\xff\xff\xff\xff"
#define TUPLE                                                                                                          \
    "\0\x04"                                                                                                           \
    "b\0\0\0\x08\0\0\0\0\0\0\0\x07"                                                                                    \
    "n"                                                                                                                \
    "t\0\0\0\x02hi"                                                                                                    \
    "u"
#define INSERT "\0\0\x40\x01N" TUPLE

static struct pgoutput_message message;

static const struct {
    const char *name;
    struct bytes data;
    bool in_stream;
    enum pgoutput_kind kind;
} good[] = {
    { "begin", BYTES("B" LSN TIME XID), false, PGOUTPUT_BEGIN },
    { "commit", BYTES("C\0" LSN END_LSN TIME), false, PGOUTPUT_COMMIT },
    { "relation", BYTES("R" RELATION), false, PGOUTPUT_RELATION },
    { "relation in a stream", BYTES("R" XID RELATION), true, PGOUTPUT_RELATION },
    { "insert", BYTES("I" INSERT), false, PGOUTPUT_INSERT },
    { "insert in a stream", BYTES("I" SUBXID INSERT), true, PGOUTPUT_INSERT },
    { "stream start", BYTES("S" XID "\x01"), false, PGOUTPUT_STREAM_START },
    { "stream stop", BYTES("E"), true, PGOUTPUT_STREAM_STOP },
    { "stream commit", BYTES("c" XID "\0" LSN END_LSN TIME), false, PGOUTPUT_STREAM_COMMIT },
    { "stream abort", BYTES("A" XID SUBXID), false, PGOUTPUT_STREAM_ABORT },
};

static bool parse(struct bytes data, bool in_stream)
{
    struct error e = { 0 };
    bool ok = pgoutput_parse(data, in_stream, &message, &e);

    cr_assert_eq(e.kind, ok ? ERROR_NONE : ERROR_INVALID);
    return ok;
}

static bool same(struct bytes a, const char *text)
{
    return a.len == strlen(text) && memcmp(a.data, text, a.len) == 0;
}

Test(pgoutput, each_message_is_read_and_refused_when_a_byte_is_missing_or_too_many)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CLEANUP(xfree) char *longer = xmalloc(good[i].data.len + 1);

        cr_assert(parse(good[i].data, good[i].in_stream), "%s", good[i].name);
        cr_expect_eq(message.kind, good[i].kind, "%s", good[i].name);
        for (size_t len = 0; len < good[i].data.len; len++) {
            CLEANUP(xfree) char *cut = xmalloc(len + 1); /* its own, so that a sanitizer sees a read beyond */

            memcpy(cut, good[i].data.data, len);
            cr_expect_not(parse((struct bytes){ cut, len }, good[i].in_stream), "%s cut at %zu", good[i].name, len);
        }
        memcpy(longer, good[i].data.data, good[i].data.len);
        longer[good[i].data.len] = 0;
        cr_expect_not(parse((struct bytes){ longer, good[i].data.len + 1 }, good[i].in_stream), "%s", good[i].name);
    }
}

Test(pgoutput, a_transaction_says_where_and_when_it_was_committed)
{
    static const size_t with_commit[] = { 0, 1, 8 };

    for (size_t i = 0; i < ARRAY_LEN(with_commit); i++) {
        cr_assert(parse(good[with_commit[i]].data, false));
        cr_expect_eq(message.commit_lsn, 0x16B374D848);
        cr_expect_eq(message.commit_time_us, TIME_US);
        if (message.kind != PGOUTPUT_BEGIN)
            cr_expect_eq(message.end_lsn, 0x16B374D878);
        if (message.kind != PGOUTPUT_COMMIT)
            cr_expect_eq(message.xid, 727);
    }
}

Test(pgoutput, a_relation_names_its_columns_and_their_types)
{
    for (size_t i = 2; i <= 3; i++) {
        cr_assert(parse(good[i].data, good[i].in_stream));
        cr_expect_eq(message.xid, good[i].in_stream ? 727 : 0);
        cr_expect_eq(message.relation, 0x4001);
        cr_expect(same(message.schema, "public") && same(message.name, "outbox"));
        cr_expect_eq(message.count, 2);
        cr_expect(same(message.columns[0].name, "id") && same(message.columns[1].name, "payload"));
        cr_expect(message.columns[0].type == 20 && message.columns[1].type == 17);
    }
}

Test(pgoutput, an_insert_has_a_value_a_column)
{
    for (size_t i = 4; i <= 5; i++) {
        cr_assert(parse(good[i].data, good[i].in_stream));
        cr_expect_eq(message.xid, good[i].in_stream ? 728 : 0);
        cr_expect_eq(message.relation, 0x4001);
        cr_assert_eq(message.count, 4);
        cr_expect_eq(message.values[0].format, PGOUTPUT_BINARY);
        cr_expect_eq(message.values[0].value.len, 8);
        cr_expect_eq(((const char *)message.values[0].value.data)[7], 7);
        cr_expect_eq(message.values[1].format, PGOUTPUT_NULL);
        cr_expect(message.values[2].format == PGOUTPUT_TEXT && same(message.values[2].value, "hi"));
        cr_expect_eq(message.values[3].format, PGOUTPUT_UNCHANGED);
    }
}

Test(pgoutput, an_abort_names_the_transaction_and_what_of_it_was_rolled_back)
{
    cr_assert(parse(good[9].data, false));
    cr_expect_eq(message.xid, 727);
    cr_expect_eq(message.subxid, 728);
}

Test(pgoutput, what_no_postgres_writes_is_refused)
{
    static const struct {
        const char *name;
        struct bytes data;
    } bad[] = {
        { "nothing", { "", 0 } },
        { "an unknown kind", BYTES("Z") },
        { "an insert of an old row", BYTES("I\0\0\x40\x01K" TUPLE) },
        { "a value of unknown format", BYTES("I\0\0\x40\x01N\0\x01x") },
        { "a value longer than the message", BYTES("I\0\0\x40\x01N\0\x01t\x7f\xff\xff\xffhi") },
        { "a value of negative length", BYTES("I\0\0\x40\x01N\0\x01t\xff\xff\xff\xffhi") },
        { "more columns than a table can have", BYTES("I\0\0\x40\x01N\xff\xff"
                                                      "nnnn") },
        { "a relation of too many columns", BYTES("R\0\0\x40\x01s\0t\0d\x06\x81") },
        { "a name without an end", BYTES("R\0\0\x40\x01"
                                         "abc") },
        { "a commit that ends before it begins", BYTES("C\0" END_LSN LSN TIME) },
        { "a time beyond all times", BYTES("B" LSN "\x7f\xff\xff\xff\xff\xff\xff\xff" XID) },
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_not(parse(bad[i].data, false), "%s", bad[i].name);
}

Test(pgoutput, kinds_that_change_nothing_here_are_told_by_their_kind)
{
    static const char kinds[] = "OMYUDT";

    for (const char *kind = kinds; *kind; kind++) {
        const char data[] = { *kind, 1, 2, 3 };

        cr_expect(parse((struct bytes){ data, sizeof data }, false), "%c", *kind);
        cr_expect_eq(message.kind, *kind);
    }
}

Test(pgoutput, frames_are_data_or_keepalives)
{
    static const struct bytes data = BYTES("w" LSN LSN TIME "E"), keepalive = BYTES("k" END_LSN TIME "\x01");
    static const struct bytes bad[] = { { "", 0 }, BYTES("w" LSN LSN "\0\0\0"), BYTES("k" LSN TIME),
        BYTES("k" LSN TIME "\0\0"), BYTES("p" LSN TIME "\0") };
    struct pgoutput_frame frame;
    struct error e = { 0 };

    cr_assert(pgoutput_read_frame(data, &frame, &e));
    cr_expect(!frame.keepalive && same(frame.data, "E"));
    cr_expect_eq(frame.lsn, 0x16B374D848);
    cr_assert(pgoutput_read_frame(keepalive, &frame, &e));
    cr_expect(frame.keepalive && frame.reply_requested);
    cr_expect_eq(frame.lsn, 0x16B374D878);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_not(pgoutput_read_frame(bad[i], &frame, &e), "%zu", i);
}

Test(pgoutput, a_status_moves_the_slot_to_what_was_dealt_with)
{
    static const char expected[] = "r" LSN LSN LSN TIME "\0";
    char status[PGOUTPUT_STATUS_BYTES];

    pgoutput_write_status(0x16B374D848, TIME_US, status);
    cr_expect_eq(sizeof expected - 1, sizeof status);
    cr_expect_eq(memcmp(status, expected, sizeof status), 0);
}

Test(lsn, is_read_and_written_as_postgres_does)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t lsn;
    } cases[] = {
        { "16/B374D848", true, 0x16B374D848 },
        { "0/0", true, 0 },
        { "FFFFFFFF/FFFFFFFF", true, UINT64_MAX },
        { "", false },
        { "/", false },
        { "16", false },
        { "16/", false },
        { "/16", false },
        { "16/B374D848 ", false },
        { "100000000/0", false },
        { "0/100000000", false },
        { "-1/0", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[LSN_TEXT_MAX];
        uint64_t lsn = 0;

        cr_expect_eq(lsn_parse(cases[i].text, &lsn), cases[i].ok, "\"%s\"", cases[i].text);
        if (cases[i].ok) {
            cr_expect_eq(lsn, cases[i].lsn);
            cr_expect_str_eq(lsn_format(lsn, text), cases[i].text);
        }
    }
}

/* What the fuzzer starts from: the first byte tells whether it is in a stream. Names end in what they must be. */
Test(pgoutput, the_corpus_that_a_postgres_wrote_is_read)
{
    DIR *folder = opendir(PGOUTPUT_CORPUS);
    size_t count = 0;

    cr_assert(folder, "%s is missing", PGOUTPUT_CORPUS);
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char path[1024], data[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", PGOUTPUT_CORPUS, entry->d_name);
        FILE *file = fopen(path, "r");
        cr_assert(file, "%s", path);
        size_t len = fread(data, 1, sizeof data, file);
        fclose(file);
        cr_assert_gt(len, 1, "%s", path);
        cr_expect(parse((struct bytes){ data + 1, len - 1 }, data[0] & 1), "%s", path);
        count++;
    }
    closedir(folder);
    cr_expect_gt(count, 10);
}
