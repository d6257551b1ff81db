#include "heap.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef HAVE_JEMALLOC

#include <assert.h>
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <sys/mman.h>

/* Read by jemalloc when it starts. What is free stays for ten seconds: librdkafka takes and gives back some hundred
 * megabytes a second, and what the kernel gives has to be cleared first. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:4,dirty_decay_ms:10000,muzzy_decay_ms:0";

enum { ARENA_NAME_MAX = 64 };

/* jemalloc's own hooks, and ours: the same but for `alloc`. */
static const extent_hooks_t *inherited;
static extent_hooks_t kept;

static void *alloc_kept(
    extent_hooks_t *hooks, void *address, size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    void *memory = inherited->alloc(hooks, address, size, alignment, zero, commit, arena);

    if (memory)
        madvise(memory, size, MADV_DONTFORK);
    return memory;
}

void heap_keep_from_children(void)
{
    extent_hooks_t *hooks = &kept, *before;
    unsigned arenas;
    size_t size = sizeof arenas, hooks_size = sizeof before;
    char name[ARENA_NAME_MAX];

    if (mallctl("opt.narenas", &arenas, &size, NULL, 0) != 0 ||
        mallctl("arena.0.extent_hooks", &before, &hooks_size, NULL, 0) != 0)
        return;
    inherited = before;
    kept = *before;
    kept.alloc = alloc_kept;
    for (unsigned i = 0; i < arenas; i++) {
        snprintf(name, sizeof name, "arena.%u.extent_hooks", i);
        mallctl(name, NULL, NULL, &hooks, sizeof hooks);
    }
}

#else

void heap_keep_from_children(void)
{
}

#endif
