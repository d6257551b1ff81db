/* arena.c -- a list of chunks, newest first; allocation is a pointer's step in the newest. */
#include <event_bus/base.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    ALIGNMENT = 16,
    CHUNK_MIN = 16 * 1024,
    PRINTF_MOST = 512,
    KEEP_MAX = 8 * 1024 * 1024, /* bytes kept by arena_clear(): one huge batch must not stay in memory for ever */
};

struct chunk {
    struct chunk *older;
    size_t size, used; /* bytes of data */
    _Alignas(ALIGNMENT) char data[];
};

struct arena {
    struct chunk *newest;
    size_t total; /* data bytes of all chunks */
};

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

static void free_chunks(struct arena *arena)
{
    for (struct chunk *chunk = arena->newest, *older; chunk; chunk = older) {
        older = chunk->older;
        xfree(chunk);
    }
    arena->newest = NULL;
    arena->total = 0;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    free_chunks(arena);
    xfree(arena);
}

static struct chunk *add_chunk(struct arena *arena, size_t size)
{
    struct chunk *chunk = xmalloc(sizeof *chunk + size);
    chunk->older = arena->newest;
    chunk->size = size;
    chunk->used = 0;
    arena->newest = chunk;
    arena->total += size;
    return chunk;
}

/* What took several chunks gets one of their joint size, so that the next batch of this size is contiguous. */
void arena_clear(struct arena *arena)
{
    size_t keep = arena->total;
    if (keep > KEEP_MAX) {
        free_chunks(arena);
    } else if (arena->newest && arena->newest->older) {
        free_chunks(arena);
        add_chunk(arena, keep);
    } else if (arena->newest) {
        arena->newest->used = 0;
    }
}

void *arena_alloc(struct arena *arena, size_t size)
{
    assert(size <= SIZE_MAX / 2);
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct chunk *chunk = arena->newest;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t want = arena->total > CHUNK_MIN ? arena->total : CHUNK_MIN; /* doubles */
        chunk = add_chunk(arena, size > want ? size : want);
    }
    void *p = chunk->data + chunk->used;
    chunk->used += size;
    return p;
}

char *arena_strdup(struct arena *arena, const char *s)
{
    if (!s)
        return NULL;
    size_t size = strlen(s) + 1;
    return memcpy(arena_alloc(arena, size), s, size);
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    assert(fmt);
    char most[PRINTF_MOST]; /* what does not fit is formatted again */
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(most, sizeof most, fmt, args);
    va_end(args);
    assert(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    if ((size_t)len < sizeof most)
        memcpy(text, most, (size_t)len + 1);
    else
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
