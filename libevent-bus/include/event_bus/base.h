/* base.h -- the few macros and types everything else is written with. No state, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define EB_API            __attribute__((visibility("default")))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Ownership: a variable marked CLEANUP(type_free) is released at the end of its scope; TAKE(var) hands the value on and
 * leaves NULL behind. DEFINE_CLEANUP(struct pg *, pg_free) stands beside each destructor's declaration. */
#define DEFINE_CLEANUP(type, func)                                                                                     \
    static inline void func##_cleanup(type *p)                                                                         \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            func(*p);                                                                                                  \
    }
#define CLEANUP(func) __attribute__((cleanup(func##_cleanup)))
#define TAKE(var)                                                                                                      \
    ({                                                                                                                 \
        __typeof__(var) taken_ = (var);                                                                                \
        (var) = NULL;                                                                                                  \
        taken_;                                                                                                        \
    })

/* Borrowed bytes: never NULL-terminated, never owned. */
struct bytes {
    const void *data;
    size_t len;
};

/* Memory. Running out of it ends the process: every process here may be killed at any time and loses nothing. */
EB_API void *xmalloc(size_t size);
EB_API void *xcalloc(size_t count, size_t size);
EB_API void *xrealloc(void *p, size_t size);
EB_API char *xstrdup(const char *s);
EB_API char *xstrndup(const char *s, size_t len);
EB_API char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
EB_API void xfree(void *p);
DEFINE_CLEANUP(char *, xfree)

/* Arena: many small allocations that live as long as one batch. arena_clear() keeps the memory for the next batch. */
struct arena;
EB_API struct arena *arena_new(void);
EB_API void arena_free(struct arena *arena); /* NULL is fine */
EB_API void arena_clear(struct arena *arena);
EB_API void *arena_alloc(struct arena *arena, size_t size);    /* 16-byte aligned, not zeroed; never NULL */
EB_API char *arena_strdup(struct arena *arena, const char *s); /* NULL gives NULL */
EB_API char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF(2, 3);
DEFINE_CLEANUP(struct arena *, arena_free)

/* Microseconds: since 1970-01-01 UTC, and on a clock that never goes back. */
EB_API int64_t now_us(void);
EB_API int64_t monotonic_us(void);

/* Ends the process with SIGKILL, after one line on stderr, when the environment's CRASH_AT names this point; otherwise
 * costs a comparison. CRASH_AT is a comma-separated list, each of <point> or <point>:<n> for its n-th visit; whichever
 * is reached first ends the process. <point>:<n>:stop pauses it instead (SIGSTOP): what comes after a SIGCONT must then
 * be refused. The crash tests visit each named point. */
EB_API void crash_point(const char *point);
