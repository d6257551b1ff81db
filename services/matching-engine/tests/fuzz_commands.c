/* The command log is written by the ledger alone, but its bytes come over a wire: whatever they are, a command is
 * refused or carried out, and the engine's invariants hold. The input is any number of commands, each: u8 which kind,
 * u8 length, value. */
#include "../commands.h"

#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine *engine_with_market(void)
{
    struct engine *engine = engine_new(&(struct engine_options){
        .orders_max = 256, .pages_max = 64, .killed_max = 8, .markets_max = 2, .level3 = true });
    struct engine_market_config config = { .symbol = "A",
        .market_id = 1,
        .base_asset_id = 2,
        .quote_asset_id = 1,
        .lot_minor = 1,
        .notional_unit_minor = 1,
        .maker_fee_ppm = 1000,
        .taker_fee_ppm = 2000,
        .status = ENGINE_OPEN };
    uint16_t market;
    if (!engine || engine_configure(engine, &config, &market) != ENGINE_OK)
        abort();
    return engine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *const kinds[] = { &penstock__orders__v1__order_accepted__descriptor,
        &penstock__orders__v1__cancel_accepted__descriptor, &penstock__orders__v1__amend_accepted__descriptor,
        &penstock__orders__v1__cancel_all_accepted__descriptor, &penstock__orders__v1__mass_quote_accepted__descriptor,
        &penstock__orders__v1__kill_switch_set__descriptor, &penstock__orders__v1__time_ticked__descriptor,
        &penstock__markets__v1__market_configured__descriptor,
        &penstock__markets__v1__reference_price_set__descriptor };
    struct engine *engine = engine_with_market();
    struct arena *scratch = arena_new();

    while (size >= 2) {
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        struct event event = { .topic = "orders.accepted.v1",
            .key = { "A", 1 },
            .id = "1",
            .source = "fuzz",
            .type = kinds[data[0] % ARRAY_LEN(kinds)]->name,
            .subject = "",
            .traceparent = "",
            .value = { data + 2, len } };
        struct error e = { .kind = ERROR_NONE };
        if (!commands_apply(engine, scratch, &event, &e) && e.kind != ERROR_INVALID && e.kind != ERROR_REFUSED)
            abort();
        data += 2 + len;
        size -= 2 + len;
    }
    engine_flush(engine);
    engine_check(engine);
    arena_free(scratch);
    engine_free(engine);
    return 0;
}
