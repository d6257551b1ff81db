/* What comes down a replication connection: whatever the bytes are, what the parser returns lies within them. The first
 * byte of an input chooses: bit 0 in a stream, bit 1 a frame. Corpus: pgoutput_corpus/. */
#include "../pgoutput.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes all;

static void within(struct bytes piece)
{
    const char *from = all.data, *at = piece.data;

    if (piece.data && (at < from || piece.len > all.len || (size_t)(at - from) > all.len - piece.len))
        abort();
    if (!piece.data && piece.len > 0)
        abort();
}

static void check_message(bool in_stream)
{
    static struct pgoutput_message message;
    struct error e = { 0 };

    if (!pgoutput_parse(all, in_stream, &message, &e)) {
        if (e.kind != ERROR_INVALID)
            abort();
        return;
    }
    if (message.kind == PGOUTPUT_RELATION) {
        within(message.schema);
        within(message.name);
        for (size_t i = 0; i < message.count; i++)
            within(message.columns[i].name);
    }
    if (message.kind == PGOUTPUT_INSERT)
        for (size_t i = 0; i < message.count; i++)
            within(message.values[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgoutput_frame frame;
    struct error e = { 0 };

    if (size == 0)
        return 0;
    all = (struct bytes){ data + 1, size - 1 };
    if (!(data[0] & 2))
        check_message(data[0] & 1);
    else if (pgoutput_read_frame(all, &frame, &e))
        within(frame.data);
    return 0;
}
