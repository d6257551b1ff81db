#include "script.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

struct script {
    struct engine *engine;
    struct audit *audit;
    struct engine_market_config config;
    uint16_t market;
    int64_t at_us;
    char records[TEXT_MAX], book[TEXT_MAX];
    size_t records_len, book_len;
};

static void append(char text[TEXT_MAX], size_t *len, const char *separator, const char *fmt, ...) PRINTF(4, 5);
static void append(char text[TEXT_MAX], size_t *len, const char *separator, const char *fmt, ...)
{
    va_list args;
    *len += (size_t)snprintf(text + *len, TEXT_MAX - *len, "%s", *len > 0 ? separator : "");
    va_start(args, fmt);
    *len += (size_t)vsnprintf(text + *len, TEXT_MAX - *len, fmt, args);
    va_end(args);
    cr_assert(*len < TEXT_MAX);
}

static const char *reason_name(uint8_t reason)
{
    static const char *const names[] = { "", "requested", "ioc", "self-trade", "fok", "would-cross", "market-closed",
        "book-full", "expired", "unsupported" };
    return names[reason];
}

static void write_group(struct script *script, const struct engine_group *group)
{
    char *text = script->records;
    size_t *len = &script->records_len;
    if (group->postings > 0)
        append(text, len, "; ", "post %u", group->postings);
    if (group->levels > 0)
        append(text, len, "; ", "book");
    for (size_t i = 0; i < group->levels; i++)
        append(text, len, " ", "%c%ld:%ld/%u", group->changes[i].side == ENGINE_BUY ? 'b' : 'a',
            group->changes[i].price_ticks, group->changes[i].total_lots, group->changes[i].orders);
}

static void write_record(struct script *script, const struct engine_record *record)
{
    const struct engine_fill *fill = (const void *)record;
    const struct engine_closed *closed = (const void *)record;
    const struct engine_opened *opened = (const void *)record;
    const struct engine_cancel_rejected *rejected = (const void *)record;
    char *text = script->records;
    size_t *len = &script->records_len;
    switch ((enum engine_record_kind)record->kind) {
    case ENGINE_RECORD_FILL:
        append(text, len, "; ", "fill %ld@%ld m%lu t%lu", fill->quantity_lots, fill->price_ticks, fill->maker.order_id,
            fill->taker.order_id);
        break;
    case ENGINE_RECORD_OPENED:
        append(text, len, "; ", "open %lu %ld@%ld", opened->order_id, opened->remaining_lots, opened->price_ticks);
        break;
    case ENGINE_RECORD_CLOSED:
        append(text, len, "; ", "%s %lu %ld %s", closed->status == ENGINE_REJECTED ? "refuse" : "close",
            closed->order_id, closed->remaining_lots, reason_name(closed->reason));
        break;
    case ENGINE_RECORD_CANCEL_REJECTED:
        append(text, len, "; ", "nocancel %lu %s", rejected->order_id, rejected->known ? "foreign" : "gone");
        break;
    case ENGINE_RECORD_GROUP:
        write_group(script, (const void *)record);
        break;
    case ENGINE_RECORD_TRIGGERED:
    case ENGINE_RECORD_AMENDED:
    case ENGINE_RECORD_AMEND_REJECTED:
        break;
    }
}

static void drain(void *context, const struct engine_record *first, size_t size)
{
    struct script *script = context;
    audit_records(script->audit, first, size);
    for (each_record(record, first, size))
        write_record(script, record);
}

struct script *script_new(uint32_t orders_max, uint32_t pages_max)
{
    struct script *script = xcalloc(1, sizeof *script);
    script->audit = audit_new();
    script->engine = engine_new(&(struct engine_options){
        .orders_max = orders_max, .pages_max = pages_max, .markets_max = 2, .drain = drain, .context = script });
    cr_assert(script->engine);
    audit_set_engine(script->audit, script->engine);
    script->config = (struct engine_market_config){ .symbol = "BTC-USD",
        .market_id = 1,
        .base_asset_id = 2,
        .quote_asset_id = 1,
        .lot_minor = 1,
        .notional_unit_minor = 1,
        .maker_fee_ppm = 1000,
        .taker_fee_ppm = 2000,
        .status = ENGINE_OPEN };
    cr_assert(engine_configure(script->engine, &script->config, &script->market) == ENGINE_OK);
    return script;
}

void script_free(struct script *script)
{
    if (!script)
        return;
    engine_free(script->engine);
    audit_free(script->audit);
    xfree(script);
}

struct engine *script_engine(struct script *script)
{
    return script->engine;
}

static bool write_order(void *context, const struct engine_resting *order)
{
    struct script *script = context;
    struct engine_level_change level;
    cr_assert(engine_depth_at(script->engine, script->market, order->side, order->price_ticks, &level));
    char price[24];
    snprintf(price, sizeof price, "%ld:", order->price_ticks);
    const char *last = strrchr(script->book, ' ');
    bool same_level = strncmp(last ? last + 1 : script->book, price, strlen(price)) == 0;
    append(script->book, &script->book_len, same_level ? "," : " ", "%s%lux%ld", same_level ? "" : price,
        order->order_id, order->remaining_lots);
    return true;
}

static void write_book(struct script *script)
{
    script->book_len = 0;
    script->book[0] = '\0';
    engine_each_order(script->engine, script->market, ENGINE_BUY, write_order, script);
    append(script->book, &script->book_len, " ", "|");
    engine_each_order(script->engine, script->market, ENGINE_SELL, write_order, script);
}

static void place(struct script *script, const char *command)
{
    char side[8], flags[64] = "";
    struct engine_command order = {
        .type = ENGINE_LIMIT, .time_in_force = ENGINE_GTC, .kind = ENGINE_PLACE, .at_us = ++script->at_us
    };
    int read = sscanf(command, "%7s %lu u%lu %ld@%ld %63[^\n]", side, &order.order_id, &order.user_id,
        &order.quantity_lots, &order.price_ticks, flags);
    cr_assert(read >= 5, "cannot read: %s", command);
    order.side = strcmp(side, "buy") == 0 ? ENGINE_BUY : ENGINE_SELL;
    order.hold_minor = order.side == ENGINE_BUY ? order.price_ticks * order.quantity_lots : order.quantity_lots;
    if (strstr(flags, "ioc"))
        order.time_in_force = ENGINE_IOC;
    if (strstr(flags, "fok"))
        order.time_in_force = ENGINE_FOK;
    if (strstr(flags, "gtd"))
        order.time_in_force = ENGINE_GTD;
    if (strstr(flags, "market"))
        order.type = ENGINE_MARKET;
    if (strstr(flags, "stop"))
        order.type = ENGINE_STOP;
    order.post_only = strstr(flags, "post") != NULL;
    audit_accept(script->audit, script->market, &order);
    enum engine_verdict verdict = engine_apply(script->engine, &order);
    cr_assert(verdict == ENGINE_OK, "%s: %s", command, engine_verdict_text(verdict));
}

static void set_status(struct script *script, enum engine_market_status status)
{
    script->config.status = (uint8_t)status;
    cr_assert(engine_configure(script->engine, &script->config, &script->market) == ENGINE_OK);
}

static void command(struct script *script, const char *text)
{
    uint64_t order_id, user_id;
    int64_t now_us;
    if (sscanf(text, "cancel %lu u%lu", &order_id, &user_id) == 2)
        cr_assert(engine_apply(script->engine, &(struct engine_command){ .kind = ENGINE_CANCEL,
                                                   .order_id = order_id,
                                                   .user_id = user_id,
                                                   .at_us = ++script->at_us }) == ENGINE_OK);
    else if (sscanf(text, "tick %ld", &now_us) == 1)
        cr_assert(engine_apply(script->engine, &(struct engine_command){ .kind = ENGINE_TICK, .at_us = now_us }) ==
                  ENGINE_OK);
    else if (strcmp(text, "halt") == 0)
        set_status(script, ENGINE_HALTED);
    else if (strcmp(text, "cancel-only") == 0)
        set_status(script, ENGINE_CANCEL_ONLY);
    else if (strcmp(text, "open") == 0)
        set_status(script, ENGINE_OPEN);
    else
        place(script, text);
}

void script_command(struct script *script, const char *text)
{
    script->records_len = 0;
    script->records[0] = '\0';
    command(script, text);
    engine_flush(script->engine);
}

void script_step(struct script *script, const struct script_step *step)
{
    script_command(script, step->command);
    engine_check(script->engine);
    audit_settled(script->audit);
    write_book(script);
    if (step->records)
        cr_assert_str_eq(script->records, step->records, "%s\n gave    %s\n awaited %s", step->command, script->records,
            step->records);
    if (step->book)
        cr_assert_str_eq(
            script->book, step->book, "%s\n left    %s\n awaited %s", step->command, script->book, step->book);
}

void script_run(const struct script_step *steps)
{
    CLEANUP(script_free) struct script *script = script_new(1000, 1000);
    for (const struct script_step *step = steps; step->command; step++)
        script_step(script, step);
}
