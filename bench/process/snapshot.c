/* penstock-engine-snapshot RESTING [SNAPSHOTS [BALLAST_MB]] -- how long matching stands still for a snapshot: an engine
 * with RESTING orders works on batches of 1,000 commands (half new, a third cancels, the rest IOC) without Kafka, alone
 * and while SNAPSHOTS (5) are written to the folder TMPDIR one after the other, and stay there. BALLAST_MB: memory of
 * the process besides the engine's, as librdkafka's. Prints one JSON object: the stops for fork(), and the longest
 * batch with and without a snapshot under way, the first one's fork() included: a page that is written for the first
 * time since then is copied.
 */
#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 1000, BATCHES_ALONE = 2000, MIDDLE_TICKS = 1000000, USERS = 5000, RECENT = 65536 };

struct work {
    struct engine *engine;
    uint64_t random, order_id;
    int64_t at_us;
    struct {
        uint64_t order_id, user_id;
    } recent[RECENT];
    int64_t worst_us; /* batch */
    uint64_t batches;
    int64_t batches_us;
};

static uint64_t below(struct work *work, uint64_t n)
{
    work->random = work->random * 6364136223846793005u + 1442695040888963407u;
    return (work->random >> 33) % n;
}

static void must(bool fine, const char *why)
{
    if (fine)
        return;
    fprintf(stderr, "penstock-engine-snapshot: %s\n", why);
    exit(1);
}

static void place(struct work *work, int64_t away_ticks, enum engine_time_in_force time_in_force)
{
    bool buys = below(work, 2) == 0;
    struct engine_command order = {
        .kind = ENGINE_PLACE,
        .order_id = ++work->order_id,
        .user_id = 1 + below(work, USERS),
        .price_ticks = MIDDLE_TICKS + (buys ? -away_ticks : away_ticks),
        .quantity_lots = 1 + (int64_t)below(work, 50),
        .at_us = work->at_us += 5,
        .side = buys ? ENGINE_BUY : ENGINE_SELL,
        .type = ENGINE_LIMIT,
        .time_in_force = (uint8_t)time_in_force,
    };

    order.hold_minor = order.quantity_lots * (buys ? order.price_ticks : 100);
    must(engine_apply(work->engine, &order) == ENGINE_OK, "an order was refused");
    work->recent[work->order_id % RECENT].order_id = order.order_id;
    work->recent[work->order_id % RECENT].user_id = order.user_id;
}

static void cancel(struct work *work)
{
    size_t at = below(work, RECENT);
    struct engine_command command = {
        .kind = ENGINE_CANCEL,
        .order_id = work->recent[at].order_id,
        .user_id = work->recent[at].user_id,
        .at_us = work->at_us += 5,
    };

    if (command.order_id != 0)
        must(engine_apply(work->engine, &command) == ENGINE_OK, "a cancel was refused");
}

/* began_us: of the batch; what the caller did before counts as part of it. */
static void batch_from(struct work *work, int64_t began_us)
{
    for (size_t i = 0; i < BATCH; i++) {
        uint64_t dice = below(work, 100);

        if (dice < 33)
            cancel(work);
        else if (dice < 45)
            place(work, -(int64_t)below(work, 25), ENGINE_IOC);
        else
            place(work, 1 + (int64_t)below(work, 50000), ENGINE_GTC);
    }
    engine_flush(work->engine);

    int64_t took_us = monotonic_us() - began_us;

    work->worst_us = took_us > work->worst_us ? took_us : work->worst_us;
    work->batches++;
    work->batches_us += took_us;
}

static void prefill(struct work *work, uint64_t resting)
{
    static const struct engine_market_config market = { "S000-USD", 1, 2, 1, 100, 1, 1000, 2000, ENGINE_OPEN };
    struct engine_options options = {
        .orders_max = 4000000, .pages_max = 131072, .markets_max = 16, .huge_pages = true, .small_start = true
    };
    uint16_t number;

    work->engine = engine_new(&options);
    work->random = 1;
    must(work->engine && engine_configure(work->engine, &market, &number) == ENGINE_OK, "no engine");
    while (engine_orders_count(work->engine) < resting)
        place(work, 1000 + (int64_t)below(work, 50000), ENGINE_GTC);
    engine_flush(work->engine);
}

static void begin_measuring(struct work *work)
{
    work->worst_us = work->batches_us = 0;
    work->batches = 0;
}

static double mean_us(const struct work *work)
{
    return (double)work->batches_us / (double)work->batches;
}

static void measure(struct work *work, const struct snapshot_identity *identity, int64_t number)
{
    CLEANUP(snapshot_child_free) struct snapshot_child *child = NULL;
    struct snapshot_result result;
    struct error e = { 0 };
    enum snapshot_progress progress;
    int64_t began_us = monotonic_us();

    begin_measuring(work);
    must(snapshot_begin(identity, work->engine, number, &child, &e), e.message);
    batch_from(work, began_us);
    while ((progress = snapshot_look(child, false, &e)) == SNAPSHOT_RUNNING)
        batch_from(work, monotonic_us());
    must(progress == SNAPSHOT_WRITTEN, e.message);
    snapshot_get_result(child, &result);
    printf("%s{\"stop_us\":%ld,\"stop_cpu_us\":%ld,\"worst_batch_us\":%ld,\"mean_batch_us\":%.0f,\"batches\":%lu,"
           "\"written_ms\":%ld,\"bytes\":%zu}",
        number > 1 ? "," : "", result.pause_us, result.pause_cpu_us, work->worst_us, mean_us(work), work->batches,
        result.took_us / 1000, result.size);
}

int main(int argc, char **argv)
{
    uint64_t resting = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    long snapshots = argc > 2 ? strtol(argv[2], NULL, 10) : 5, ballast_mb = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    struct work *work = xcalloc(1, sizeof *work);
    CLEANUP(xfree) char *ballast = xmalloc((size_t)ballast_mb * 1000000 + 1);
    struct snapshot_identity identity = { .directory = getenv("TMPDIR"), .topic = "t", .cluster_id = "c" };

    must(resting > 0 && resting < 3000000, "usage: penstock-engine-snapshot RESTING [SNAPSHOTS [BALLAST_MB]]");
    must(identity.directory != NULL, "TMPDIR is not set");
    memset(ballast, 1, (size_t)ballast_mb * 1000000);
    prefill(work, resting);
    begin_measuring(work);
    while (work->batches < BATCHES_ALONE)
        batch_from(work, monotonic_us());
    printf("{\"resting\":%u,\"batch\":%d,\"alone\":{\"worst_batch_us\":%ld,\"mean_batch_us\":%.0f},\"snapshots\":[",
        engine_orders_count(work->engine), BATCH, work->worst_us, mean_us(work));
    for (int64_t i = 1; i <= snapshots; i++)
        measure(work, &identity, i);
    printf("]}\n");
    engine_free(work->engine);
    xfree(work);

    return 0;
}
