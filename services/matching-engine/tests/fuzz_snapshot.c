/* A snapshot's checksum keeps accidents out, not malice and not our own mistakes: whatever stands behind a right head
 * is refused, or is a state whose invariants hold and that is written as the same bytes again. The input is u8 version,
 * then the body. */
#include "../snapshot_format.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct snapshot_identity identity = { .directory = "", .topic = "t", .cluster_id = "c", .partition = 0 };
static const struct engine_options options = {
    .orders_max = 256, .pages_max = 64, .killed_max = 8, .markets_max = 4, .level3 = true
};

static uint32_t crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static size_t frame(uint8_t *out, uint32_t version, const uint8_t *body, uint64_t size)
{
    uint32_t crc = crc32c(body, size);
    memcpy(out, "PSENGSNP", 8);
    memcpy(out + 8, &version, 4);
    memcpy(out + 12, &crc, 4);
    memcpy(out + 16, &size, 8);
    memcpy(out + SNAPSHOT_HEAD_SIZE, body, size);
    return SNAPSHOT_HEAD_SIZE + size;
}

/* What was read is written and read again. */
static void again(const struct engine *engine, int64_t offset)
{
    struct engine *second = engine_new(&options);
    struct error e = { .kind = ERROR_NONE };
    char *first_data, *second_data;
    size_t first_size, second_size;
    int64_t second_offset;
    snapshot_encode(&identity, engine, offset, &first_data, &first_size);
    if (!snapshot_decode(&identity, (struct bytes){ first_data, first_size }, second, &second_offset, &e))
        abort();
    snapshot_encode(&identity, second, second_offset, &second_data, &second_size);
    if (second_offset != offset || first_size != second_size || memcmp(first_data, second_data, first_size) != 0)
        abort();
    xfree(first_data);
    xfree(second_data);
    engine_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t framed[SNAPSHOT_HEAD_SIZE + BODY_MAX];
    struct error e = { .kind = ERROR_NONE };
    int64_t offset;
    if (size < 1 || size - 1 > BODY_MAX)
        return 0;
    struct engine *engine = engine_new(&options);
    size_t framed_size = frame(framed, data[0] % 4, data + 1, size - 1);
    if (snapshot_decode(&identity, (struct bytes){ framed, framed_size }, engine, &offset, &e)) {
        engine_check(engine);
        again(engine, offset);
    } else if (e.kind == ERROR_NONE) {
        abort();
    }
    engine_free(engine);
    return 0;
}
