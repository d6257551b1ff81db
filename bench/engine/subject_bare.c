#include "bare_book.h"
#include "reader.h"
#include "subject.h"

enum { BUFFER_EVENTS = 4096, FIRST_TICK = 7232 /* the middle of all workloads is the middle of the array */ };

struct bare {
    struct bare_book *book;
    const struct workload *workload;
    enum delivery delivery;
    struct bare_event buffer[BUFFER_EVENTS];
    size_t buffered;
    struct reader *reader;
    struct spsc *queue;
    struct result result;
};

static size_t event_size(const unsigned char *report)
{
    (void)report;
    return sizeof(struct bare_event);
}

static void *bare_open(const struct workload *workload, enum delivery delivery)
{
    struct bare *bare = calloc(1, sizeof *bare);

    if (!bare)
        abort();
    bare->book = bare_new(workload->order_id_max, (uint32_t)workload->order_id_max, FIRST_TICK);
    bare->workload = workload;
    bare->delivery = delivery;
    if (delivery == DELIVERY_QUEUE) {
        bare->reader = reader_new(event_size);
        bare->queue = reader_queue(bare->reader);
    }
    return bare;
}

static inline void to_buffer(void *context, const struct bare_event *event)
{
    struct bare *bare = context;
    bare->buffer[bare->buffered++ % BUFFER_EVENTS] = *event;
}

static inline void to_queue(void *context, const struct bare_event *event)
{
    struct bare *bare = context;
    spsc_put(bare->queue, event, sizeof *event);
}

static void to_result(void *context, const struct bare_event *event)
{
    struct bare *bare = context;
    if (event->kind == BARE_FILL)
        result_fill(&bare->result, event->order_id, event->maker_id, event->price_ticks, event->quantity_lots);
}

static void apply(void *context, uint64_t first, uint64_t count)
{
    struct bare *bare = context;
    const struct workload_op *op = &bare->workload->ops[first], *end = op + count;
    for (const char *next = (const char *)end; next < (const char *)(end + count); next += 64)
        __builtin_prefetch(next); /* as the core does with its commands */
    switch (bare->delivery) {
    case DELIVERY_NONE:
        for (; op < end; op++)
            bare_apply(bare->book, op, false, to_result, bare);
        break;
    case DELIVERY_BUFFER:
        for (; op < end; op++)
            bare_apply(bare->book, op, true, to_buffer, bare);
        break;
    case DELIVERY_QUEUE:
        for (; op < end; op++)
            bare_apply(bare->book, op, true, to_queue, bare);
        break;
    case DELIVERY_RESULT:
        for (; op < end; op++)
            bare_apply(bare->book, op, true, to_result, bare);
        break;
    }
}

static void flush(void *context)
{
    struct bare *bare = context;
    if (bare->reader)
        reader_wait(bare->reader);
}

static void result_level(struct bare *bare, const struct bare_level *level)
{
    for (uint32_t slot = level->head; slot; slot = bare->book->orders[slot].next)
        result_resting(&bare->result, bare->book->orders[slot].order_id, bare->book->orders[slot].price_ticks,
            bare->book->orders[slot].quantity_lots);
}

/* Takes the book apart, level by level from the touch. */
static void bare_result(void *context, struct result *ret_result)
{
    struct bare *bare = context;
    for (int sell = 0; sell < 2; sell++) {
        struct bare_side *side = &bare->book->sides[sell];
        while (side->best >= 0) {
            uint32_t price_ticks = (uint32_t)side->best;
            result_level(bare, bare_level_at(bare->book, side, price_ticks));
            bare_close_level(bare->book, price_ticks, sell);
        }
    }
    *ret_result = bare->result;
}

static void bare_close(void *context)
{
    struct bare *bare = context;
    if (bare->reader)
        reader_free(bare->reader);
    bare_free(bare->book);
    free(bare);
}

const struct subject bare_alone = { "bare", "bare C book, tells nothing", DELIVERY_NONE, bare_open, apply, flush,
    bare_result, bare_close };
const struct subject bare_buffer = { "bare-buffer", "bare C book, 48-byte events into a buffer", DELIVERY_BUFFER,
    bare_open, apply, flush, bare_result, bare_close };
const struct subject bare_queue = { "bare-queue", "bare C book, every event to another thread", DELIVERY_QUEUE,
    bare_open, apply, flush, bare_result, bare_close };
