/* The shared library through its header alone: reports and book after each message. */
#include "penstock_engine.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1 << 16, MANY = 300 };

struct told {
    char text[TEXT_MAX];
    size_t len;
    uint64_t seq;
};

__attribute__((format(printf, 2, 3))) static void tell(struct told *told, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    told->len += (size_t)vsnprintf(told->text + told->len, TEXT_MAX - told->len, fmt, args);
    va_end(args);
    cr_assert(told->len < TEXT_MAX);
}

static void on_reports(void *context, const struct pe_report *reports, size_t count)
{
    static const char *const names[] = { "", "accepted", "fill", "closed", "cancel-rejected", "triggered", "modified",
        "modify-rejected", "level", "end" };
    struct told *told = context;
    for (size_t i = 0; i < count; i++) {
        const struct pe_report *r = &reports[i];
        cr_assert(r->seq >= told->seq, "sequences grow");
        told->seq = r->seq;
        tell(told, "%s%s", told->len > 0 ? " " : "", names[r->kind]);
        if (r->kind == PE_FILL)
            tell(told, ":%lu/%lu:%ld@%ld", r->order_id, r->other_id, r->quantity_lots, r->price_ticks);
        else if (r->kind == PE_LEVEL)
            tell(told, ":%c%ld=%ld", r->side == PE_BUY ? 'b' : 'a', r->price_ticks, r->quantity_lots);
        else if (r->kind != PE_MESSAGE_END)
            tell(told, ":%lu:%ld:%d", r->order_id, r->left_lots, r->reason);
    }
}

static struct pe_engine *engine_with(struct told *told)
{
    struct pe_engine *engine = pe_init(&(struct pe_options){
        .size = sizeof(struct pe_options), .orders_max = 1000, .report = on_reports, .context = told });
    cr_assert(engine);
    return engine;
}

static struct pe_order limit(uint64_t order_id, enum pe_side side, int64_t lots, int64_t price_ticks)
{
    return (struct pe_order){ .order_id = order_id,
        .side = (uint8_t)side,
        .type = PE_LIMIT,
        .time_in_force = PE_GTC,
        .price_ticks = price_ticks,
        .quantity_lots = lots };
}

static void expect(struct pe_engine *engine, struct told *told, const char *text)
{
    pe_flush(engine);
    cr_assert_str_eq(told->text, text, "reported %s\n awaited %s", told->text, text);
    told->len = 0;
    told->text[0] = '\0';
}

static void place(struct pe_engine *engine, struct told *told, const struct pe_order *order, const char *text)
{
    cr_assert(pe_new(engine, order) == PE_OK);
    expect(engine, told, text);
}

Test(engine_library, reports_what_each_message_does)
{
    static struct told told;
    struct pe_engine *engine = engine_with(&told);
    struct pe_order order = limit(1, PE_SELL, 5, 100);
    place(engine, &told, &order, "accepted:1:5:0 level:a100=5 end");
    cr_assert(pe_new(engine, &order) == PE_DUPLICATE);
    expect(engine, &told, "");
    order = limit(2, PE_BUY, 2, 101);
    place(engine, &told, &order, "fill:2/1:2@100 level:a100=3 end");
    static const struct {
        uint64_t order_id, user_id;
        int64_t price_ticks, lots; /* 0: cancel */
        const char *text;
    } changes[] = { { 1, 0, 100, 4, "modified:1:2:0 level:a100=2 end" },
        { 1, 0, 99, 9, "modified:1:7:0 accepted:1:7:0 level:a100=0 level:a99=7 end" },
        { 7, 0, 99, 9, "modify-rejected:7:0:1 end" }, { 1, 8, 0, 0, "cancel-rejected:1:0:1" },
        { 1, 0, 0, 0, "closed:1:7:1 level:a99=0 end" }, { 1, 0, 0, 0, "cancel-rejected:1:0:0" } };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        enum pe_result result = changes[i].lots == 0 ? pe_cancel(engine, changes[i].order_id, changes[i].user_id)
                                                     : pe_modify(engine, changes[i].order_id, changes[i].user_id,
                                                           changes[i].price_ticks, changes[i].lots);
        cr_assert(result == PE_OK);
        expect(engine, &told, changes[i].text);
    }
    pe_free(engine);
}

Test(engine_library, honours_every_kind_of_order_or_refuses_it)
{
    static struct told told;
    struct pe_engine *engine = engine_with(&told);
    struct pe_order order = limit(1, PE_SELL, 5, 100);
    order.display_lots = 2;
    place(engine, &told, &order, "accepted:1:5:0 level:a100=2 end");
    order = limit(2, PE_BUY, 6, 100);
    order.time_in_force = PE_FOK;
    place(engine, &told, &order, "closed:2:6:4 end");
    order = limit(3, PE_BUY, 1, 100);
    order.post_only = PE_POST_OR_REJECT;
    place(engine, &told, &order, "closed:3:1:5 end");
    order = limit(4, PE_BUY, 1, 110);
    order.type = PE_STOP;
    order.time_in_force = PE_IOC;
    order.stop_price_ticks = 100;
    place(engine, &told, &order, "accepted:4:1:0");
    order = limit(5, PE_BUY, 1, 100);
    order.type = PE_MARKET;
    order.time_in_force = PE_IOC;
    place(engine, &told, &order, "fill:5/1:1@100 triggered:4:0:0 fill:4/1:1@100 level:a100=2 end");
    order.order_id = 6;
    order.time_in_force = PE_GTC;
    place(engine, &told, &order, "closed:6:1:9 end");
    pe_free(engine);
}

Test(engine_library, gives_best_prices_and_depth)
{
    struct pe_level level;
    struct pe_engine *engine = pe_init(&(struct pe_options){ .size = sizeof(struct pe_options), .orders_max = 10 });
    cr_assert(engine && !pe_best(engine, PE_BUY, &level) && pe_depth_at(engine, PE_BUY, 90) == 0);
    struct pe_order orders[] = { limit(1, PE_BUY, 2, 90), limit(2, PE_BUY, 3, 90), limit(3, PE_BUY, 9, 80),
        limit(4, PE_SELL, 4, 95) };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        cr_assert(pe_new(engine, &orders[i]) == PE_OK);
    cr_assert(pe_best(engine, PE_BUY, &level));
    cr_assert(level.price_ticks == 90 && level.quantity_lots == 5 && level.orders == 2);
    cr_assert(pe_best(engine, PE_SELL, &level) && level.price_ticks == 95 && level.quantity_lots == 4);
    cr_assert(pe_depth_at(engine, PE_BUY, 80) == 9 && pe_depth_at(engine, PE_SELL, 80) == 0);
    pe_free(engine);
}

static void random_messages(struct pe_message messages[MANY])
{
    static const uint8_t kinds[] = { PE_NEW, PE_NEW, PE_NEW, PE_NEW, PE_NEW, PE_CANCEL, PE_MODIFY, PE_MODIFY };
    uint64_t random = 1;
    for (size_t i = 0; i < MANY; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned dice = (unsigned)(random >> 33);
        uint8_t kind = kinds[dice % 8];
        messages[i] = (struct pe_message){ .kind = kind };
        messages[i].order = limit(kind == PE_NEW ? i + 1 : 1 + (dice >> 3) % (i + 1), dice >> 12 & 1 ? PE_BUY : PE_SELL,
            1 + (dice >> 13) % 7, 95 + (dice >> 17) % 10);
    }
    messages[77].order.price_ticks = 0;
    messages[77].kind = PE_NEW;
    messages[99].kind = 9;
}

static enum pe_result send_one(struct pe_engine *engine, const struct pe_message *message)
{
    const struct pe_order *order = &message->order;
    switch ((enum pe_message_kind)message->kind) {
    case PE_NEW:
        return pe_new(engine, order);
    case PE_CANCEL:
        return pe_cancel(engine, order->order_id, 0);
    case PE_MODIFY:
        return pe_modify(engine, order->order_id, 0, order->price_ticks, order->quantity_lots);
    }
    return PE_BAD_MESSAGE;
}

Test(engine_library, gives_the_same_reports_for_a_batch_as_for_its_messages_one_by_one)
{
    static struct told one, many;
    struct pe_engine *a = engine_with(&one), *b = engine_with(&many);
    struct pe_message messages[MANY];
    enum pe_result results[MANY];
    size_t fine = 0;
    random_messages(messages);
    size_t count = pe_batch(b, messages, MANY, results);
    for (size_t i = 0; i < MANY; i++) {
        enum pe_result result = send_one(a, &messages[i]);
        cr_assert(result == results[i], "message %zu", i);
        fine += result == PE_OK;
    }
    pe_flush(a);
    pe_flush(b);
    cr_assert(results[77] == PE_BAD_MESSAGE && results[99] == PE_BAD_MESSAGE && count == fine && fine < MANY);
    cr_assert(strstr(one.text, "fill:") && strstr(one.text, "modified:") && strstr(one.text, "closed:"));
    cr_assert_str_eq(one.text, many.text);
    pe_free(a);
    pe_free(b);
}

Test(engine_library, refuses_options_and_messages_that_mean_nothing)
{
    struct pe_options options = { .size = sizeof options, .orders_max = 10 };
    struct pe_options bad[] = { options, options, options };
    bad[0].size = 8;
    bad[1].orders_max = 0;
    bad[2].orders_max = UINT32_MAX;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(!pe_init(&bad[i]), "case %zu", i);
    cr_assert(!pe_init(NULL));
    pe_free(NULL);
    struct pe_engine *engine = pe_init(&options);
    struct pe_order orders[] = { limit(1, PE_BUY, INT64_MAX, 2), limit(0, PE_BUY, 1, 1), limit(1, PE_BUY, 1, 1),
        limit(1, PE_BUY, 0, 1), limit(1, PE_BUY, 1, -1) };
    orders[2].side = 3;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        cr_assert(pe_new(engine, &orders[i]) == PE_BAD_MESSAGE, "case %zu", i);
    cr_assert(pe_modify(engine, 1, 0, 0, 1) == PE_BAD_MESSAGE);
    cr_assert(pe_cancel(engine, 0, 0) == PE_BAD_MESSAGE);
    pe_free(engine);
}
