/* engine-replay FILE -- the matching core from the command line, without Kafka: applies the commands of a file and says
 * what came of them. The file is text (steps.h) or a workload of bench/engine. Exit 0: done and as expected; 1: an
 * expectation failed or the file cannot be read; 2: wrong usage. README.md describes all of it. */
#include "records_text.h"
#include "restart.h"
#include "steps.h"
#include "workload_command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILLS_MAX = 1 << 16, MISSES_SHOWN_MAX = 10, MARKETS_MAX = 64, BATCH_MAX = 4096 };

struct seen_fill {
    uint64_t maker;
    int64_t price_ticks, lots;
};

struct replay {
    struct engine *engine;
    struct engine_options options;
    uint64_t commands, refused, records, record_bytes, digest;
    uint64_t fills, fill_hash;
    unsigned __int128 quantity_lots, notional;
    uint64_t expectations, missed, restarts;
    struct seen_fill seen[FILLS_MAX]; /* fills of the last command, for expectations */
    size_t seen_count, seen_used;
    uint64_t restart_every, batch, random;
    bool show_records, show_book, show_refused;
    double seconds; /* in the core */
};

static double seconds_now(void)
{
    return (double)monotonic_us() / 1e6;
}

static void look_at_fill(struct replay *replay, const struct engine_fill *fill)
{
    uint64_t hash = workload_hash(workload_hash(replay->fill_hash, fill->taker.order_id), fill->maker.order_id);
    replay->fill_hash = workload_hash(workload_hash(hash, (uint64_t)fill->price_ticks), (uint64_t)fill->quantity_lots);
    replay->fills++;
    replay->quantity_lots += (uint64_t)fill->quantity_lots;
    replay->notional += (unsigned __int128)(uint64_t)fill->quantity_lots * (uint64_t)fill->price_ticks;
    if (replay->seen_count < FILLS_MAX)
        replay->seen[replay->seen_count++] =
            (struct seen_fill){ fill->maker.order_id, fill->price_ticks, fill->quantity_lots };
}

static void drain(void *context, const struct engine_record *first, size_t size)
{
    struct replay *replay = context;
    const uint64_t *words = (const void *)first;

    for (size_t i = 0; i < size / sizeof *words; i++)
        replay->digest = workload_hash(replay->digest, words[i]);
    replay->record_bytes += size;
    for (engine_each_record(record, first, size)) {
        replay->records++;
        if (record->kind == ENGINE_RECORD_FILL)
            look_at_fill(replay, (const void *)record);
        if (replay->show_records)
            record_write(stdout, record);
    }
}

static bool restart_sometimes(struct replay *replay)
{
    if (replay->restart_every == 0)
        return true;
    replay->random = replay->random * 6364136223846793005u + 1442695040888963407u;
    if ((replay->random >> 33) % replay->restart_every != 0)
        return true;
    struct engine *next = restart_copy(replay->engine, &replay->options);
    if (!next)
        return false;
    engine_free(replay->engine);
    replay->engine = next;
    replay->restarts++;
    return true;
}

/* ---- Text ---- */

struct rank {
    uint32_t left;
    struct engine_level_change level;
};

static bool count_down(void *context, const struct engine_level_change *level)
{
    struct rank *rank = context;
    rank->level = *level;
    return --rank->left > 0;
}

static bool holds(struct replay *replay, const struct expectation *expected)
{
    struct engine_level_change level = { .price_ticks = 0 };
    struct rank rank = { .left = expected->rank };
    const struct seen_fill *fill;

    switch (expected->kind) {
    case EXPECT_FILL:
        if (replay->seen_used == replay->seen_count)
            return false;
        fill = &replay->seen[replay->seen_used++];
        return fill->maker == expected->maker && fill->price_ticks == expected->price_ticks &&
               fill->lots == expected->lots;
    case EXPECT_QUIET:
        return replay->seen_used == replay->seen_count;
    case EXPECT_LEVEL:
        if (!engine_depth_at(replay->engine, expected->market, expected->side, expected->price_ticks, &level))
            return expected->lots == 0;
        return level.total_lots == expected->lots;
    case EXPECT_RANK:
        if (expected->rank == 0)
            return false;
        engine_each_level(replay->engine, expected->market, expected->side, count_down, &rank);
        if (rank.left > 0)
            return expected->lots == 0;
        return rank.level.price_ticks == expected->price_ticks && rank.level.total_lots == expected->lots;
    case EXPECT_COUNT:
        return engine_orders_count(replay->engine) == expected->count;
    }
    return false;
}

static void check(struct replay *replay, const struct step_reader *reader, const struct step *step)
{
    bool known = step->expectation.market < engine_market_count(replay->engine);

    engine_flush(replay->engine);
    replay->expectations++;
    if (known && holds(replay, &step->expectation))
        return;
    if (replay->missed++ < MISSES_SHOWN_MAX) {
        fprintf(stderr, "%s:%u: not so: ", reader->path, reader->line);
        step_write(stderr, step);
    }
}

static bool take_step(struct replay *replay, const struct step_reader *reader, const struct step *step)
{
    if (step->kind == STEP_EXPECT) {
        check(replay, reader, step);
        return true;
    }
    engine_flush(replay->engine);
    replay->seen_count = replay->seen_used = 0;
    double begun = seconds_now();
    enum engine_verdict verdict = step_apply(replay->engine, step);
    replay->seconds += seconds_now() - begun;
    replay->commands++;
    if (verdict != ENGINE_OK) {
        replay->refused++;
        if (replay->show_refused)
            fprintf(stderr, "%s:%u: %s: %s\n", reader->path, reader->line, engine_verdict_field(verdict),
                engine_verdict_text(verdict));
    }
    return restart_sometimes(replay);
}

static bool replay_text(struct replay *replay, FILE *file, const char *path)
{
    struct step_reader reader = { .file = file, .path = path };
    struct step step;
    enum step_read read;
    bool fine = true;

    while (fine && (read = step_read(&reader, &step)) == STEP_READ) {
        fine = take_step(replay, &reader, &step);
        step_release(&step);
    }
    if (fine && read == STEP_BAD)
        step_release(&step);
    engine_flush(replay->engine);
    return fine && read == STEP_END;
}

/* ---- Workloads ---- */

static bool replay_batch(struct replay *replay, const struct engine_command *commands, size_t count)
{
    double begun = seconds_now();
    size_t fine = engine_apply_batch(replay->engine, commands, count, NULL);
    replay->seconds += seconds_now() - begun;
    replay->commands += count;
    replay->refused += count - fine;
    replay->seen_count = 0;
    return restart_sometimes(replay);
}

static bool replay_workload(struct replay *replay, const char *path)
{
    static const struct engine_market_config config = { .symbol = "BTC-USD",
        .market_id = 1,
        .base_asset_id = 2,
        .quote_asset_id = 1,
        .lot_minor = 1,
        .notional_unit_minor = 1,
        .maker_fee_ppm = 1000,
        .taker_fee_ppm = 2000,
        .status = ENGINE_OPEN };
    struct engine_command *commands = xcalloc(BATCH_MAX, sizeof *commands);
    struct workload workload;
    uint16_t market;
    bool fine = workload_read(path, &workload);

    if (!fine) {
        xfree(commands);
        return false;
    }
    int64_t *prices = xcalloc(workload.order_id_max + 1, sizeof *prices);

    fine = engine_configure(replay->engine, &config, &market) == ENGINE_OK;
    for (uint64_t at = 0, end = workload.prefill + workload.operations; fine && at < end;) {
        size_t count = 0;
        while (count < replay->batch && at < end) {
            commands[count++] = workload_command(&workload.ops[at], market, at + 1, prices);
            at++;
        }
        fine = replay_batch(replay, commands, count);
    }
    engine_flush(replay->engine);
    xfree(prices);
    xfree(commands);
    workload_release(&workload);
    return fine;
}

/* ---- The end ---- */

static bool hash_order(void *context, const struct engine_resting *order)
{
    uint64_t *hash = context;
    *hash = workload_hash(workload_hash(*hash, order->order_id), (uint64_t)order->price_ticks);
    *hash = workload_hash(*hash, (uint64_t)order->remaining_lots);
    return true;
}

static bool show_level(void *context, const struct engine_level_change *level)
{
    fprintf(context, "%s %ld %ld %u\n", level->side == ENGINE_BUY ? "bid" : "ask", level->price_ticks,
        level->total_lots, level->orders);
    return true;
}

static void print_big(const char *name, unsigned __int128 value)
{
    char digits[40], *at = digits + sizeof digits;
    *--at = '\0';
    do
        *--at = (char)('0' + (int)(value % 10));
    while ((value /= 10) > 0);
    printf("%s %s\n", name, at);
}

static void report(const struct replay *replay)
{
    uint64_t book = 0;

    for (uint16_t market = 0; market < engine_market_count(replay->engine); market++) {
        if (replay->show_book)
            printf("book %s\n", engine_market_get(replay->engine, market)->config.symbol);
        for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
            engine_each_order(replay->engine, market, side, hash_order, &book);
            engine_each_waiting(replay->engine, market, side, hash_order, &book);
            if (replay->show_book)
                engine_each_level(replay->engine, market, side, show_level, stdout);
        }
    }
    printf("commands %lu\nrefused %lu\nfills %lu\n", replay->commands, replay->refused, replay->fills);
    print_big("quantity", replay->quantity_lots);
    print_big("notional", replay->notional);
    printf("fill_hash %016lx\nrecords %lu\nrecord_bytes %lu\ndigest %016lx\n", replay->fill_hash, replay->records,
        replay->record_bytes, replay->digest);
    printf("resting %u\nbook_hash %016lx\n", engine_orders_count(replay->engine), book);
    if (replay->expectations > 0)
        printf("expected %lu\nmissed %lu\n", replay->expectations, replay->missed);
    fprintf(stderr, "%.0f commands/s in the core, %lu restarts\n",
        replay->seconds > 0 ? (double)replay->commands / replay->seconds : 0.0, replay->restarts);
}

static int usage(void)
{
    fprintf(stderr, "usage: engine-replay [--records] [--book] [--refused] [--restart-every N] [--seed N] [--batch N]\n"
                    "                     [--level3] FILE\n");
    return 2;
}

static bool parse_options(struct replay *replay, int argc, char **argv)
{
    static const struct option options[] = { { "records", no_argument, NULL, 'r' }, { "book", no_argument, NULL, 'b' },
        { "refused", no_argument, NULL, 'v' }, { "restart-every", required_argument, NULL, 'e' },
        { "seed", required_argument, NULL, 's' }, { "batch", required_argument, NULL, 'n' },
        { "level3", no_argument, NULL, '3' }, { NULL } };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            replay->show_records = true;
            break;
        case 'b':
            replay->show_book = true;
            break;
        case 'v':
            replay->show_refused = true;
            break;
        case 'e':
            replay->restart_every = strtoull(optarg, NULL, 10);
            break;
        case 's':
            replay->random = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            replay->batch = strtoull(optarg, NULL, 10);
            break;
        case '3':
            replay->options.level3 = true;
            break;
        default:
            return false;
        }
    }
    return optind + 1 == argc && replay->batch >= 1 && replay->batch <= BATCH_MAX;
}

static bool is_workload(FILE *file)
{
    char magic[8] = { 0 };
    size_t size = fread(magic, 1, sizeof magic, file);
    rewind(file);
    return size == sizeof magic && memcmp(magic, "PSWORK01", sizeof magic) == 0;
}

int main(int argc, char **argv)
{
    static struct replay replay;
    const char *path;
    FILE *file;

    replay = (struct replay){ .batch = 64,
        .options = { .orders_max = 1 << 22, .markets_max = MARKETS_MAX, .drain = drain, .context = &replay } };
    if (!parse_options(&replay, argc, argv))
        return usage();
    path = argv[optind];
    file = fopen(path, "rb");
    replay.engine = engine_new(&replay.options);
    if (!file || !replay.engine) {
        fprintf(stderr, "%s: %s\n", path, file ? "no memory" : "cannot be read");
        return 1;
    }
    bool fine = is_workload(file) ? replay_workload(&replay, path) : replay_text(&replay, file, path);
    report(&replay);
    fclose(file);
    engine_free(replay.engine);
    return fine && replay.missed == 0 ? 0 : 1;
}
