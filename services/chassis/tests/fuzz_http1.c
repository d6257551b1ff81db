/* The head of a request is bytes of strangers: whatever they are, the pieces found lie within them. */
#include "../http1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct bytes piece, const uint8_t *data, size_t size)
{
    if (piece.len == 0)
        return;
    const uint8_t *at = piece.data;
    if (at < data || at + piece.len > data + size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http1_head head;
    struct error e = { 0 };
    size_t used = 0;
    char path[256];
    const enum http1_result result = http1_parse((struct bytes){ data, size }, &head, &used, &e);
    if (result == HTTP1_DONE && (used > size || used > HTTP1_HEAD_MAX || e.kind != ERROR_NONE))
        abort();
    if (result == HTTP1_BAD && e.kind == ERROR_NONE)
        abort();
    const struct bytes pieces[] = { head.method, head.path, head.authorization, head.content_type, head.idempotency_key,
        head.traceparent };
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        within(pieces[i], data, size);
    if (result == HTTP1_DONE && http1_decode_path(head.path, path, sizeof path) && strlen(path) >= sizeof path)
        abort();
    return 0;
}
