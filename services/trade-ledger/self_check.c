#include "self_check.h"

#include "../chassis/log.h"
#include "../chassis/metrics.h"
#include "sql.h"

#include <inttypes.h>
#include <stdio.h>

enum { DIFFERENCES_MAX = 100 }; /* of one kind, noted in one step: more say nothing more */

enum difference { DIFFERENT_BALANCE = 1, DIFFERENT_ENTRY, DIFFERENT_JOURNAL, DIFFERENT_ASSET };

static const char *const difference_names[] = { "", "balance of account", "entry", "journal", "asset" };

struct check {
    struct pg *pg;
    const struct settings *settings;
    int64_t account_id, balances_pass;
    int64_t entry_account_id, entry_id, entry_available, entry_held, entries_pass;
    int64_t journal_id, journals_pass;
};

/* Rows of which the columns `subject` and the one after it say what is different; NULL: nothing is. */
static bool note(struct check *check, enum difference kind, const struct pg_result *rows, size_t subject, int64_t pass,
    struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *noted = NULL;
    int64_t ids[DIFFERENCES_MAX];
    const char *details[DIFFERENCES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < pg_rows(rows) && count < DIFFERENCES_MAX; i++) {
        if (pg_is_null(rows, i, subject))
            continue;
        ids[count] = pg_get_int64(rows, i, subject);
        details[count++] = pg_get_text(rows, i, subject + 1);
    }
    if (count == 0)
        return true;
    pg_arg_int32(check->pg, (int32_t)kind);
    pg_arg_int64s(check->pg, ids, count);
    pg_arg_texts(check->pg, details, count);
    pg_arg_int64(check->pg, pass);
    if (!pg_query(check->pg, &sql_self_check_found, &noted, e))
        return false;
    for (size_t i = 0; i < pg_rows(noted); i++) {
        if (pg_get_bool(noted, i, 2))
            log_write(LOG_ERROR, "self-check: %s %" PRId64 " differs: %s", difference_names[kind],
                pg_get_int64(noted, i, 0), pg_get_text(noted, i, 1));
    }
    return true;
}

static bool forget(struct check *check, enum difference kind, int64_t pass, struct error *e)
{
    pg_arg_int32(check->pg, (int32_t)kind);
    pg_arg_int64(check->pg, pass);
    return pg_query(check->pg, &sql_self_check_forget, NULL, e);
}

static void count_pass(const char *labels)
{
    metric_add(metric_counter("ledger_self_check_passes_total", labels, "Times that all was checked"), 1);
}

static bool check_assets(struct check *check, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    return pg_query(check->pg, &sql_self_check_assets, &rows, e) &&
           note(check, DIFFERENT_ASSET, rows, 0, check->balances_pass, e) &&
           forget(check, DIFFERENT_ASSET, check->balances_pass, e);
}

static bool check_balances(struct check *check, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    int64_t at_most = check->settings->self_check_accounts_per_second;
    pg_arg_int64(check->pg, check->account_id);
    pg_arg_int64(check->pg, at_most);
    if (!pg_query(check->pg, &sql_self_check_balances, &rows, e) ||
        !note(check, DIFFERENT_BALANCE, rows, 2, check->balances_pass, e))
        return false;
    int64_t compared = pg_get_int64(rows, 0, 0);
    metric_add(metric_counter("ledger_self_check_accounts_total", "", "Accounts compared with their last entry"),
        (uint64_t)compared);
    if (compared == at_most) {
        check->account_id = pg_get_int64(rows, 0, 1);
        return true;
    }
    if (!forget(check, DIFFERENT_BALANCE, check->balances_pass, e) || !check_assets(check, e))
        return false;
    check->account_id = 0;
    check->balances_pass++;
    count_pass("what=\"balances\"");
    return true;
}

static bool check_entries(struct check *check, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    int64_t at_most = check->settings->self_check_entries_per_second;
    pg_arg_int64(check->pg, check->entry_account_id);
    pg_arg_int64(check->pg, check->entry_id);
    pg_arg_int64(check->pg, check->entry_available);
    pg_arg_int64(check->pg, check->entry_held);
    pg_arg_int64(check->pg, at_most);
    if (!pg_query(check->pg, &sql_self_check_entries, &rows, e) ||
        !note(check, DIFFERENT_ENTRY, rows, 5, check->entries_pass, e))
        return false;
    int64_t followed = pg_get_int64(rows, 0, 0);
    metric_add(metric_counter("ledger_self_check_entries_total", "", "Entries followed from the one before them"),
        (uint64_t)followed);
    check->entry_account_id = pg_get_int64(rows, 0, 1);
    check->entry_id = pg_get_int64(rows, 0, 2);
    check->entry_available = pg_get_int64(rows, 0, 3);
    check->entry_held = pg_get_int64(rows, 0, 4);
    if (followed == at_most)
        return true;
    check->entry_account_id = check->entry_id = check->entry_available = check->entry_held = 0;
    count_pass("what=\"entries\"");
    return forget(check, DIFFERENT_ENTRY, check->entries_pass++, e);
}

/* A journal has two entries or so: as many ids as half the entries. */
static bool check_journals(struct check *check, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    int64_t at_most = check->settings->self_check_entries_per_second / 2 + 1;
    pg_arg_int64(check->pg, check->journal_id);
    pg_arg_int64(check->pg, at_most);
    if (!pg_query(check->pg, &sql_self_check_journals, &rows, e) ||
        !note(check, DIFFERENT_JOURNAL, rows, 1, check->journals_pass, e))
        return false;
    check->journal_id += at_most;
    if (check->journal_id < pg_get_int64(rows, 0, 0))
        return true;
    check->journal_id = 0;
    count_pass("what=\"journals\"");
    return forget(check, DIFFERENT_JOURNAL, check->journals_pass++, e);
}

static bool save(struct check *check, struct trade_ledger *service, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *count = NULL;
    const int64_t values[] = { check->account_id, check->balances_pass, check->entry_account_id, check->entry_id,
        check->entry_available, check->entry_held, check->entries_pass, check->journal_id, check->journals_pass };
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        pg_arg_int64(check->pg, values[i]);
    if (!pg_send(check->pg, &sql_self_check_save, NULL, e) || !pg_query(check->pg, &sql_self_check_count, &count, e))
        return false;
    atomic_store(&service->differences, pg_get_int64(count, 0, 0));
    return true;
}

static bool step(struct pg *pg, struct trade_ledger *service, bool *ret_ran, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!pg_query(pg, &sql_self_check_lock, &rows, e))
        return false;
    *ret_ran = pg_rows(rows) > 0;
    if (!*ret_ran)
        return true;
    struct check check = {
        .pg = pg,
        .settings = &service->settings,
        .account_id = pg_get_int64(rows, 0, 0),
        .balances_pass = pg_get_int64(rows, 0, 1),
        .entry_account_id = pg_get_int64(rows, 0, 2),
        .entry_id = pg_get_int64(rows, 0, 3),
        .entry_available = pg_get_int64(rows, 0, 4),
        .entry_held = pg_get_int64(rows, 0, 5),
        .entries_pass = pg_get_int64(rows, 0, 6),
        .journal_id = pg_get_int64(rows, 0, 7),
        .journals_pass = pg_get_int64(rows, 0, 8),
    };
    return (service->settings.self_check_accounts_per_second == 0 || check_balances(&check, e)) &&
           (service->settings.self_check_entries_per_second == 0 ||
               (check_entries(&check, e) && check_journals(&check, e))) &&
           save(&check, service, e);
}

bool self_check_step(struct pg *pg, struct trade_ledger *service, struct error *e)
{
    bool ran = false;
    if (service->settings.self_check_accounts_per_second + service->settings.self_check_entries_per_second == 0)
        return true;
    if (!pg_begin(pg, e) || !step(pg, service, &ran, e) || !pg_commit(pg, e)) {
        pg_rollback(pg);
        return false;
    }
    if (ran) {
        metric_set(metric_gauge("ledger_self_check_last_run_seconds", "", "When the self-check last ran, since 1970"),
            (double)now_us() / 1e6);
        metric_set(metric_gauge("ledger_self_check_differences", "", "What does not add up in the ledger: none, ever"),
            (double)atomic_load(&service->differences));
    }
    return true;
}

bool self_check_healthy(const struct trade_ledger *service, char *ret_reason, size_t size)
{
    int64_t differences = atomic_load(&service->differences);
    if (differences > 0)
        snprintf(ret_reason, size, "the self-check has found %" PRId64 " differences: table self_check_differences",
            differences);
    return differences == 0;
}
