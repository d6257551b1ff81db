#include "records_text.h"

#include <inttypes.h>

static const char *side_text(uint8_t side)
{
    return side == ENGINE_BUY ? "buy" : side == ENGINE_SELL ? "sell" : "-";
}

static const char *reason_text(uint8_t reason)
{
    static const char *const names[] = { "-", "requested", "ioc-remainder", "self-trade", "fok-unfilled",
        "post-only-would-cross", "market-closed", "book-full", "expired", "unsupported", "limits", "price-band",
        "kill-switch", "cancel-all", "quote-replaced", "quote-spent" };
    return reason < sizeof names / sizeof *names ? names[reason] : "?";
}

static const char *status_text(uint8_t status)
{
    static const char *const names[] = { "-", "accepted", "partially-filled", "filled", "cancelled", "rejected",
        "expired" };
    return status < sizeof names / sizeof *names ? names[status] : "?";
}

static void write_fill(FILE *file, const struct engine_fill *fill)
{
    fprintf(file,
        "fill trade=%lu lots=%ld price=%ld maker=%lu left=%ld fee=%ld taker=%lu left=%ld fee=%ld taker_side=%s",
        fill->trade_id, fill->quantity_lots, fill->price_ticks, fill->maker.order_id, fill->maker.remaining_lots,
        fill->maker.fee_minor, fill->taker.order_id, fill->taker.remaining_lots, fill->taker.fee_minor,
        side_text(fill->record.side));
}

static void write_closed(FILE *file, const struct engine_closed *closed)
{
    fprintf(file, "%s id=%lu filled=%ld left=%ld released=%ld %s", status_text(closed->status), closed->order_id,
        closed->filled_lots, closed->remaining_lots, closed->released_minor, reason_text(closed->reason));
}

static void write_opened(FILE *file, const struct engine_opened *opened)
{
    fprintf(file, "%s id=%lu side=%s price=%ld filled=%ld left=%ld shows=%ld", opened->waiting ? "waiting" : "opened",
        opened->order_id, side_text(opened->record.side), opened->price_ticks, opened->filled_lots,
        opened->remaining_lots, opened->visible_lots);
}

static void write_amended(FILE *file, const struct engine_amended *amended)
{
    fprintf(file, "amended id=%lu amend=%lu price=%ld lots=%ld left=%ld shows=%ld released=%ld%s", amended->order_id,
        amended->amend_id, amended->price_ticks, amended->quantity_lots, amended->remaining_lots, amended->visible_lots,
        amended->released_minor, amended->kept_priority ? " kept" : "");
}

static void write_group(FILE *file, const struct engine_group *group)
{
    fprintf(file, "group postings=%u book=%lu orders=%u", group->postings, group->book_seq, group->orders);
    for (uint32_t i = 0; i < group->levels; i++)
        fprintf(file, " %s:%ld=%ld/%u", side_text(group->changes[i].side), group->changes[i].price_ticks,
            group->changes[i].total_lots, group->changes[i].orders);
}

void record_write(FILE *file, const struct engine_record *record)
{
    const void *any = record;
    const struct engine_cancel_rejected *rejected = any;
    const struct engine_triggered *triggered = any;
    const struct engine_amend_rejected *unamended = any;

    fprintf(file, "%u#%lu @%ld ", record->market, record->seq, record->at_us);
    switch ((enum engine_record_kind)record->kind) {
    case ENGINE_RECORD_FILL:
        write_fill(file, any);
        break;
    case ENGINE_RECORD_OPENED:
        write_opened(file, any);
        break;
    case ENGINE_RECORD_CLOSED:
        write_closed(file, any);
        break;
    case ENGINE_RECORD_CANCEL_REJECTED:
        fprintf(file, "cancel-rejected id=%lu %s", rejected->order_id, rejected->known ? "foreign" : "not-open");
        break;
    case ENGINE_RECORD_TRIGGERED:
        fprintf(file, "triggered id=%lu last=%ld", triggered->order_id, triggered->last_price_ticks);
        break;
    case ENGINE_RECORD_AMENDED:
        write_amended(file, any);
        break;
    case ENGINE_RECORD_AMEND_REJECTED:
        fprintf(file, "amend-rejected id=%lu amend=%lu released=%ld %s", unamended->order_id, unamended->amend_id,
            unamended->released_minor, engine_amend_problem_name(unamended->problem));
        break;
    case ENGINE_RECORD_GROUP:
        write_group(file, any);
        break;
    }
    fputc('\n', file);
}
