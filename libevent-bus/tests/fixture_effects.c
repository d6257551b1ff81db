/* The handler alone: without Criterion, for children too. */
#include "fixture.h"

enum { EFFECTS_MAX = 10000 };

static const struct pg_statement insert_effects = {
    "insert_effects",
    "INSERT INTO effects (partition, log_offset, id) "
    "SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[])",
};

bool fixture_write(struct pg *pg, const struct delivery *deliveries, size_t count, struct error *e)
{
    static int32_t partitions[EFFECTS_MAX];
    static int64_t offsets[EFFECTS_MAX];
    static const char *ids[EFFECTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].verdict.kind != ERROR_NONE)
            continue;
        partitions[n] = deliveries[i].event.partition;
        offsets[n] = deliveries[i].event.offset;
        ids[n++] = deliveries[i].event.id;
    }
    pg_arg_int32s(pg, partitions, n);
    pg_arg_int64s(pg, offsets, n);
    pg_arg_texts(pg, ids, n);
    return pg_send(pg, &insert_effects, NULL, e);
}

bool fixture_effects(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)outbox, (void)context;
    return fixture_write(pg, deliveries, count, e);
}
