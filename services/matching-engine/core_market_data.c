/* What others see of the book: level-3 changes and the checksum. Outside the hot path: called while events are encoded.
 */
#include "engine_core.h"

enum {
    CHECKSUM_LEVELS = 10,
    INT64_DIGITS_MAX = 20,
    LEVEL_TEXT_MAX = 2 * INT64_DIGITS_MAX + 2,
    SIDE_TEXT_MAX = CHECKSUM_LEVELS * LEVEL_TEXT_MAX,
};

static struct engine_order_change party_change(
    const struct engine_party *party, enum engine_side side, int64_t fill_price_ticks, bool is_auction)
{
    return (struct engine_order_change){
        .order_id = party->order_id,
        .price_ticks = is_auction ? party->limit_ticks : fill_price_ticks,
        .visible_lots = party->visible_lots,
        .side = (uint8_t)side,
        .requeued = party->requeued,
    };
}

static size_t of_fill(const struct engine_fill *fill, struct engine_order_change ret_changes[2])
{
    enum engine_side taker_side = (enum engine_side)fill->record.side;
    enum engine_side maker_side = taker_side == ENGINE_BUY ? ENGINE_SELL : ENGINE_BUY;
    ret_changes[0] = party_change(&fill->maker, maker_side, fill->price_ticks, fill->taker.in_book);
    if (!fill->taker.in_book)
        return 1;
    ret_changes[1] = party_change(&fill->taker, taker_side, fill->price_ticks, true);
    return 2;
}

size_t engine_level3_of(const struct engine_record *record, struct engine_order_change ret_changes[2])
{
    const struct engine_opened *opened = (const void *)record;
    const struct engine_closed *closed = (const void *)record;
    const struct engine_amended *amended = (const void *)record;
    switch ((enum engine_record_kind)record->kind) {
    case ENGINE_RECORD_FILL:
        return of_fill((const void *)record, ret_changes);
    case ENGINE_RECORD_OPENED:
        ret_changes[0] = (struct engine_order_change){ opened->order_id, opened->price_ticks, opened->visible_lots,
            record->side, true };
        return opened->waiting ? 0 : 1;
    case ENGINE_RECORD_CLOSED:
        ret_changes[0] = (struct engine_order_change){ closed->order_id, closed->price_ticks, 0, record->side, false };
        return closed->in_book ? 1 : 0;
    case ENGINE_RECORD_AMENDED:
        ret_changes[0] = (struct engine_order_change){ amended->order_id, amended->price_ticks, amended->visible_lots,
            record->side, false };
        return amended->in_book ? 1 : 0;
    case ENGINE_RECORD_CANCEL_REJECTED:
    case ENGINE_RECORD_TRIGGERED:
    case ENGINE_RECORD_AMEND_REJECTED:
    case ENGINE_RECORD_GROUP:
        break;
    }
    return 0;
}

/* ---- Checksum ---- */

struct text {
    unsigned char bytes[2 * SIDE_TEXT_MAX];
    size_t len;
    unsigned levels; /* of the side at hand */
};

static void put_number(struct text *text, int64_t value, char end)
{
    unsigned char digits[INT64_DIGITS_MAX];
    size_t count = 0;
    do
        digits[count++] = (unsigned char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (count > 0)
        text->bytes[text->len++] = digits[--count];
    text->bytes[text->len++] = (unsigned char)end;
}

static bool put_level(void *context, const struct engine_level_change *level)
{
    struct text *text = context;
    put_number(text, level->price_ticks, ':');
    put_number(text, level->total_lots, '|');
    return ++text->levels < CHECKSUM_LEVELS;
}

/* CRC-32 (IEEE, reflected), four bits at a time. */
static uint32_t crc32_of(const unsigned char *data, size_t len)
{
    static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278,
        0xbdbdf21c };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

uint32_t engine_book_checksum(const struct engine *engine, uint16_t market)
{
    struct text text;
    text.len = 0;
    for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
        text.levels = 0;
        engine_each_level(engine, market, side, put_level, &text);
    }
    return crc32_of(text.bytes, text.len);
}
