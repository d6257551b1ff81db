#include "steps.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- The fields, as tables: reading and writing go over the same lines. ---- */

enum { NAMES_MAX = 6 };

struct field {
    const char *name;
    size_t offset;
    uint8_t size;                 /* bytes; 0: text */
    bool always;                  /* written even if 0 */
    const char *names[NAMES_MAX]; /* of the values 0, 1, …; a number is understood too */
};

#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)

static const struct field market_fields[] = {
    { "symbol", offsetof(struct step, config.symbol), 0, true, { NULL } },
    { "id", AT(step, config.market_id), true, { NULL } },
    { "base", AT(step, config.base_asset_id), true, { NULL } },
    { "quote", AT(step, config.quote_asset_id), true, { NULL } },
    { "lot", AT(step, config.lot_minor), true, { NULL } },
    { "unit", AT(step, config.notional_unit_minor), true, { NULL } },
    { "status", AT(step, config.status), true, { "none", "open", "halted", "cancel-only", "auction" } },
    { "maker_fee", AT(step, config.maker_fee_ppm), false, { NULL } },
    { "taker_fee", AT(step, config.taker_fee_ppm), false, { NULL } },
    { "band", AT(step, config.price_band_ppm), false, { NULL } },
    { "min_price", AT(step, config.min_price_ticks), false, { NULL } },
    { "max_price", AT(step, config.max_price_ticks), false, { NULL } },
    { "price_step", AT(step, config.price_step_ticks), false, { NULL } },
    { "min_lots", AT(step, config.min_quantity_lots), false, { NULL } },
    { "max_lots", AT(step, config.max_quantity_lots), false, { NULL } },
    { "lots_step", AT(step, config.quantity_step_lots), false, { NULL } },
    { "min_notional", AT(step, config.min_notional_minor), false, { NULL } },
    { "max_notional", AT(step, config.max_notional_minor), false, { NULL } },
    { NULL },
};

#define SIDE_FIELD(member)                                                                                             \
    {                                                                                                                  \
        "side", member, false,                                                                                         \
        {                                                                                                              \
            "none", "buy", "sell"                                                                                      \
        }                                                                                                              \
    }
#define ORDER_FIELDS                                                                                                   \
    { "id", AT(step_order, command.order_id), false, { NULL } },                                                       \
        { "user", AT(step_order, command.user_id), false, { NULL } }, SIDE_FIELD(AT2(command.side)),                   \
        { "type", AT(step_order, command.type), false, { "none", "limit", "market", "stop", "stop-limit" } },          \
        { "tif", AT(step_order, command.time_in_force), false, { "none", "gtc", "ioc", "fok", "gtd" } },               \
        { "price", AT(step_order, command.price_ticks), false, { NULL } },                                             \
        { "lots", AT(step_order, command.quantity_lots), false, { NULL } },                                            \
        { "hold", AT(step_order, command.hold_minor), true, { NULL } },                                                \
        { "at", AT(step_order, command.at_us), false, { NULL } },                                                      \
        { "post", AT(step_order, command.post_only), false, { "no", "reject", "slide" } },                             \
        { "stp", AT(step_order, command.self_trade), false, { "default", "newest", "oldest", "both", "decrement" } },  \
        { "market", AT(step_order, command.market), false, { NULL } },                                                 \
        { "stop", AT(step_order, more.stop_price_ticks), false, { NULL } },                                            \
        { "amount", AT(step_order, more.quote_minor), false, { NULL } },                                               \
        { "display", AT(step_order, more.display_lots), false, { NULL } },                                             \
        { "expires", AT(step_order, more.expires_at_us), false, { NULL } },                                            \
        { "fees", AT(step_order, more.has_fees), false, { "no", "own" } },                                             \
        { "maker_fee", AT(step_order, more.maker_fee_ppm), false, { NULL } },                                          \
    {                                                                                                                  \
        "taker_fee", AT(step_order, more.taker_fee_ppm), false,                                                        \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }
#define AT2(member) AT(step_order, member)

static const struct field order_fields[] = { ORDER_FIELDS, { NULL } };
static const struct field amend_fields[] = {
    { "amend", AT(step_order, command.amend_id), false, { NULL } },
    { "id", AT(step_order, command.order_id), false, { NULL } },
    { "user", AT(step_order, command.user_id), false, { NULL } },
    SIDE_FIELD(AT2(command.side)),
    { "price", AT(step_order, command.price_ticks), false, { NULL } },
    { "lots", AT(step_order, command.quantity_lots), false, { NULL } },
    { "hold", AT(step_order, command.hold_minor), true, { NULL } },
    { "at", AT(step_order, command.at_us), false, { NULL } },
    { "market", AT(step_order, command.market), false, { NULL } },
    { NULL },
};
static const struct field user_fields[] = {
    { "id", AT(step_order, command.order_id), false, { NULL } },
    { "user", AT(step_order, command.user_id), false, { NULL } },
    { "price", AT(step_order, command.price_ticks), false, { NULL } },
    { "at", AT(step_order, command.at_us), false, { NULL } },
    { "market", AT(step_order, command.market), false, { NULL } },
    { NULL },
};
static const struct field kill_fields[] = {
    { "user", AT(step_order, command.user_id), false, { NULL } },
    { "engaged", AT(step_order, command.engaged), true, { "no", "yes" } },
    { "at", AT(step_order, command.at_us), false, { NULL } },
    { "market", AT(step_order, command.market), false, { NULL } },
    { NULL },
};
static const struct field quote_fields[] = {
    { "user", AT(step, order.command.user_id), false, { NULL } },
    { "set", AT(step, quote_set), false, { NULL } },
    { "at", AT(step, order.command.at_us), false, { NULL } },
    { "market", AT(step, order.command.market), false, { NULL } },
    { "orders", AT(step, quotes_count), true, { NULL } },
    { NULL },
};
static const struct field expect_fields[] = {
    { "maker", AT(expectation, maker), false, { NULL } },
    SIDE_FIELD(AT(expectation, side)),
    { "rank", AT(expectation, rank), false, { NULL } },
    { "price", AT(expectation, price_ticks), false, { NULL } },
    { "lots", AT(expectation, lots), false, { NULL } },
    { "count", AT(expectation, count), false, { NULL } },
    { "market", AT(expectation, market), false, { NULL } },
    { NULL },
};

static const char *const expect_names[] = { "fill", "level", "rank", "count", "quiet" };

static const struct verb {
    const char *name;
    enum step_kind step;
    uint8_t kind; /* enum engine_command_kind */
    const struct field *fields;
    size_t base; /* of the fields' offsets, in struct step */
} verbs[] = {
    { "market", STEP_MARKET, 0, market_fields, 0 },
    { "place", STEP_COMMAND, ENGINE_PLACE, order_fields, offsetof(struct step, order) },
    { "cancel", STEP_COMMAND, ENGINE_CANCEL, user_fields, offsetof(struct step, order) },
    { "amend", STEP_COMMAND, ENGINE_AMEND, amend_fields, offsetof(struct step, order) },
    { "tick", STEP_COMMAND, ENGINE_TICK, user_fields, offsetof(struct step, order) },
    { "cancel-all", STEP_COMMAND, ENGINE_CANCEL_ALL, user_fields, offsetof(struct step, order) },
    { "quote", STEP_COMMAND, ENGINE_MASS_QUOTE, quote_fields, 0 },
    { "kill", STEP_COMMAND, ENGINE_KILL_SWITCH, kill_fields, offsetof(struct step, order) },
    { "reference", STEP_COMMAND, ENGINE_REFERENCE, user_fields, offsetof(struct step, order) },
    { "expect", STEP_EXPECT, 0, expect_fields, offsetof(struct step, expectation) },
};

/* ---- Values ---- */

static int64_t value_get(const void *base, const struct field *field)
{
    int64_t value = 0; /* little endian: the low bytes come first */
    memcpy(&value, (const char *)base + field->offset, field->size);
    return value;
}

static bool value_set(void *base, const struct field *field, const char *text)
{
    int64_t value = -1;
    char *end;

    if (field->size == 0) {
        if (strlen(text) >= ENGINE_SYMBOL_MAX)
            return false;
        strcpy((char *)base + field->offset, text);
        return true;
    }
    for (int i = 0; i < NAMES_MAX && field->names[i]; i++)
        if (strcmp(field->names[i], text) == 0)
            value = i;
    if (value < 0) {
        errno = 0;
        value = *text == '-' ? strtoll(text, &end, 10) : (int64_t)strtoull(text, &end, 10);
        if (errno || end == text || *end)
            return false;
        if (field->size < sizeof value && (value < 0 || value >> (8 * field->size) != 0))
            return false;
    }
    memcpy((char *)base + field->offset, &value, field->size);
    return true;
}

static void fields_write(FILE *file, const struct field *fields, const void *base)
{
    for (const struct field *field = fields; field->name; field++) {
        int64_t value = field->size > 0 ? value_get(base, field) : 1;
        if (value == 0 && !field->always)
            continue;
        if (field->size == 0)
            fprintf(file, " %s=%s", field->name, (const char *)base + field->offset);
        else if (value >= 0 && value < NAMES_MAX && field->names[0] && field->names[value])
            fprintf(file, " %s=%s", field->name, field->names[value]);
        else if (strcmp(field->name, "id") == 0 || strcmp(field->name, "maker") == 0)
            fprintf(file, " %s=%" PRIu64, field->name, (uint64_t)value);
        else
            fprintf(file, " %s=%" PRId64, field->name, value);
    }
}

/* `rest` is cut to pieces. NULL: fine, else the piece that is not understood. */
static const char *fields_read(const struct field *fields, void *base, char *rest, bool *ret_has_hold)
{
    char *saved = NULL;

    for (char *piece = strtok_r(rest, " \t\r\n", &saved); piece; piece = strtok_r(NULL, " \t\r\n", &saved)) {
        const struct field *field = fields;
        char *value = strchr(piece, '=');

        if (!value)
            return piece;
        *value++ = '\0';
        while (field->name && strcmp(field->name, piece) != 0)
            field++;
        if (!field->name || !value_set(base, field, value))
            return piece;
        if (strcmp(piece, "hold") == 0)
            *ret_has_hold = true;
    }
    return NULL;
}

/* ---- Steps ---- */

void step_release(struct step *step)
{
    xfree(step->quotes);
    step->quotes = NULL;
    step->quotes_count = 0;
}

static const struct verb *verb_of(const struct step *step)
{
    const struct verb *verb = verbs;
    while (verb->step != step->kind || verb->kind != (step->kind == STEP_COMMAND ? step->order.command.kind : 0))
        verb++;
    return verb;
}

void step_write(FILE *file, const struct step *step)
{
    const struct verb *verb = verb_of(step);

    fputs(verb->name, file);
    if (step->kind == STEP_EXPECT)
        fprintf(file, " %s", expect_names[step->expectation.kind]);
    fields_write(file, verb->fields, (const char *)step + verb->base);
    fputc('\n', file);
    for (uint32_t i = 0; i < step->quotes_count; i++) {
        fputs("  order", file);
        fields_write(file, order_fields, &step->quotes[i]);
        fputc('\n', file);
    }
}

bool step_hold(const struct engine_market_config *config, const struct step_order *order, int64_t *ret_hold_minor)
{
    const struct engine_command *command = &order->command;
    int64_t lots = command->quantity_lots;

    if (command->side != ENGINE_BUY)
        return !__builtin_mul_overflow(lots, config->lot_minor, ret_hold_minor);
    if (order->more.quote_minor > 0) {
        *ret_hold_minor = order->more.quote_minor;
        return true;
    }
    return !__builtin_mul_overflow(lots, command->price_ticks, ret_hold_minor) &&
           !__builtin_mul_overflow(*ret_hold_minor, config->notional_unit_minor, ret_hold_minor);
}

static enum step_read bad(const struct step_reader *reader, const char *what)
{
    fprintf(stderr, "%s:%u: %s\n", reader->path, reader->line, what);
    return STEP_BAD;
}

/* The next line that says something, in `line`; its verb in *ret_verb, what follows in *ret_rest. */
static bool next_line(struct step_reader *reader, char line[STEP_LINE_MAX], char **ret_verb, char **ret_rest)
{
    while (fgets(line, STEP_LINE_MAX, reader->file)) {
        reader->line++;
        line[strcspn(line, "#")] = '\0';
        *ret_verb = strtok_r(line, " \t\r\n", ret_rest);
        if (*ret_verb)
            return true;
    }
    return false;
}

static bool fill_in_hold(const struct step_reader *reader, struct step_order *order, bool has_hold)
{
    if (has_hold || order->command.market >= reader->markets_count)
        return true;
    return step_hold(&reader->markets[order->command.market], order, &order->command.hold_minor);
}

static enum step_read read_quotes(struct step_reader *reader, struct step *step)
{
    char line[STEP_LINE_MAX], *verb, *rest = NULL;
    uint32_t count = step->quotes_count;

    step->quotes_count = 0;
    if (count > 10 * ENGINE_QUOTES_MAX)
        return bad(reader, "too many orders");
    step->quotes = xcalloc(count + 1, sizeof *step->quotes);
    for (; step->quotes_count < count; step->quotes_count++) {
        struct step_order *order = &step->quotes[step->quotes_count];
        bool has_hold = false;
        if (!next_line(reader, line, &verb, &rest) || strcmp(verb, "order") != 0)
            return bad(reader, "a line `order` was due");
        order->command.kind = ENGINE_PLACE;
        const char *piece = fields_read(order_fields, order, rest, &has_hold);
        if (piece || !fill_in_hold(reader, order, has_hold))
            return bad(reader, piece ? piece : "the hold is out of range");
    }
    return STEP_READ;
}

static void remember_market(struct step_reader *reader, const struct engine_market_config *config)
{
    for (uint16_t i = 0; i < reader->markets_count; i++)
        if (strcmp(reader->markets[i].symbol, config->symbol) == 0)
            return;
    if (reader->markets_count < STEP_MARKETS_MAX)
        reader->markets[reader->markets_count++] = *config;
}

static bool expectation_named(struct expectation *expectation, const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(expect_names); i++)
        if (strcmp(expect_names[i], name) == 0) {
            expectation->kind = (enum expect_kind)i;
            return true;
        }
    return false;
}

enum step_read step_read(struct step_reader *reader, struct step *ret_step)
{
    char line[STEP_LINE_MAX], *name, *rest = NULL;
    const struct verb *verb = verbs, *end = verbs + ARRAY_LEN(verbs);

    *ret_step = (struct step){ .quotes = NULL };
    if (!next_line(reader, line, &name, &rest))
        return STEP_END;
    while (verb < end && strcmp(verb->name, name) != 0)
        verb++;
    if (verb == end)
        return bad(reader, "unknown verb");
    ret_step->kind = verb->step;
    ret_step->order.command.kind = verb->kind;
    if (verb->step == STEP_EXPECT && !expectation_named(&ret_step->expectation, strtok_r(NULL, " \t\r\n", &rest)))
        return bad(reader, "unknown expectation");

    const char *piece = fields_read(verb->fields, (char *)ret_step + verb->base, rest, &ret_step->has_hold);

    if (piece)
        return bad(reader, piece);
    if (verb->step == STEP_MARKET)
        remember_market(reader, &ret_step->config);
    if (verb->kind == ENGINE_MASS_QUOTE)
        return read_quotes(reader, ret_step);
    if (verb->kind == ENGINE_PLACE && !fill_in_hold(reader, &ret_step->order, ret_step->has_hold))
        return bad(reader, "the hold is out of range");
    return STEP_READ;
}

static bool has_more(const struct engine_order_more *more)
{
    return more->stop_price_ticks != 0 || more->quote_minor != 0 || more->display_lots != 0 ||
           more->expires_at_us != 0 || more->maker_fee_ppm != 0 || more->taker_fee_ppm != 0 || more->has_fees;
}

static enum engine_verdict apply_quotes(struct engine *engine, const struct step *step)
{
    struct engine_command orders[10 * ENGINE_QUOTES_MAX];
    struct engine_quotes quotes = { .orders = orders, .count = step->quotes_count, .quote_set = step->quote_set };
    struct engine_command command = step->order.command;

    assert(step->quotes_count <= ARRAY_LEN(orders));
    for (uint32_t i = 0; i < step->quotes_count; i++) {
        orders[i] = step->quotes[i].command;
        orders[i].more = has_more(&step->quotes[i].more) ? &step->quotes[i].more : NULL;
    }
    command.quotes = &quotes;
    return engine_apply(engine, &command);
}

enum engine_verdict step_apply(struct engine *engine, const struct step *step)
{
    struct engine_command command = step->order.command;
    uint16_t market;

    assert(step->kind != STEP_EXPECT);
    if (step->kind == STEP_MARKET)
        return engine_configure(engine, &step->config, &market);
    if (command.kind == ENGINE_MASS_QUOTE)
        return apply_quotes(engine, step);
    if (command.kind == ENGINE_PLACE && has_more(&step->order.more))
        command.more = &step->order.more;
    return engine_apply(engine, &command);
}
