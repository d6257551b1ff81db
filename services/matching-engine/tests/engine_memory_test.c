/* What the core asks of memory: nothing after its start, and no more for prices that lie wide apart. */
#include "engine_core.h"

#include <criterion/criterion.h>
#include <event_bus/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ORDERS = 10000, ROUNDS = 5, WIDE_TICKS = 10000000, MEGABYTE = 1 << 20 };

/* ---- Allocations: the linker sends each call of the core and of this test here (--wrap in meson.build) ---- */

static uint64_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    allocations++;
    return __real_mmap64(at, size, protection, flags, fd, offset);
}

/* ---- An engine and its orders ---- */

static void count_fills(void *context, const struct engine_record *first, size_t size)
{
    for (engine_each_record(record, first, size))
        *(uint64_t *)context += record->kind == ENGINE_RECORD_FILL;
}

static struct engine *new_engine(uint64_t *fills)
{
    struct engine *engine = engine_new(&(struct engine_options){
        .orders_max = 2 * ORDERS, .markets_max = 1, .level3 = true, .drain = count_fills, .context = fills });
    struct engine_market_config config = { "A-B", 1, 1, 2, 1, 1, 1000, 2000, ENGINE_OPEN };
    uint16_t market;
    cr_assert(engine && engine_configure(engine, &config, &market) == ENGINE_OK);
    return engine;
}

static struct engine_command order_of(uint64_t order_id, enum engine_side side, int64_t lots, int64_t price_ticks)
{
    return (struct engine_command){ .order_id = order_id,
        .user_id = 1 + order_id % 50,
        .price_ticks = price_ticks,
        .quantity_lots = lots,
        .hold_minor = side == ENGINE_BUY ? price_ticks * lots : lots,
        .at_us = (int64_t)order_id,
        .side = (uint8_t)side,
        .type = ENGINE_LIMIT,
        .time_in_force = ENGINE_GTC,
        .kind = ENGINE_PLACE };
}

static void apply(struct engine *engine, const struct engine_command *command)
{
    cr_assert(engine_apply(engine, command) == ENGINE_OK);
}

/* One of every kind that may take what it needs from somewhere: side tables, heaps, lists, scans, an auction. */
static void apply_every_kind(struct engine *engine, uint64_t id)
{
    struct engine_order_more ends = { .expires_at_us = (int64_t)id + 40, .display_lots = 2 };
    struct engine_order_more stops = { .stop_price_ticks = 990 };
    struct engine_command order = order_of(id, ENGINE_SELL, 5, 1000 + (int64_t)(id % 700) * 64);
    order.time_in_force = ENGINE_GTD;
    order.more = &ends;
    apply(engine, &order);
    order = order_of(id + 1, ENGINE_SELL, 1, 900);
    order.type = ENGINE_STOP_LIMIT;
    order.more = &stops;
    apply(engine, &order);
    struct engine_command quote = order_of(id + 2, ENGINE_BUY, 3, 995);
    quote.user_id = 7;
    struct engine_quotes quotes = { .orders = &quote, .count = 1, .quote_set = 3 };
    apply(engine, &(struct engine_command){ .kind = ENGINE_MASS_QUOTE, .user_id = 7, .quotes = &quotes });
    order = order_of(id + 3, ENGINE_BUY, 2, 1000);
    order.user_id = 99;
    apply(engine, &order);
    struct engine_command amend = { .kind = ENGINE_AMEND, .order_id = id + 3, .user_id = 99, .amend_id = id };
    amend.price_ticks = 999;
    amend.quantity_lots = 2;
    apply(engine, &amend);
    apply(engine, &(struct engine_command){ .kind = ENGINE_KILL_SWITCH, .user_id = 1000 + id % 100, .engaged = true });
    apply(engine, &(struct engine_command){ .kind = ENGINE_KILL_SWITCH, .user_id = 1000 + id % 100 });
    apply(engine, &(struct engine_command){ .kind = ENGINE_CANCEL_ALL, .user_id = 1 + id % 50 });
    apply(engine, &(struct engine_command){ .kind = ENGINE_REFERENCE, .price_ticks = 1000 });
}

Test(engine_memory, is_never_asked_for_after_the_start)
{
    uint64_t fills = 0, before = allocations;
    struct engine *engine = new_engine(&fills);
    struct engine_market_config config = { "A-B", 1, 1, 2, 1, 1, 1000, 2000, ENGINE_AUCTION };
    uint16_t market;
    cr_assert(allocations > before + 4, "the count counts");
    before = allocations;
    for (uint64_t id = 1; id < 20000; id += 4)
        apply_every_kind(engine, id);
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK);
    for (uint64_t id = 30000; id < 31000; id++) {
        struct engine_command order = order_of(id, id % 2 ? ENGINE_BUY : ENGINE_SELL, 3, 1000 + (id % 2 ? 20 : -20));
        apply(engine, &order);
    }
    config.status = ENGINE_OPEN;
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK);
    (void)engine_book_checksum(engine, market);
    engine_flush(engine);
    cr_assert(allocations == before, "%lu allocations", allocations - before);
    cr_assert(fills >= 500, "%lu fills prove little", fills);
    engine_free(engine);
}

/* ---- One tick of spread, and ten million ---- */

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert(file && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Sells from the first price upwards, evenly over the span. */
static void fill_book(struct engine *engine, uint64_t first_id, int64_t span_ticks)
{
    for (uint64_t i = 0; i < ORDERS; i++) {
        struct engine_command order =
            order_of(first_id + i, ENGINE_SELL, 1, 1000 + (int64_t)(i * 7919 % ORDERS) * span_ticks / ORDERS);
        order.user_id = 1;
        apply(engine, &order);
    }
}

/* Fills the book, takes half of it by cancels and sweeps the rest with one order; the best of some rounds, in
 * nanoseconds an order. */
static double time_rounds(struct engine *engine, int64_t span_ticks)
{
    double best_ns = 0;
    for (uint64_t round = 0, id = ORDERS + 1; round < ROUNDS; round++, id += ORDERS + 1) {
        double begun_ns = cpu_ns();
        fill_book(engine, id, span_ticks);
        for (uint64_t i = 0; i < ORDERS; i += 2)
            apply(engine, &(struct engine_command){ .kind = ENGINE_CANCEL, .order_id = id + i, .user_id = 1 });
        struct engine_command sweep = order_of(id + ORDERS, ENGINE_BUY, ORDERS / 2, 1000 + span_ticks);
        sweep.user_id = 2;
        apply(engine, &sweep);
        cr_assert(engine_orders_count(engine) == 0);
        double took_ns = (cpu_ns() - begun_ns) / ORDERS;
        best_ns = round == 0 || took_ns < best_ns ? took_ns : best_ns;
    }
    return best_ns;
}

Test(engine_memory, is_not_paid_for_ticks_between_prices_nor_is_time)
{
    static const struct {
        int64_t span_ticks;
        size_t bytes_max;
    } cases[] = { { 1, 4 * MEGABYTE }, { WIDE_TICKS, 40 * MEGABYTE } };
    double ns[ARRAY_LEN(cases)];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t fills = 0;
        struct engine *engine = new_engine(&fills);
        size_t before = resident_bytes();
        fill_book(engine, 1, cases[i].span_ticks);
        size_t bytes = resident_bytes() - before;
        apply(engine, &(struct engine_command){ .kind = ENGINE_CANCEL_ALL, .user_id = 1 });
        ns[i] = time_rounds(engine, cases[i].span_ticks);
        fprintf(stderr, "%d orders over %ld ticks: %zu kB, %.0f ns an order\n", ORDERS, cases[i].span_ticks,
            bytes / 1024, ns[i]);
        cr_assert(bytes <= cases[i].bytes_max, "%zu bytes for a span of %ld ticks", bytes, cases[i].span_ticks);
        engine_free(engine);
    }
    cr_assert(ns[1] < 15 * ns[0], "%.0f ns an order instead of %.0f", ns[1], ns[0]);
}
