/* The engine against the plain book, on random commands of all kinds: the same verdicts, records, books, checksums,
 * after every restart too. SEED=n repeats a run, OPERATIONS=n makes it longer. What fails is made as short as it gets
 * by leaving out commands, and printed as a file for engine-replay.
 *
 * Each run is a process of its own, so that an assertion in the engine is a failure like any other. */
#include "random_steps.h"
#include "records_text.h"
#include "restart.h"
#include "settlement.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    OPERATIONS = 20000, /* of each regime */
    LOOK_EVERY = 32,    /* the whole books are compared */
    RESTART_EVERY = 700,
    LEVELS_MAX = 4096,
    STEPS_MAX = 10000000,
    TRIES_MAX = 4000, /* of leaving something out */
    ASSETS = 3,
};

static const struct random_regime regimes[] = {
    { "few prices, few users", 100, 12, 8, 1, 1, 4, 60, false },
    { "usual", 10000, 60, 30, 3, 7, 8, 120, false },
    { "limits and bands", 1000, 40, 20, 1, 5, 8, 80, true },
    { "wide prices", 1 << 30, 1 << 29, 50, 1000, 1, 12, 150, false },
    { "large numbers", (int64_t)1 << 42, 30, 1 << 12, 1, 1 << 6, 5, 60, false },
};

struct verdict { /* shared with the parent */
    size_t done; /* steps; the failing one is the last */
    uint64_t kinds[ENGINE_RECORD_GROUP + 1], reasons[ENGINE_QUOTE_SPENT + 1], problems[ENGINE_AMEND_PROBLEMS];
    uint64_t requeued, refused, uncrossed, restarts; /* what the run was made of */
    char what[512];
    bool failed;
};

struct level {
    int64_t price_ticks, lots;
    uint32_t orders;
    uint8_t side, market;
};

struct run {
    struct engine *engine;
    struct engine_options options;
    struct plain plain;
    struct plain_event events[PLAIN_EVENTS_MAX]; /* of the engine, in this step */
    size_t events_count;
    struct level levels[LEVELS_MAX]; /* from level-2 changes */
    size_t levels_count;
    uint64_t seq[PLAIN_MARKETS_MAX];
    struct verdict *verdict;
    FILE *shown; /* records go there, if any */
};

static void fail(struct run *run, const char *what)
{
    if (!run->verdict->failed)
        snprintf(run->verdict->what, sizeof run->verdict->what, "%s", what);
    run->verdict->failed = true;
}

/* ---- The engine's records as events ---- */

static void check_legs(struct run *run, const struct settlement_leg *legs, size_t count)
{
    __int128 sums[ASSETS] = { 0 };
    for (size_t i = 0; i < count; i++) {
        sums[legs[i].asset_id % ASSETS] += (__int128)legs[i].available_delta_minor + legs[i].held_delta_minor;
        if (legs[i].available_delta_minor < 0 || legs[i].held_delta_minor > 0)
            fail(run, "a leg takes what was not held");
    }
    for (size_t i = 0; i < ASSETS; i++)
        if (sums[i] != 0)
            fail(run, "the legs of a fill do not sum to zero");
}

static void take_fill(struct run *run, const struct engine_fill *fill, struct plain_event *event)
{
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    size_t count = settlement_of_fill(&engine_market_get(run->engine, fill->record.market)->config, fill, legs);
    check_legs(run, legs, count);
    *event = (struct plain_event){ .order_id = fill->taker.order_id,
        .other = fill->maker.order_id,
        .price_ticks = fill->price_ticks,
        .lots = fill->quantity_lots,
        .left_lots = fill->taker.remaining_lots,
        .other_left_lots = fill->maker.remaining_lots,
        .shows_lots = fill->maker.visible_lots,
        .fee_minor = fill->taker.fee_minor,
        .other_fee_minor = fill->maker.fee_minor,
        .flag = fill->maker.requeued };
}

static void take_amended(const struct engine_amended *amended, struct plain_event *event)
{
    *event = (struct plain_event){ .order_id = amended->order_id,
        .other = amended->amend_id,
        .price_ticks = amended->price_ticks,
        .lots = amended->quantity_lots,
        .left_lots = amended->remaining_lots,
        .shows_lots = amended->visible_lots,
        .released_minor = amended->released_minor,
        .status = amended->status,
        .flag = amended->kept_priority };
}

static void take_rejected(const struct engine_amend_rejected *rejected, struct plain_event *event)
{
    *event = (struct plain_event){ .order_id = rejected->order_id,
        .other = rejected->amend_id,
        .lots = rejected->filled_lots,
        .left_lots = rejected->remaining_lots,
        .released_minor = rejected->released_minor,
        .status = rejected->status,
        .reason = rejected->problem };
}

static void take_opened(const struct engine_opened *opened, struct plain_event *event)
{
    *event = (struct plain_event){ .order_id = opened->order_id,
        .price_ticks = opened->price_ticks,
        .lots = opened->filled_lots,
        .left_lots = opened->remaining_lots,
        .shows_lots = opened->visible_lots,
        .status = opened->status,
        .flag = opened->waiting };
}

static void take_closed(const struct engine_closed *closed, struct plain_event *event)
{
    *event = (struct plain_event){ .order_id = closed->order_id,
        .price_ticks = closed->price_ticks,
        .lots = closed->filled_lots,
        .left_lots = closed->remaining_lots,
        .released_minor = closed->released_minor,
        .status = closed->status,
        .reason = closed->reason };
}

static void take_levels(struct run *run, const struct engine_group *group)
{
    for (uint32_t i = 0; i < group->levels; i++) {
        const struct engine_level_change *change = &group->changes[i];
        size_t at = 0;
        while (at < run->levels_count &&
               (run->levels[at].market != group->record.market || run->levels[at].side != change->side ||
                   run->levels[at].price_ticks != change->price_ticks))
            at++;
        if (at == run->levels_count && change->total_lots == 0) {
            continue; /* opened and gone within one command */
        } else if (change->total_lots == 0) {
            run->levels[at] = run->levels[--run->levels_count];
        } else if (at < LEVELS_MAX) {
            run->levels[at] = (struct level){ change->price_ticks, change->total_lots, change->orders, change->side,
                (uint8_t)group->record.market };
            run->levels_count += at == run->levels_count;
        }
    }
}

/* How many sequence numbers a record stands for. */
static uint64_t events_of(const struct engine_record *record)
{
    const struct engine_group *group = (const void *)record;
    if (record->kind == ENGINE_RECORD_FILL)
        return 3;
    if (record->kind != ENGINE_RECORD_GROUP)
        return 1;
    return (uint64_t)(group->postings > 0) + (group->levels > 0) + (group->orders > 0);
}

static void take_record(struct run *run, const struct engine_record *record)
{
    const void *any = record;
    struct plain_event event = { .order_id = 0 };
    switch ((enum engine_record_kind)record->kind) {
    case ENGINE_RECORD_FILL:
        take_fill(run, any, &event);
        break;
    case ENGINE_RECORD_OPENED:
        take_opened(any, &event);
        break;
    case ENGINE_RECORD_CLOSED:
        take_closed(any, &event);
        break;
    case ENGINE_RECORD_CANCEL_REJECTED:
        event.order_id = ((const struct engine_cancel_rejected *)any)->order_id;
        event.flag = ((const struct engine_cancel_rejected *)any)->known;
        break;
    case ENGINE_RECORD_TRIGGERED:
        event.order_id = ((const struct engine_triggered *)any)->order_id;
        event.price_ticks = ((const struct engine_triggered *)any)->last_price_ticks;
        break;
    case ENGINE_RECORD_AMENDED:
        take_amended(any, &event);
        break;
    case ENGINE_RECORD_AMEND_REJECTED:
        take_rejected(any, &event);
        break;
    case ENGINE_RECORD_GROUP:
        take_levels(run, any);
        return;
    }
    event.kind = (enum plain_event_kind)record->kind;
    event.market = (uint8_t)record->market;
    if (run->events_count < PLAIN_EVENTS_MAX)
        run->events[run->events_count++] = event;
}

static void drain(void *context, const struct engine_record *first, size_t size)
{
    struct run *run = context;
    for (engine_each_record(record, first, size)) {
        if (record->seq != run->seq[record->market % PLAIN_MARKETS_MAX] + 1)
            fail(run, "the sequence has a gap");
        run->seq[record->market % PLAIN_MARKETS_MAX] += events_of(record);
        take_record(run, record);
        if (run->shown)
            record_write(run->shown, record);
    }
}

/* ---- Comparing ---- */

static bool same_event(const struct plain_event *a, const struct plain_event *b)
{
    return a->kind == b->kind && a->order_id == b->order_id && a->other == b->other &&
           a->price_ticks == b->price_ticks && a->lots == b->lots && a->left_lots == b->left_lots &&
           a->other_left_lots == b->other_left_lots && a->shows_lots == b->shows_lots && a->fee_minor == b->fee_minor &&
           a->other_fee_minor == b->other_fee_minor && a->released_minor == b->released_minor &&
           a->status == b->status && a->reason == b->reason && a->market == b->market && a->flag == b->flag;
}

static void describe(char *text, size_t size, const struct plain_event *event)
{
    snprintf(text, size,
        "kind %d order %lu other %lu price %ld lots %ld left %ld/%ld shows %ld fees %ld/%ld released %ld status %d "
        "reason %d flag %d",
        (int)event->kind, event->order_id, event->other, event->price_ticks, event->lots, event->left_lots,
        event->other_left_lots, event->shows_lots, event->fee_minor, event->other_fee_minor, event->released_minor,
        event->status, event->reason, event->flag);
}

static void compare_events(struct run *run)
{
    static const struct plain_event nothing = { .order_id = 0 };
    size_t count = run->events_count > run->plain.events_count ? run->events_count : run->plain.events_count;
    char text[512], is[200], due[200];
    for (size_t i = 0; i < count; i++) {
        const struct plain_event *a = i < run->events_count ? &run->events[i] : &nothing;
        const struct plain_event *b = i < run->plain.events_count ? &run->plain.events[i] : &nothing;
        if (same_event(a, b))
            continue;
        describe(is, sizeof is, a);
        describe(due, sizeof due, b);
        snprintf(text, sizeof text, "record %zu: %s; due: %s", i, is, due);
        fail(run, text);
        return;
    }
}

struct walk {
    struct run *run;
    struct plain_market *market;
    const struct plain_order *at;
    size_t seen;
};

static bool same_resting(void *context, const struct engine_resting *order)
{
    struct walk *walk = context;
    const struct plain_order *due = walk->at = plain_next(walk->market, order->side, walk->at);
    if (!due || due->order_id != order->order_id || due->user_id != order->user_id ||
        due->limit_ticks != order->price_ticks || due->left_lots != order->remaining_lots ||
        due->filled_lots != order->filled_lots || due->shows_lots != order->visible_lots || order->waiting) {
        fail(walk->run, "the books differ");
        return false;
    }
    walk->seen++;
    return true;
}

static bool same_waiting(void *context, const struct engine_resting *order)
{
    struct walk *walk = context;
    uint16_t number;
    const struct plain_order *due = plain_find(&walk->run->plain, order->order_id, &number);
    if (!due || !due->waits || due->limit_ticks != order->price_ticks || due->left_lots != order->remaining_lots ||
        due->stop_ticks != order->more.stop_price_ticks || !order->waiting)
        fail(walk->run, "the waiting orders differ");
    walk->seen++;
    return true;
}

static bool same_level(void *context, const struct engine_level_change *level)
{
    struct walk *walk = context;
    uint8_t market = (uint8_t)(walk->market - walk->run->plain.markets);
    walk->seen++;
    for (size_t i = 0; i < walk->run->levels_count; i++) {
        const struct level *known = &walk->run->levels[i];
        if (known->market == market && known->side == level->side && known->price_ticks == level->price_ticks) {
            if (known->lots != level->total_lots || known->orders != level->orders)
                fail(walk->run, "level-2 changes do not add up to the depth");
            return true;
        }
    }
    fail(walk->run, "a level never appeared in a change");
    return true;
}

static uint32_t crc32_of(uint32_t crc, const char *text)
{
    for (; *text; text++) {
        crc ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

static uint32_t checksum_of(struct plain_market *market)
{
    uint32_t crc = 0xffffffffu;
    char text[64];
    for (uint8_t side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
        const struct plain_order *at = plain_next(market, side, NULL);
        for (int level = 0; level < 10 && at; level++) {
            int64_t price_ticks = at->limit_ticks, lots = 0;
            for (; at && at->limit_ticks == price_ticks; at = plain_next(market, side, at))
                lots += at->shows_lots;
            snprintf(text, sizeof text, "%ld:%ld|", price_ticks, lots);
            crc = crc32_of(crc, text);
        }
    }
    return ~crc;
}

static void count_events(struct run *run, const struct step *step, bool taken)
{
    struct verdict *verdict = run->verdict;
    verdict->refused += !taken;
    for (size_t i = 0; i < run->events_count; i++) {
        const struct plain_event *event = &run->events[i];
        verdict->kinds[event->kind]++;
        if (event->kind == PLAIN_CLOSED)
            verdict->reasons[event->reason % ARRAY_LEN(verdict->reasons)]++;
        if (event->kind == PLAIN_AMEND_REJECTED)
            verdict->problems[event->reason % ARRAY_LEN(verdict->problems)]++;
        verdict->requeued += event->kind == PLAIN_FILL && event->flag;
        verdict->uncrossed += event->kind == PLAIN_FILL && step->kind == STEP_MARKET;
    }
}

static void compare_books(struct run *run)
{
    size_t levels = 0, open = 0;
    for (uint16_t number = 0; number < run->plain.markets_count; number++) {
        struct walk walk = { .run = run, .market = &run->plain.markets[number] };
        struct engine_level_change bid, ask;
        for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
            walk.at = NULL;
            engine_each_order(run->engine, number, side, same_resting, &walk);
            engine_each_waiting(run->engine, number, side, same_waiting, &walk);
        }
        if (walk.seen != walk.market->count)
            fail(run, "orders are missing in the book");
        open += walk.seen;
        walk.seen = 0;
        for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++)
            engine_each_level(run->engine, number, side, same_level, &walk);
        levels += walk.seen;
        if (walk.market->config.status == ENGINE_OPEN && engine_best(run->engine, number, ENGINE_BUY, &bid) &&
            engine_best(run->engine, number, ENGINE_SELL, &ask) && bid.price_ticks >= ask.price_ticks)
            fail(run, "the book is crossed");
        if (engine_book_checksum(run->engine, number) != checksum_of(walk.market))
            fail(run, "the checksums differ");
    }
    if (levels != run->levels_count)
        fail(run, "level-2 changes give levels that are not there");
    if (engine_orders_count(run->engine) != open)
        fail(run, "the engine counts other orders");
    engine_check(run->engine);
}

/* ---- Runs ---- */

static void restart(struct run *run)
{
    struct engine *next = restart_copy(run->engine, &run->options);
    if (!next) {
        fail(run, "the saved state was refused");
        return;
    }
    engine_free(run->engine);
    run->engine = next;
    run->verdict->restarts++;
}

/* false: the run is over. */
static bool run_step(struct run *run, const struct step *step, bool closely)
{
    size_t number = run->verdict->done++;
    run->events_count = 0;
    bool due = plain_apply(&run->plain, step);
    if (run->shown)
        step_write(run->shown, step);
    bool is = step_apply(run->engine, step) == ENGINE_OK;
    engine_flush(run->engine);
    if (is != due)
        fail(run, is ? "was taken, not refused" : "was refused, not taken");
    compare_events(run);
    count_events(run, step, is);
    if (closely || number % LOOK_EVERY == 0)
        compare_books(run);
    if (number % RESTART_EVERY == RESTART_EVERY - 1)
        restart(run);
    return !run->verdict->failed;
}

static struct run *run_new(struct verdict *verdict, FILE *shown)
{
    struct run *run = xcalloc(1, sizeof *run);
    *verdict = (struct verdict){ .done = 0 };
    run->verdict = verdict;
    run->shown = shown;
    run->options = (struct engine_options){
        .orders_max = 1 << 14, .markets_max = PLAIN_MARKETS_MAX, .level3 = true, .drain = drain, .context = run
    };
    run->engine = engine_new(&run->options);
    return run;
}

static void run_free(struct run *run)
{
    engine_free(run->engine);
    xfree(run);
}

/* Runs `body` in a child; an end of it that it did not choose is a failure too. */
static void in_child(struct verdict *verdict, void (*body)(struct verdict *verdict, void *context), void *context)
{
    fflush(NULL);
    pid_t child = fork();
    int status;
    cr_assert(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        body(verdict, context);
        _exit(0);
    }
    cr_assert(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        if (!verdict->failed)
            snprintf(verdict->what, sizeof verdict->what, "the process ended: status %d", status);
        verdict->failed = true;
    }
}

struct job {
    const struct random_regime *regime;
    uint64_t seed;
    size_t operations;
    const struct step *steps; /* NULL: random ones */
    FILE *shown;
};

static void random_body(struct verdict *verdict, void *context)
{
    const struct job *job = context;
    struct run *run = run_new(verdict, NULL);
    struct random_steps steps = { .regime = job->regime, .random = job->seed };
    struct step step;
    bool goes_on = true;
    for (size_t i = 0; i < job->operations && goes_on; i++) {
        random_step(&steps, &run->plain, &step);
        goes_on = run_step(run, &step, false);
        step_release(&step);
    }
    run_free(run);
}

static void list_body(struct verdict *verdict, void *context)
{
    const struct job *job = context;
    struct run *run = run_new(verdict, job->shown);
    for (size_t i = 0; i < job->operations && run_step(run, &job->steps[i], true); i++) {
    }
    if (job->shown)
        fflush(job->shown);
    run_free(run);
}

/* ---- Making it short ---- */

/* The same random steps again, as a list: the plain book alone says what they were. */
static struct step *list_of(const struct job *job, size_t count)
{
    struct step *list = xcalloc(count + 1, sizeof *list);
    struct plain *plain = xcalloc(1, sizeof *plain);
    struct random_steps steps = { .regime = job->regime, .random = job->seed };
    for (size_t i = 0; i < count; i++) {
        random_step(&steps, plain, &list[i]);
        if (i + 1 < count) /* the last one may be what the plain book asserts on */
            plain_apply(plain, &list[i]);
    }
    xfree(plain);
    return list;
}

static bool still_fails(struct verdict *verdict, const struct step *steps, size_t count)
{
    struct job job = { .steps = steps, .operations = count };
    in_child(verdict, list_body, &job);
    return verdict->failed;
}

/* Leaves out ever smaller pieces. The steps left out are not released: the test ends here. */
static size_t shorten(struct verdict *verdict, struct step *list, size_t count)
{
    struct step *trial = xcalloc(count + 1, sizeof *trial);
    unsigned tries = 0;
    for (size_t piece = count / 2; piece > 0 && tries < TRIES_MAX; piece /= 2)
        for (size_t from = 0; from < count && tries < TRIES_MAX; tries++) {
            size_t end = from + piece < count ? from + piece : count, left = count - (end - from);
            memcpy(trial, list, from * sizeof *list);
            memcpy(trial + from, list + end, (count - end) * sizeof *list);
            if (still_fails(verdict, trial, left)) {
                count = verdict->done < left ? verdict->done : left;
                memcpy(list, trial, count * sizeof *list);
            } else {
                from += piece;
            }
        }
    xfree(trial);
    return count;
}

static void show(struct verdict *verdict, const struct job *job)
{
    size_t count = verdict->done;
    struct step *list = list_of(job, count);
    printf("# %s, SEED=%lu, step %zu: %s\n", job->regime->name, job->seed, count, verdict->what);
    if (!still_fails(verdict, list, count)) {
        printf("# the same commands pass when restarts fall elsewhere: only the whole run shows it\n");
        return;
    }
    count = shorten(verdict, list, verdict->done < count ? verdict->done : count);
    struct job again = { .steps = list, .operations = count, .shown = tmpfile() };
    in_child(verdict, list_body, &again);
    printf("# %zu steps are enough: %s\n", count, verdict->what);
    for (size_t i = 0; i < count; i++)
        step_write(stdout, &list[i]);
    printf("# what the engine said:\n");
    rewind(again.shown);
    for (int c; (c = fgetc(again.shown)) != EOF;)
        putchar(c);
    fflush(stdout);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* A run that never met a case proves nothing about it. */
static void check_variety(const struct verdict *verdict, bool has_limits)
{
    for (size_t kind = ENGINE_RECORD_FILL; kind < ENGINE_RECORD_GROUP; kind++)
        cr_assert(verdict->kinds[kind] > 0, "records of kind %zu: %lu", kind, verdict->kinds[kind]);
    for (size_t reason = ENGINE_REQUESTED; reason <= ENGINE_QUOTE_SPENT; reason++) {
        bool possible =
            reason != ENGINE_BOOK_FULL && (has_limits || (reason != ENGINE_LIMITS && reason != ENGINE_PRICE_BAND));
        cr_assert(!possible || verdict->reasons[reason] > 0, "reason %zu: %lu", reason, verdict->reasons[reason]);
    }
    for (size_t problem = ENGINE_AMEND_NOT_OPEN; problem < ENGINE_AMEND_UNSUPPORTED; problem++) {
        bool by_limits = problem == ENGINE_AMEND_LIMITS || problem == ENGINE_AMEND_PRICE_BAND;
        bool possible = has_limits ? problem == ENGINE_AMEND_LIMITS : !by_limits;
        possible &= problem != ENGINE_AMEND_KILLED; /* a blocked user has no open order */
        cr_assert(!possible || verdict->problems[problem] > 0, "amend problem %zu never occurred", problem);
    }
    cr_assert(verdict->requeued > 50 && verdict->refused > 50 && verdict->uncrossed > 0 && verdict->restarts > 5);
}

/* Each regime is a test of its own, so that they run side by side. */
static void check_regime(size_t index)
{
    struct verdict *verdict = mmap(NULL, sizeof *verdict, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct job job = { .regime = &regimes[index],
        .seed = number_from("SEED", (uint64_t)time(NULL)),
        .operations = number_from("OPERATIONS", OPERATIONS) };
    cr_assert(verdict != MAP_FAILED && job.operations <= STEPS_MAX);
    *verdict = (struct verdict){ .done = 0 };
    in_child(verdict, random_body, &job);
    if (verdict->failed)
        show(verdict, &job);
    cr_assert(!verdict->failed, "%s: SEED=%lu: %s", job.regime->name, job.seed, verdict->what);
    cr_assert(verdict->done == job.operations);
    if (job.operations >= OPERATIONS)
        check_variety(verdict, job.regime->has_limits);
}

Test(differential, few_prices_and_users_agree_with_the_plain_book)
{
    check_regime(0);
}

Test(differential, usual_orders_agree_with_the_plain_book)
{
    check_regime(1);
}

Test(differential, limits_and_bands_agree_with_the_plain_book)
{
    check_regime(2);
}

Test(differential, wide_prices_agree_with_the_plain_book)
{
    check_regime(3);
}

Test(differential, large_numbers_agree_with_the_plain_book)
{
    check_regime(4);
}
