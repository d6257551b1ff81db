/* Snapshots and positions: read as Postgres writes them, kept through Kafka, refused when they are of another database.
 */
#include "position.h"
#include "timeline.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(snapshot, text_of_a_pg_snapshot_is_read_and_anything_else_is_refused)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t xmin, xmax;
        size_t running;
    } cases[] = {
        { "1:1:", true, 1, 1, 0 },
        { "10:20:10,14,15", true, 10, 20, 3 },
        { "18446744073709551614:18446744073709551615:", true, UINT64_MAX - 1, UINT64_MAX, 0 },
        { "18446744073709551614:18446744073709551616:", false },
        { "", false },
        { "10", false },
        { "10:20", false },
        { "0:20:", false },
        { "20:10:", false },
        { "10:20:9", false },     /* below xmin */
        { "10:20:20", false },    /* not below xmax */
        { "10:20:14,12", false }, /* not ascending */
        { "10:20:12,12", false },
        { "10:20:12,", false },
        { "10:20:,12", false },
        { "10:20:12;14", false },
        { "-1:20:", false },
        { " 10:20:", false },
        { "10:20: 12", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot snapshot = { 0 };
        struct error e = { 0 };

        cr_expect_eq(snapshot_parse(cases[i].text, &snapshot, &e), cases[i].ok, "\"%s\"", cases[i].text);
        if (cases[i].ok) {
            cr_expect_eq(snapshot.xmin, cases[i].xmin);
            cr_expect_eq(snapshot.xmax, cases[i].xmax);
            cr_expect_eq(snapshot.xip_count, cases[i].running, "\"%s\"", cases[i].text);
            cr_expect_str_eq(snapshot.text, cases[i].text);
        } else {
            cr_expect_eq(e.kind, ERROR_INVALID);
            cr_expect_null(snapshot.text);
        }
        snapshot_release(&snapshot);
    }
}

Test(snapshot, many_running_transactions_fit)
{
    char text[200000];
    int len = snprintf(text, sizeof text, "1000:100000:");
    struct snapshot snapshot = { 0 };
    struct error e = { 0 };

    for (int xid = 1000; xid < 21000; xid += 2)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%d", xid > 1000 ? "," : "", xid);
    cr_assert(snapshot_parse(text, &snapshot, &e), "%s", e.message);
    cr_expect_eq(snapshot.xip_count, 10000);
    for (uint64_t xid = 1000; xid < 21000; xid++)
        cr_expect_eq(snapshot_sees(&snapshot, xid), xid % 2 == 1);
    snapshot_release(&snapshot);
}

Test(snapshot, sees_what_had_finished)
{
    static const struct {
        const char *text;
        uint64_t xid;
        bool seen;
    } cases[] = {
        { "1:1:", 1, false },
        { "10:20:12,15", 9, true },
        { "10:20:12,15", 10, true },
        { "10:20:12,15", 12, false },
        { "10:20:12,15", 13, true },
        { "10:20:12,15", 15, false },
        { "10:20:12,15", 19, true },
        { "10:20:12,15", 20, false },
        { "20:20:", 19, true },
        { "20:20:", 20, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot snapshot = { 0 };
        struct error e = { 0 };

        cr_assert(snapshot_parse(cases[i].text, &snapshot, &e));
        cr_expect_eq(snapshot_sees(&snapshot, cases[i].xid), cases[i].seen, "%s sees %lu", cases[i].text,
            (unsigned long)cases[i].xid);
        snapshot_release(&snapshot);
    }
}

static void position_make(struct position *ret, const char *before, const char *now, uint64_t last_id)
{
    struct error e = { 0 };
    struct snapshot snapshot;

    position_init(ret);
    snapshot_release(&ret->before);
    cr_assert(snapshot_parse(before, &ret->before, &e));
    cr_assert(snapshot_parse(now, &snapshot, &e));
    position_begin_round(ret, &snapshot);
    ret->last_id = last_id;
    ret->published_rows = 77;
    ret->system_identifier = UINT64_MAX - 5;
    ret->timeline = 3;
    ret->commit_lsn = UINT64_MAX - 6;
    ret->commit_index = 1u << 31;
    ret->log_lsn = UINT64_MAX - 7;
}

Test(position, comes_back_from_kafka_as_it_went)
{
    struct position position, back = { 0 };
    struct error e = { 0 };
    void *data;
    size_t len;

    position_make(&position, "10:20:12", "18:31:18,30", 4711);
    position_encode(&position, "trade-ledger", 1, &data, &len);
    cr_assert(position_decode((struct bytes){ data, len }, "trade-ledger", &back, &e), "%s", e.message);
    cr_expect_str_eq(back.before.text, "10:20:12");
    cr_expect_str_eq(back.now.text, "18:31:18,30");
    cr_expect_eq(back.now.xip_count, 2);
    cr_expect_eq(back.last_id, 4711);
    cr_expect_eq(back.published_rows, 77);
    cr_expect_eq(back.system_identifier, UINT64_MAX - 5);
    cr_expect_eq(back.timeline, 3);
    cr_expect_eq(back.commit_lsn, UINT64_MAX - 6);
    cr_expect_eq(back.commit_index, 1u << 31);
    cr_expect_eq(back.log_lsn, UINT64_MAX - 7);
    position_release(&back);

    cr_expect_not(position_decode((struct bytes){ data, len }, "identity", &back, &e), "taken for another source's");
    cr_expect_not(position_decode((struct bytes){ data, len - 3 }, "trade-ledger", &back, &e), "taken though cut off");
    cr_expect_not(position_decode((struct bytes){ "", 0 }, "trade-ledger", &back, &e), "taken though empty");
    xfree(data);
    position_release(&position);
}

Test(position, a_round_is_open_until_it_is_finished)
{
    struct position position, copy = { 0 };
    struct snapshot now;
    struct error e = { 0 };

    position_init(&position);
    cr_expect_not(position_in_round(&position));
    cr_assert(snapshot_parse("5:9:7", &now, &e));
    position_begin_round(&position, &now);
    cr_expect(position_in_round(&position));
    cr_expect_str_eq(position.before.text, "1:1:");
    position.last_id = 8;
    position_copy(&position, &copy);
    position_finish_round(&position);
    cr_expect_not(position_in_round(&position));
    cr_expect_str_eq(position.before.text, "5:9:7");
    cr_expect_eq(position.before.xip_count, 1);
    cr_expect_eq(position.last_id, 0);
    cr_expect(position_in_round(&copy), "the copy shares something");
    cr_expect_eq(copy.last_id, 8);
    position_release(&position);
    position_release(&copy);
}

Test(position, another_or_older_database_is_refused_with_the_reason)
{
    static const struct {
        const char *what;
        uint64_t system_identifier;
        uint32_t timeline;
        const char *present, *reason; /* reason NULL: accepted */
    } cases[] = {
        { "the same", UINT64_MAX - 5, 3, "31:31:", NULL },
        { "the same, promoted", UINT64_MAX - 5, 4, "40:41:", NULL },
        { "another", 12, 3, "40:40:", "another Postgres" },
        { "a former primary", UINT64_MAX - 5, 2, "40:40:", "older timeline" },
        { "a restored backup", UINT64_MAX - 5, 3, "20:30:", "lost transactions" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct position position;
        struct snapshot present;
        struct error e = { 0 };
        bool ok;

        position_make(&position, "10:20:12", "18:31:18,30", 4711);
        cr_assert(snapshot_parse(cases[i].present, &present, &e));
        ok = position_check_database(&position, cases[i].system_identifier, cases[i].timeline, &present, &e);
        cr_expect_eq(ok, !cases[i].reason, "%s", cases[i].what);
        if (cases[i].reason) {
            cr_expect_eq(e.kind, ERROR_FATAL);
            cr_expect_not_null(strstr(e.message, cases[i].reason), "%s: %s", cases[i].what, e.message);
        }
        snapshot_release(&present);
        position_release(&position);
    }
}

Test(position, a_new_source_accepts_any_database)
{
    struct position position;
    struct snapshot present;
    struct error e = { 0 };

    position_init(&position);
    cr_assert(snapshot_parse("740:740:", &present, &e));
    cr_expect(position_check_database(&position, 12, 1, &present, &e), "%s", e.message);
    snapshot_release(&present);
    position_release(&position);
}

/* ---- After a failover ---- */

Test(timeline, a_later_one_is_fine_if_it_has_what_was_published)
{
    static const char history[] = "1\t0/3000000\tno recovery target specified\n\n2\t0/5000000\tno recovery target\n";
    static const struct {
        uint32_t timeline;
        uint64_t lsn;
        bool ok;
    } cases[] = {
        { 1, 0x2FFFFFF, true }, { 1, 0x3000000, true }, { 1, 0x3000001, false }, { 2, 0x4000000, true },
        { 2, 0x5000001, false }, { 3, 0x1000000, false }, /* this server was never on it */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int polled = 0; polled < 2; polled++) {
            struct position position = { .timeline = cases[i].timeline };
            struct error e = { 0 };

            *(polled ? &position.log_lsn : &position.commit_lsn) = cases[i].lsn;
            cr_expect_eq(timeline_check_history(history, &position, &e), cases[i].ok, "case %zu", i);
            cr_expect_eq(e.kind, cases[i].ok ? ERROR_NONE : ERROR_FATAL);
        }
    }
}

Test(timeline, without_the_history_only_a_standby_that_was_promoted_once_and_runs_since_can_tell)
{
    static const struct {
        uint32_t timeline;
        uint64_t took_over_lsn;
        const char *reason; /* NULL: accepted */
    } cases[] = {
        { 4, 0x5000000, NULL }, { 4, 0x5000001, NULL }, { 4, 0x4FFFFFF, "are lost here" },
        { 4, 0, "cannot be told" },         /* started again since */
        { 5, 0x6000000, "cannot be told" }, /* where timeline 4 began is not known */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct position position = { .timeline = 3, .log_lsn = 0x5000000 };
        struct error e = { 0 };

        cr_expect_eq(timeline_check_promotion(&position, cases[i].timeline, cases[i].took_over_lsn, &e),
            !cases[i].reason, "case %zu", i);
        if (cases[i].reason)
            cr_expect_not_null(strstr(e.message, cases[i].reason), "case %zu: %s", i, e.message);
    }
}
