/* dead_letter.c -- what a consumer cannot accept goes to `<topic>.<group>.dead`, as it came, with the reason in
 * headers. */
#include "consumer_private.h"

/* A type is required of every event; this one's could not be read. */
#define TYPE_UNREADABLE "unreadable"

static void tell(struct consumer *consumer, const struct event *event, const struct error *reason)
{
    struct error told = { 0 };
    error_field(&told, reason->kind, reason->problem, reason->field, "dead letter %s[%d]@%lld %.40s: %.100s",
        event->topic, event->partition, (long long)event->offset, event->id, reason->message);
    consumer_tell_error(consumer, &told);
}

void dead_letter(struct consumer *consumer, const struct event *event, const struct error *reason)
{
    struct arena *arena = consumer->arena;

    consumer->batch.dead_letters++;
    tell(consumer, event, reason);
    if (!consumer->outbox)
        return;

    const char *const headers[] = {
        "dlq_reason",
        reason->message,
        "dlq_field",
        reason->field,
        "dlq_kind",
        error_kind_name(reason->kind),
        "dlq_topic",
        event->topic,
        "dlq_partition",
        arena_printf(arena, "%d", event->partition),
        "dlq_offset",
        arena_printf(arena, "%lld", (long long)event->offset),
        "dlq_group",
        consumer->options->group,
        "dlq_ce_id",
        event->id,
        "dlq_ce_source",
        event->source,
        consumer->options->ordered ? "dlq_parked" : NULL,
        "true",
        NULL,
    };
    /* A payload is required too: a tombstone becomes an empty one. */
    struct bytes payload = event->value.data ? event->value : (struct bytes){ "", 0 };
    outbox_add_raw(consumer->outbox, arena_printf(arena, "%s.%s.dead", event->topic, consumer->options->group),
        event->key, event->type[0] ? event->type : TYPE_UNREADABLE, payload, event->traceparent, headers);
}
