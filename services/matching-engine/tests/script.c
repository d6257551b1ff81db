#include "script.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

struct script {
    struct engine *engine;
    struct audit *audit;
    struct engine_market_config config;
    uint16_t market;
    int64_t at_us;
    uint64_t amend_id;
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
        "book-full", "expired", "unsupported", "limits", "band", "killed", "all", "replaced", "spent" };
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

static void write_amended(struct script *script, const struct engine_amended *amended)
{
    append(script->records, &script->records_len, "; ", "amended %lu %ld@%ld left %ld %s", amended->order_id,
        amended->quantity_lots, amended->price_ticks, amended->remaining_lots,
        amended->kept_priority ? "kept" : "moved");
}

static void write_record(struct script *script, const struct engine_record *record)
{
    const struct engine_fill *fill = (const void *)record;
    const struct engine_closed *closed = (const void *)record;
    const struct engine_opened *opened = (const void *)record;
    const struct engine_cancel_rejected *rejected = (const void *)record;
    const struct engine_triggered *triggered = (const void *)record;
    const struct engine_amend_rejected *unamended = (const void *)record;
    char *text = script->records;
    size_t *len = &script->records_len;
    switch ((enum engine_record_kind)record->kind) {
    case ENGINE_RECORD_FILL:
        append(text, len, "; ", "fill %ld@%ld m%lu t%lu", fill->quantity_lots, fill->price_ticks, fill->maker.order_id,
            fill->taker.order_id);
        break;
    case ENGINE_RECORD_OPENED:
        append(text, len, "; ", "%s %lu %ld@%ld", opened->waiting ? "wait" : "open", opened->order_id,
            opened->remaining_lots, opened->price_ticks);
        break;
    case ENGINE_RECORD_CLOSED:
        append(text, len, "; ", "%s %lu %ld %s", closed->status == ENGINE_REJECTED ? "refuse" : "close",
            closed->order_id, closed->remaining_lots, reason_name(closed->reason));
        break;
    case ENGINE_RECORD_CANCEL_REJECTED:
        append(text, len, "; ", "nocancel %lu %s", rejected->order_id, rejected->known ? "foreign" : "gone");
        break;
    case ENGINE_RECORD_TRIGGERED:
        append(text, len, "; ", "trigger %lu %ld", triggered->order_id, triggered->last_price_ticks);
        break;
    case ENGINE_RECORD_AMENDED:
        write_amended(script, (const void *)record);
        break;
    case ENGINE_RECORD_AMEND_REJECTED:
        append(text, len, "; ", "noamend %lu %s", unamended->order_id, engine_amend_problem_name(unamended->problem));
        break;
    case ENGINE_RECORD_GROUP:
        write_group(script, (const void *)record);
        break;
    }
}

static void drain(void *context, const struct engine_record *first, size_t size)
{
    struct script *script = context;
    audit_records(script->audit, first, size);
    for (engine_each_record(record, first, size))
        write_record(script, record);
}

struct script *script_new(uint32_t orders_max, uint32_t pages_max)
{
    struct script *script = xcalloc(1, sizeof *script);
    script->audit = audit_new();
    script->engine = engine_new(&(struct engine_options){ .orders_max = orders_max,
        .pages_max = pages_max,
        .markets_max = 2,
        .level3 = true,
        .drain = drain,
        .context = script });
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
    if (order->visible_lots != order->remaining_lots)
        append(script->book, &script->book_len, "", "(%ld)", order->visible_lots);
    return true;
}

static bool write_waiting(void *context, const struct engine_resting *order)
{
    struct script *script = context;
    append(script->book, &script->book_len, " ", "%s%lu!%ld", order->side == ENGINE_BUY ? "^" : "v", order->order_id,
        order->more.stop_price_ticks);
    return true;
}

static void write_book(struct script *script)
{
    script->book_len = 0;
    script->book[0] = '\0';
    engine_each_order(script->engine, script->market, ENGINE_BUY, write_order, script);
    append(script->book, &script->book_len, " ", "|");
    engine_each_order(script->engine, script->market, ENGINE_SELL, write_order, script);
    engine_each_waiting(script->engine, script->market, ENGINE_BUY, write_waiting, script);
    engine_each_waiting(script->engine, script->market, ENGINE_SELL, write_waiting, script);
}

/* "name=12" among the flags, or `otherwise`. */
static int64_t flag_value(const char *flags, const char *name, int64_t otherwise)
{
    const char *at = strstr(flags, name);
    return at ? strtoll(at + strlen(name), NULL, 10) : otherwise;
}

static bool has_flag(const char *flags, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = flags; (at = strstr(at, name)) != NULL; at += len)
        if ((at == flags || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static uint8_t self_trade_of(const char *flags)
{
    static const char *const modes[] = { "stp=newest", "stp=oldest", "stp=both", "stp=decrement" };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (has_flag(flags, modes[i]))
            return (uint8_t)(i + ENGINE_CANCEL_NEWEST);
    return ENGINE_SELF_TRADE_DEFAULT;
}

static void read_flags(const char *flags, struct engine_command *order, struct engine_order_more *more)
{
    *more = (struct engine_order_more){
        .stop_price_ticks = flag_value(flags, "stop=", flag_value(flags, "stop-limit=", 0)),
        .quote_minor = flag_value(flags, "quote=", 0),
        .display_lots = flag_value(flags, "show=", 0),
        .expires_at_us = flag_value(flags, "gtd=", 0),
        .maker_fee_ppm = (uint32_t)flag_value(flags, "maker=", 0),
        .taker_fee_ppm = (uint32_t)flag_value(flags, "taker=", 0),
        .has_fees = strstr(flags, "maker=") != NULL,
    };
    order->more = more;
    order->self_trade = self_trade_of(flags);
    order->post_only = has_flag(flags, "post") ? ENGINE_POST_OR_REJECT : ENGINE_MAY_TAKE;
    if (has_flag(flags, "slide"))
        order->post_only = ENGINE_POST_OR_SLIDE;
    if (has_flag(flags, "ioc"))
        order->time_in_force = ENGINE_IOC;
    if (has_flag(flags, "fok"))
        order->time_in_force = ENGINE_FOK;
    if (more->expires_at_us != 0)
        order->time_in_force = ENGINE_GTD;
    if (has_flag(flags, "market"))
        order->type = ENGINE_MARKET;
    if (strstr(flags, "stop="))
        order->type = ENGINE_STOP;
    if (strstr(flags, "stop-limit="))
        order->type = ENGINE_STOP_LIMIT;
}

static bool read_order(
    struct script *script, const char *text, struct engine_command *order, struct engine_order_more *more)
{
    char side[8], flags[128] = "";
    *order = (struct engine_command){
        .type = ENGINE_LIMIT, .time_in_force = ENGINE_GTC, .kind = ENGINE_PLACE, .at_us = script->at_us
    };
    if (sscanf(text, "%7s %lu u%lu %ld@%ld %127[^\n,]", side, &order->order_id, &order->user_id, &order->quantity_lots,
            &order->price_ticks, flags) < 5)
        return false;
    order->side = strcmp(side, "buy") == 0 ? ENGINE_BUY : ENGINE_SELL;
    read_flags(flags, order, more);
    order->hold_minor = order->side == ENGINE_BUY ? order->price_ticks * order->quantity_lots : order->quantity_lots;
    if (more->quote_minor != 0 && order->side == ENGINE_BUY)
        order->hold_minor = more->quote_minor;
    return true;
}

static void apply(struct script *script, const struct engine_command *command, const char *text)
{
    enum engine_verdict verdict = engine_apply(script->engine, command);
    cr_assert(verdict == ENGINE_OK, "%s: %s", text, engine_verdict_text(verdict));
}

static void place(struct script *script, const char *text)
{
    struct engine_command order;
    struct engine_order_more more;
    cr_assert(read_order(script, text, &order, &more), "cannot read: %s", text);
    audit_accept(script->audit, script->market, &order);
    apply(script, &order, text);
}

/* "quotes uUSER SET: buy 1 u1 1@10, sell 2 u1 1@12" */
static void mass_quote(struct script *script, const char *text)
{
    struct engine_command orders[ENGINE_QUOTES_MAX];
    struct engine_order_more more[ENGINE_QUOTES_MAX];
    struct engine_quotes quotes = { .orders = orders };
    struct engine_command command = { .kind = ENGINE_MASS_QUOTE, .quotes = &quotes, .at_us = script->at_us };
    cr_assert(sscanf(text, "quotes u%lu %hu", &command.user_id, &quotes.quote_set) == 2, "cannot read: %s", text);
    for (const char *at = strchr(text, ':'); at; at = strchr(at, ',')) {
        cr_assert(read_order(script, at += 2, &orders[quotes.count], &more[quotes.count]), "cannot read: %s", at);
        audit_accept(script->audit, script->market, &orders[quotes.count++]);
    }
    apply(script, &command, text);
}

/* Sets aside what the amendment lacks, as the ledger does; "short" sets aside nothing. */
static void amend(struct script *script, const char *text)
{
    struct engine_command command = {
        .kind = ENGINE_AMEND, .amend_id = ++script->amend_id, .at_us = script->at_us, .side = ENGINE_BUY
    };
    struct audit_order order;
    cr_assert(sscanf(text, "amend %lu u%lu %ld@%ld", &command.order_id, &command.user_id, &command.quantity_lots,
                  &command.price_ticks) == 4,
        "cannot read: %s", text);
    if (audit_order(script->audit, command.order_id, &order)) {
        int64_t left_lots = command.quantity_lots - order.filled_lots;
        command.side = order.side;
        command.hold_minor =
            (order.side == ENGINE_BUY ? command.price_ticks * left_lots : left_lots) - order.held_minor;
        if (command.hold_minor < 0 || strstr(text, "short"))
            command.hold_minor = 0;
        audit_accept_amend(script->audit, &command);
    }
    apply(script, &command, text);
}

static void set_status(struct script *script, enum engine_market_status status)
{
    script->config.status = (uint8_t)status;
    cr_assert(engine_configure(script->engine, &script->config, &script->market) == ENGINE_OK);
}

static void set_limits(struct script *script, const char *text)
{
    struct engine_market_config *config = &script->config;
    config->min_price_ticks = flag_value(text, "min-price=", 0);
    config->max_price_ticks = flag_value(text, "max-price=", 0);
    config->price_step_ticks = flag_value(text, "price-step=", 0);
    config->min_quantity_lots = flag_value(text, "min-lots=", 0);
    config->max_quantity_lots = flag_value(text, "max-lots=", 0);
    config->quantity_step_lots = flag_value(text, "lot-step=", 0);
    config->min_notional_minor = flag_value(text, "min-notional=", 0);
    config->max_notional_minor = flag_value(text, "max-notional=", 0);
    config->price_band_ppm = (uint32_t)flag_value(text, "band=", 0);
    cr_assert(engine_configure(script->engine, config, &script->market) == ENGINE_OK);
}

static bool control(struct script *script, const char *text)
{
    static const struct {
        const char *name;
        enum engine_market_status status;
    } statuses[] = { { "halt", ENGINE_HALTED }, { "cancel-only", ENGINE_CANCEL_ONLY }, { "open", ENGINE_OPEN },
        { "auction", ENGINE_AUCTION } };
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (strcmp(text, statuses[i].name) == 0) {
            set_status(script, statuses[i].status);
            return true;
        }
    if (strncmp(text, "limits", 6) == 0)
        set_limits(script, text);
    return strncmp(text, "limits", 6) == 0;
}

static void command(struct script *script, const char *text)
{
    struct engine_command c = { .at_us = ++script->at_us };
    if (control(script, text))
        return;
    if (sscanf(text, "cancel %lu u%lu", &c.order_id, &c.user_id) == 2)
        c.kind = ENGINE_CANCEL;
    else if (sscanf(text, "tick %ld", &c.at_us) == 1)
        c.kind = ENGINE_TICK;
    else if (sscanf(text, "cancel-all u%lu", &c.user_id) == 1)
        c.kind = ENGINE_CANCEL_ALL;
    else if (sscanf(text, "kill u%lu", &c.user_id) == 1 || sscanf(text, "unkill u%lu", &c.user_id) == 1) {
        c.kind = ENGINE_KILL_SWITCH;
        c.engaged = text[0] == 'k';
    } else if (sscanf(text, "reference %ld", &c.price_ticks) == 1)
        c.kind = ENGINE_REFERENCE;
    if (c.kind != 0)
        apply(script, &c, text);
    else if (strncmp(text, "amend", 5) == 0)
        amend(script, text);
    else if (strncmp(text, "quotes", 6) == 0)
        mass_quote(script, text);
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
