/* Scheduled transfers on a real Postgres: each occurrence once, failures kept, closed ones closed. */
#include "schedules.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <event_bus/event.h>
#include <stdio.h>
#include <string.h>

TestSuite(schedules, .fini = world_end);

static const int64_t hour_us = 3600000000;

static struct world *world_with_users(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "t", "{\"currency\":\"USD\",\"amount\":\"25\"}").status, 201);
    cr_assert_eq(top_up(world, 8, "t", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    return world;
}

/* To user 8; the first in an hour or two: of all that a test makes at the same time. *ret_first_us: then. */
static struct answer schedule(
    struct world *world, const char *key, const char *every, const char *amount, int64_t *ret_first_us)
{
    char body[256], first[EVENT_TIME_MAX];
    static int64_t first_us;
    if (first_us == 0)
        first_us = (now_us() / hour_us + 2) * hour_us;
    *ret_first_us = first_us;
    event_time_format(*ret_first_us, first);
    snprintf(body, sizeof body,
        "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"%s\",\"every\":\"%s\",\"first_at\":\"%s\","
        "\"reference\":\"rent\"}",
        amount, every, first);
    return get(
        world, post_schedule, (struct ask){ .user_id = 7, .method = "POST", .key = key, .body = body, .query = "" });
}

static void run_at(struct world *world, int64_t now)
{
    struct error e = { 0 };
    size_t done;
    cr_assert(pg_begin(world->pg, &e) && schedules_run(world->pg, world->outbox, world_service(), now, &done, &e) &&
                  outbox_write(world->outbox, world->pg, &e) && pg_commit(world->pg, &e),
        "%s", e.message);
}

static struct answer show(struct world *world, uint64_t user_id, const char *id)
{
    return get(world, get_schedule, (struct ask){ .user_id = user_id, .id = id, .query = "" });
}

Test(schedules, each_occurrence_is_made_once_when_it_is_due)
{
    struct world *world = world_with_users();
    int64_t first;
    struct answer made = schedule(world, "k", "day", "10", &first);
    cr_assert_eq(made.status, 201, "%s", made.message);
    struct answer again = schedule(world, "k", "day", "10", &first);
    cr_expect(again.status == 201 && again.replayed &&
              strcmp(text_of(&again, "schedule_id"), text_of(&made, "schedule_id")) == 0);
    cr_expect_eq(schedule(world, "k", "day", "11", &first).status, 422, "the key with another wish");
    run_at(world, first - 1);
    cr_expect_eq(ask(world, "SELECT count(*) FROM scheduled_runs"), 0, "not yet");
    run_at(world, first);
    run_at(world, first);
    run_at(world, first + hour_us);
    cr_expect_eq(ask(world, "SELECT count(*) FROM journals WHERE kind = 5 AND note = 'rent'"), 1);
    run_at(world, first + 24 * hour_us);
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 8 AND asset_id = 1"), 2100000000);
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 7 AND asset_id = 1"), 500000000);
    check_invariants(world);
}

Test(schedules, one_without_funds_is_kept_as_failed_and_tried_again)
{
    struct world *world = world_with_users();
    int64_t first;
    struct answer made = schedule(world, "k", "once", "30", &first);
    char id[24];
    snprintf(id, sizeof id, "%s", text_of(&made, "schedule_id"));
    run_at(world, first);
    struct answer failed = show(world, 7, id);
    json_t *run = json_array_get(json_object_get(failed.json, "runs"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(run, "outcome")), "failed");
    cr_expect_str_eq(json_string_value(json_object_get(run, "problem")), "insufficient-funds");
    cr_expect_str_eq(text_of(&failed, "status"), "active");
    run_at(world, first + hour_us / 2);
    cr_expect_eq(ask(world, "SELECT count(*) FROM scheduled_runs"), 1, "not before an hour has passed");
    cr_assert_eq(top_up(world, 7, "t2", "{\"currency\":\"USD\",\"amount\":\"5\"}").status, 201);
    run_at(world, first + hour_us);
    struct answer done = show(world, 7, id);
    cr_expect_str_eq(text_of(&done, "status"), "finished");
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 8 AND asset_id = 1"), 3100000000);
    cr_expect_eq(show(world, 8, id).status, 404, "somebody else's");
    check_invariants(world);
}

static size_t failing(struct world *world, uint64_t operator_id, const char *query, struct answer *ret)
{
    *ret = get(world, get_admin_schedules,
        (struct ask){ .user_id = operator_id, .query = query, .by_operator = operator_id == 1000 });
    return json_array_size(json_object_get(ret->json, "schedules"));
}

Test(schedules, one_that_goes_on_failing_is_told_listed_and_suspended_until_its_owner_resumes_it)
{
    struct world *world = world_with_users();
    int64_t first;
    struct answer made = schedule(world, "k", "day", "30", &first), fine, list;
    fine = schedule(world, "f", "day", "1", &first);
    cr_assert(made.status == 201 && fine.status == 201);
    cr_expect_eq(failing(world, 1000, "", &list), 0);
    run_at(world, first);
    cr_expect_eq(failing(world, 1000, "", &list), 1, "from its first failure, and only this one");
    Penstock__Ledger__V1__ScheduledTransferFailed *told =
        last_event(world, &penstock__ledger__v1__scheduled_transfer_failed__descriptor);
    cr_expect(told->user_id == 7 && told->to_user_id == 8 && told->occurrence == 0 && told->attempt == 1 &&
              told->amount_minor == 3000000000 && !told->given_up && told->next_attempt_at_us == first + hour_us);
    cr_expect_str_eq(told->problem, "insufficient-funds");
    protobuf_c_message_free_unpacked(&told->base, NULL);
    for (int day = 0; day < SCHEDULE_FAILURES_MAX; day++)
        for (int hour = 0; hour < SCHEDULE_ATTEMPTS_MAX; hour++)
            run_at(world, first + (24 * day + hour) * hour_us);
    run_at(world, first + 24 * 10 * hour_us);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'accounts.events.v1' AND key = '7' AND type = "
                            "'penstock.ledger.v1.ScheduledTransferFailed'"),
        SCHEDULE_FAILURES_MAX * SCHEDULE_ATTEMPTS_MAX, "and no more once it is suspended");
    told = last_event(world, &penstock__ledger__v1__scheduled_transfer_failed__descriptor);
    cr_expect(told->given_up && told->next_attempt_at_us == 0 &&
              told->status == PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_SUSPENDED);
    protobuf_c_message_free_unpacked(&told->base, NULL);
    cr_expect_eq(failing(world, 1000, "user_id=7", &list), 1);
    const json_t *row = json_array_get(json_object_get(list.json, "schedules"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(row, "status")), "suspended");
    cr_expect_str_eq(json_string_value(json_object_get(row, "last_problem")), "insufficient-funds");
    cr_expect_str_eq(json_string_value(json_object_get(row, "user_id")), "7");
    cr_expect_eq(failing(world, 1000, "user_id=8", &list), 0);
    failing(world, 7, "", &list);
    cr_expect_eq(list.status, 403);
    struct answer own = get(world, get_schedules, (struct ask){ .user_id = 7, .query = "" });
    row = json_array_get(json_object_get(own.json, "schedules"), 1);
    cr_expect_str_eq(json_string_value(json_object_get(row, "last_problem")), "insufficient-funds", "newest first");
    cr_expect(json_is_null(json_object_get(row, "next_at")));
    struct answer resumed =
        get(world, resume_schedule, (struct ask){ .user_id = 7, .id = text_of(&made, "schedule_id"), .query = "" });
    cr_expect_str_eq(text_of(&resumed, "status"), "active");
    cr_expect_eq(failing(world, 1000, "", &list), 0);
    check_invariants(world);
}

Test(schedules, a_single_one_that_is_given_up_has_failed_for_good)
{
    struct world *world = world_with_users();
    int64_t first;
    struct answer made = schedule(world, "k", "once", "30", &first), list;
    for (int hour = 0; hour < SCHEDULE_ATTEMPTS_MAX; hour++)
        run_at(world, first + hour * hour_us);
    struct ask one = { .user_id = 7, .id = text_of(&made, "schedule_id"), .query = "" };
    struct answer now = show(world, 7, one.id);
    cr_expect_str_eq(text_of(&now, "status"), "failed");
    cr_expect_eq(get(world, resume_schedule, one).status, 409);
    cr_expect_eq(failing(world, 1000, "", &list), 1, "an operator still sees it");
}

Test(schedules, can_be_paused_resumed_and_cancelled)
{
    struct world *world = world_with_users();
    int64_t first;
    struct answer made = schedule(world, "k", "day", "10", &first);
    struct ask one = { .user_id = 7, .id = text_of(&made, "schedule_id"), .query = "" };
    cr_expect_eq(get(world, pause_schedule, one).status, 200);
    run_at(world, first);
    cr_expect_eq(ask(world, "SELECT count(*) FROM scheduled_runs"), 0);
    cr_expect_eq(get(world, resume_schedule, one).status, 200);
    struct ask other = one;
    other.user_id = 8;
    cr_expect_eq(get(world, cancel_schedule, other).status, 404);
    cr_expect_eq(get(world, cancel_schedule, one).status, 200);
    cr_expect_eq(get(world, cancel_schedule, one).status, 200, "again is the same");
    cr_expect_eq(get(world, resume_schedule, one).status, 409);
    run_at(world, first + 48 * hour_us);
    cr_expect_eq(ask(world, "SELECT count(*) FROM scheduled_runs"), 0);
}

Test(schedules, bad_wishes_are_refused)
{
#define WISH(to, currency, amount, every, first)                                                                       \
    "{\"to_user_id\":" to ",\"currency\":\"" currency "\",\"amount\":" amount ",\"every\":\"" every                    \
    "\",\"first_at\":\"" first "\"}"
    static const struct {
        const char *body;
        int status;
        const char *field;
    } cases[] = {
        { "{}", 400, "to_user_id" },
        { WISH("8", "USD", "\"1\"", "day", "2099-01-01T00:00:00Z"), 400, "to_user_id" },
        { WISH("\"x\"", "USD", "\"1\"", "day", "2099-01-01T00:00:00Z"), 400, "to_user_id" },
        { WISH("\"7\"", "USD", "\"1\"", "day", "2099-01-01T00:00:00Z"), 422, "to_user_id" },
        { WISH("\"8\"", "XXX", "\"1\"", "day", "2099-01-01T00:00:00Z"), 422, "currency" },
        { WISH("\"8\"", "USD", "\"0\"", "day", "2099-01-01T00:00:00Z"), 422, "amount" },
        { WISH("\"8\"", "USD", "\"-1\"", "day", "2099-01-01T00:00:00Z"), 400, "amount" },
        { WISH("\"8\"", "USD", "1", "day", "2099-01-01T00:00:00Z"), 400, "amount" },
        { WISH("\"8\"", "USD", "\"1\"", "hour", "2099-01-01T00:00:00Z"), 400, "every" },
        { WISH("\"8\"", "USD", "\"1\"", "day", "tomorrow"), 400, "first_at" },
        { WISH("\"8\"", "USD", "\"1\"", "day", "2020-01-01T00:00:00Z"), 422, "first_at" },
        { WISH("\"9\"", "USD", "\"1\"", "day", "2099-01-01T00:00:00Z"), 422, "to_user_id" },
        { WISH("\"8\"", "USD", "\"1\",\"reference\":\"a\\u0001b\"", "day", "2099-01-01T00:00:00Z"), 422, "reference" },
        { "{\"to_user_id\":\"8\",\"surprise\":1}", 400, "surprise" },
    };
    struct world *world = world_with_users();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = get(world, post_schedule,
            (struct ask){ .user_id = 7, .method = "POST", .key = "k", .body = cases[i].body, .query = "" });
        cr_expect(answer.status == cases[i].status && strcmp(answer.field, cases[i].field) == 0, "%s: %d %s %s",
            cases[i].body, answer.status, answer.field, answer.message);
    }
    cr_expect_eq(ask(world, "SELECT count(*) FROM scheduled_transfers"), 0);
    cr_expect_eq(show(world, 7, "x").status, 404);
    cr_expect_eq(show(world, 7, "99").status, 404);
}
