/* generate -- writes workload files: `penstock-engine-workload NAME FILE [OPERATIONS [SEED]]`. Integers only, so that a
 * name, a number and a seed give the same bytes everywhere. What each workload is: bench/engine/README.md. */
#include "bare_book.h"

#include <stdio.h>

enum {
    MIDDLE_TICKS = 40000, /* where prices begin */
    FIRST_TICK = 1,
    NOISE_MAX_TICKS = 12000,
    BUYERS = 5000,
    PREFILL_MAX = 1 << 20,
    CALENDAR_MAX = 1 << 22,
};

/* Mixed: a book held at a size. Flow: orders that live and die around a price that moves. */
struct recipe {
    const char *name;
    uint64_t operations; /* usual number: of all operations (mixed), of new orders (flow) */
    uint32_t resting;    /* mixed only */
    int64_t span_ticks;  /* mixed: half the width of the book; flow: scale of the distance from the middle */
    uint32_t life;       /* flow: scale of an order's life, in new orders */
    enum { STILL, WALK, SWING, CRASH } path;
    int64_t amplitude_ticks;
};

static const struct recipe recipes[] = {
    { "mixed-1k", 3000000, 1000, 100, 0, STILL, 0 },
    { "mixed-10k", 3000000, 10000, 500, 0, STILL, 0 },
    { "mixed-200k", 3000000, 200000, 4000, 0, STILL, 0 },
    { "mixed-wide", 3000000, 10000, 33500, 0, STILL, 0 },
    { "flow-static", 1000000, 0, 40, 20000, STILL, 0 },
    { "flow-calm", 1000000, 0, 20, 2000, WALK, 0 },
    { "flow-swing25", 1000000, 0, 20, 2000, SWING, MIDDLE_TICKS / 4 },
    { "flow-swing40", 1000000, 0, 20, 2000, SWING, MIDDLE_TICKS * 2 / 5 },
    { "flow-crash", 1000000, 0, 20, 4000, CRASH, 30000 },
};

struct due {
    uint64_t at, order_id;
    uint8_t kind, side;
};

struct generator {
    const struct recipe *recipe;
    uint64_t random;
    struct workload out;
    size_t used, room;
    struct bare_book *book;
    struct workload_op *firsts; /* by order id: what made it */
    uint64_t *live;             /* ids that rest, in no order; mixed only */
    uint32_t *live_place;       /* by order id: index in live, plus 1 */
    size_t live_count;
    struct due *calendar; /* binary heap by (at, order_id, kind) */
    size_t calendar_count;
    uint64_t fills_of_op, filled_ops;
    int64_t middle_ticks;
};

static uint64_t next_random(struct generator *g)
{
    uint64_t z = g->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t below(struct generator *g, uint64_t limit)
{
    return next_random(g) % limit;
}

/* A power law without floating point: P(x > k·scale) is about 1 / (1 + k). */
static int64_t heavy_tailed(struct generator *g, int64_t scale, int64_t max)
{
    int64_t u = 1 + (int64_t)below(g, 1 << 20), x = scale * ((1 << 20) - u) / u;
    return x < max ? x : max - (int64_t)below(g, (uint64_t)max / 4 + 1);
}

static void live_add(struct generator *g, uint64_t order_id)
{
    if (g->live_place[order_id] != 0)
        return;
    g->live[g->live_count++] = order_id;
    g->live_place[order_id] = (uint32_t)g->live_count;
}

static void live_remove(struct generator *g, uint64_t order_id)
{
    uint32_t place = g->live_place[order_id];
    if (place == 0)
        return;
    uint64_t last = g->live[--g->live_count];
    g->live[place - 1] = last;
    g->live_place[last] = place;
    g->live_place[order_id] = 0;
}

static void follow(void *context, const struct bare_event *event)
{
    struct generator *g = context;
    if (event->kind == BARE_FILL) {
        g->fills_of_op++;
        if (event->maker_remaining_lots == 0)
            live_remove(g, event->maker_id);
        if (event->remaining_lots == 0)
            live_remove(g, event->order_id);
    } else if (event->kind == BARE_OPENED) {
        live_add(g, event->order_id);
    } else if (event->kind == BARE_CLOSED) {
        live_remove(g, event->order_id);
    }
}

/* Writes the operation and follows it in a book of our own. */
static void emit(struct generator *g, struct workload_op op)
{
    if (g->used == g->room) {
        g->room = g->room ? g->room * 2 : 1 << 16;
        g->out.ops = realloc(g->out.ops, g->room * sizeof *g->out.ops);
        if (!g->out.ops)
            abort();
    }
    g->out.ops[g->used++] = op;
    g->fills_of_op = 0;
    bare_apply(g->book, &op, true, follow, g);
    g->filled_ops += g->fills_of_op > 0;
}

static int64_t within_range(int64_t price_ticks)
{
    return price_ticks < FIRST_TICK ? FIRST_TICK : price_ticks;
}

static uint64_t emit_new(
    struct generator *g, enum workload_kind kind, enum workload_side side, int64_t price_ticks, uint64_t quantity_lots)
{
    uint64_t order_id = ++g->out.order_id_max;
    g->firsts[order_id] = (struct workload_op){ .order_id = order_id,
        .price_ticks = within_range(price_ticks),
        .quantity_lots = (uint32_t)quantity_lots,
        .user_id = (uint32_t)(2 * below(g, BUYERS) + (side == WORKLOAD_BUY ? 1 : 2)),
        .kind = (uint8_t)kind,
        .side = (uint8_t)side };
    emit(g, g->firsts[order_id]);
    return order_id;
}

static void emit_change(struct generator *g, enum workload_kind kind, uint64_t order_id, int64_t price_ticks)
{
    struct workload_op op = g->firsts[order_id];
    op.kind = (uint8_t)kind;
    op.price_ticks = kind == WORKLOAD_MOVE ? within_range(price_ticks) : 0;
    if (kind == WORKLOAD_CANCEL)
        op.quantity_lots = 0;
    emit(g, op);
}

/* ---- Mixed: 45 % new, 31 % cancels, 14 % moves, 10 % IOC; 24 % of operations fill; the book keeps its size. ---- */

static int64_t best_of(const struct generator *g, enum workload_side side)
{
    return g->book->sides[side == WORKLOAD_SELL].best;
}

static enum workload_side other(enum workload_side side)
{
    return side == WORKLOAD_BUY ? WORKLOAD_SELL : WORKLOAD_BUY;
}

/* Nearer prices are more likely: the square of a uniform number. Never crosses. */
static int64_t passive_price(struct generator *g, enum workload_side side)
{
    int64_t u = (int64_t)below(g, 1 << 20), distance = 1 + ((u * u >> 20) * g->recipe->span_ticks >> 20);
    int64_t opposite = best_of(g, other(side));
    int64_t price = g->middle_ticks + (side == WORKLOAD_BUY ? -distance : distance);
    if (opposite >= 0 && (side == WORKLOAD_BUY ? price >= opposite : price <= opposite))
        price = side == WORKLOAD_BUY ? opposite - 1 : opposite + 1;
    return price;
}

static int64_t crossing_price(struct generator *g, enum workload_side side)
{
    int64_t opposite = best_of(g, other(side)), through = (int64_t)below(g, 3);
    return opposite < 0 ? passive_price(g, side) : opposite + (side == WORKLOAD_BUY ? through : -through);
}

static void mixed_operation(struct generator *g, uint64_t done)
{
    uint64_t dice = below(g, 100);
    bool too_few = g->live_count < g->recipe->resting;
    bool cross = g->filled_ops * 100 < 24 * (done + 1) && below(g, 2) == 0;
    enum workload_side side = below(g, 2) == 0 ? WORKLOAD_BUY : WORKLOAD_SELL;
    /* While the book is below its size, every other cancel comes too late. */
    uint64_t target = g->live_count > 0 && (!too_few || below(g, 2) == 0) ? g->live[below(g, g->live_count)]
                                                                          : 1 + below(g, g->out.order_id_max);
    if (dice < 45) {
        int64_t price = cross ? crossing_price(g, side) : passive_price(g, side);
        emit_new(g, WORKLOAD_LIMIT, side, price, cross && too_few ? 1 + below(g, 10) : 1 + below(g, 100));
    } else if (dice < 76) {
        emit_change(g, WORKLOAD_CANCEL, target, 0);
    } else if (dice < 90) {
        enum workload_side own = g->firsts[target].side;
        emit_change(g, WORKLOAD_MOVE, target, cross && !too_few ? crossing_price(g, own) : passive_price(g, own));
    } else {
        int64_t opposite = best_of(g, other(side)), far = side == WORKLOAD_BUY ? 1000000 : 1;
        emit_new(g, WORKLOAD_IOC, side, below(g, 2) == 0 || opposite < 0 ? far : opposite,
            too_few ? 1 + below(g, 10) : 50 + below(g, 100));
    }
}

static void generate_mixed(struct generator *g, uint64_t operations)
{
    while (g->live_count < g->recipe->resting) {
        enum workload_side side = below(g, 2) == 0 ? WORKLOAD_BUY : WORKLOAD_SELL;
        emit_new(g, WORKLOAD_LIMIT, side, passive_price(g, side), 1 + below(g, 100));
    }
    g->out.prefill = g->used;
    g->filled_ops = 0;
    for (uint64_t done = 0; done < operations; done++)
        mixed_operation(g, done);
}

/* ---- Flow: every order has a life; nothing holds the book together but the people in it. ---- */

static bool earlier(const struct due *a, const struct due *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->order_id != b->order_id ? a->order_id < b->order_id : a->kind > b->kind;
}

static void calendar_add(struct generator *g, struct due due)
{
    size_t at = g->calendar_count++;
    assert(at < CALENDAR_MAX);
    for (; at > 0 && earlier(&due, &g->calendar[(at - 1) / 2]); at = (at - 1) / 2)
        g->calendar[at] = g->calendar[(at - 1) / 2];
    g->calendar[at] = due;
}

static struct due calendar_take(struct generator *g)
{
    struct due first = g->calendar[0], last = g->calendar[--g->calendar_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < g->calendar_count; at = child) {
        if (child + 1 < g->calendar_count && earlier(&g->calendar[child + 1], &g->calendar[child]))
            child++;
        if (!earlier(&g->calendar[child], &last))
            break;
        g->calendar[at] = g->calendar[child];
    }
    g->calendar[at] = last;
    return first;
}

/* The price that people believe in, after `now` of `total` orders. */
static int64_t middle_at(struct generator *g, uint64_t now, uint64_t total)
{
    const struct recipe *recipe = g->recipe;
    int64_t step = (int64_t)below(g, 200);
    switch (recipe->path) {
    case STILL:
        return g->middle_ticks;
    case WALK:
        return g->middle_ticks + (step == 0 ? -1 : step == 1 ? 1 : 0);
    case SWING: { /* twice down by the amplitude and up again */
        uint64_t quarter = total / 4, phase = now % (2 * quarter);
        uint64_t down = phase < quarter ? phase : 2 * quarter - phase;
        return MIDDLE_TICKS - recipe->amplitude_ticks * (int64_t)down / (int64_t)quarter;
    }
    case CRASH: /* down within 2 % of the orders, half-way up again in 20 % */
        if (now < total * 40 / 100)
            return MIDDLE_TICKS;
        if (now < total * 42 / 100)
            return MIDDLE_TICKS - recipe->amplitude_ticks * (int64_t)(now - total * 40 / 100) / (int64_t)(total / 50);
        if (now < total * 62 / 100)
            return MIDDLE_TICKS - recipe->amplitude_ticks +
                   recipe->amplitude_ticks / 2 * (int64_t)(now - total * 42 / 100) / (int64_t)(total / 5);
        return MIDDLE_TICKS - recipe->amplitude_ticks / 2;
    }
    return MIDDLE_TICKS;
}

static int64_t flow_price(struct generator *g, enum workload_side side)
{
    int64_t distance = 1 + heavy_tailed(g, g->recipe->span_ticks, NOISE_MAX_TICKS);
    return g->middle_ticks + (side == WORKLOAD_BUY ? -distance : distance);
}

static void flow_order(struct generator *g, uint64_t now)
{
    enum workload_side side = below(g, 2) == 0 ? WORKLOAD_BUY : WORKLOAD_SELL;
    uint64_t quantity = 1 + (uint64_t)heavy_tailed(g, 20, 2000);
    if (below(g, 100) < 15) {
        int64_t reach = (int64_t)below(g, 20);
        emit_new(g, WORKLOAD_IOC, side, g->middle_ticks + (side == WORKLOAD_BUY ? reach : -reach), quantity);
        return;
    }
    uint64_t order_id = emit_new(g, WORKLOAD_LIMIT, side, flow_price(g, side), quantity);
    uint64_t life = 1 + (uint64_t)heavy_tailed(g, g->recipe->life, 40 * (int64_t)g->recipe->life);
    if (below(g, 100) < 20)
        calendar_add(g, (struct due){ now + 1 + below(g, life), order_id, WORKLOAD_MOVE, (uint8_t)side });
    if (below(g, 100) < 95)
        calendar_add(g, (struct due){ now + life, order_id, WORKLOAD_CANCEL, (uint8_t)side });
}

/* What is due: also for orders that have gone meanwhile, as a participant who does not know yet would send it. */
static void flow_due(struct generator *g, uint64_t now)
{
    while (g->calendar_count > 0 && g->calendar[0].at <= now) {
        struct due due = calendar_take(g);
        emit_change(g, due.kind, due.order_id, due.kind == WORKLOAD_MOVE ? flow_price(g, due.side) : 0);
    }
}

static void generate_flow(struct generator *g, uint64_t orders)
{
    for (uint64_t now = 0; now < orders; now++) {
        g->middle_ticks = middle_at(g, now, orders);
        flow_due(g, now);
        flow_order(g, now);
    }
    flow_due(g, UINT64_MAX);
}

static void generate(struct generator *g, const struct recipe *recipe, uint64_t operations, uint64_t seed)
{
    uint64_t ids_max = operations + PREFILL_MAX;
    *g = (struct generator){ .recipe = recipe, .random = seed, .middle_ticks = MIDDLE_TICKS };
    g->book = bare_new(ids_max, (uint32_t)ids_max, 0);
    g->firsts = calloc(ids_max + 1, sizeof *g->firsts);
    g->live = calloc(ids_max + 1, sizeof *g->live);
    g->live_place = calloc(ids_max + 1, sizeof *g->live_place);
    g->calendar = calloc(CALENDAR_MAX, sizeof *g->calendar);
    if (!g->firsts || !g->live || !g->live_place || !g->calendar)
        abort();
    snprintf(g->out.name, sizeof g->out.name, "%s", recipe->name);
    g->out.seed = seed;
    if (recipe->resting > 0)
        generate_mixed(g, operations);
    else
        generate_flow(g, operations);
    g->out.operations = g->used - g->out.prefill;
}

static void describe(const struct generator *g)
{
    uint64_t kinds[WORKLOAD_MOVE + 1] = { 0 };
    for (size_t i = g->out.prefill; i < g->used; i++)
        kinds[g->out.ops[i].kind]++;
    double percent = 100.0 / (double)g->out.operations;
    uint64_t resting = 0;
    for (uint64_t id = 1; id <= g->out.order_id_max; id++)
        resting += g->book->slots[id] != 0;
    fprintf(stderr,
        "%s: %lu operations after %lu: %.1f %% limit, %.1f %% IOC, %.1f %% cancel, %.1f %% move; %.1f %% fill; "
        "%lu rest in the end\n",
        g->out.name, g->out.operations, g->out.prefill, (double)kinds[WORKLOAD_LIMIT] * percent,
        (double)kinds[WORKLOAD_IOC] * percent, (double)kinds[WORKLOAD_CANCEL] * percent,
        (double)kinds[WORKLOAD_MOVE] * percent, (double)g->filled_ops * percent, resting);
}

static void generator_release(struct generator *g)
{
    bare_free(g->book);
    free(g->firsts);
    free(g->live);
    free(g->live_place);
    free(g->calendar);
    workload_release(&g->out);
}

static int usage(void)
{
    fprintf(stderr, "usage: penstock-engine-workload NAME FILE [OPERATIONS [SEED]]\nnames:");
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        fprintf(stderr, " %s", recipes[i].name);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct generator g;
    const struct recipe *recipe = NULL;

    for (size_t i = 0; argc > 2 && i < sizeof recipes / sizeof *recipes; i++)
        if (strcmp(argv[1], recipes[i].name) == 0)
            recipe = &recipes[i];
    if (!recipe || argc > 5)
        return usage();

    uint64_t operations = argc > 3 ? strtoull(argv[3], NULL, 10) : recipe->operations;

    if (operations < 100 || operations > CALENDAR_MAX / 4 * 3)
        return usage();
    generate(&g, recipe, operations, argc > 4 ? strtoull(argv[4], NULL, 10) : 1);
    describe(&g);
    bool fine = workload_write(argv[2], &g.out);
    generator_release(&g);
    return fine ? 0 : 1;
}
