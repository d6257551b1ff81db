/* base.c -- memory that never fails, clocks, crash points. */
#include <event_bus/base.h>

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CRASH_POINT_NAME_MAX = 64, CRASH_POINTS_MAX = 16 };

static void *or_die(void *p)
{
    if (!p) {
        static const char line[] = "out of memory\n";
        (void)!write(STDERR_FILENO, line, sizeof line - 1);
        abort();
    }
    return p;
}

void *xmalloc(size_t size)
{
    return or_die(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return or_die(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
    return or_die(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *xstrndup(const char *s, size_t len)
{
    return or_die(strndup(s, len));
}

char *xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return or_die(len < 0 ? NULL : text);
}

void xfree(void *p)
{
    free(p);
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    int rc = clock_gettime(clock, &now);
    assert(rc == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* What CRASH_AT asked for, read once. Without it `count` stays 0, and a crash point is one load. */
static struct {
    pthread_once_t once;
    size_t count;
    struct {
        char name[CRASH_POINT_NAME_MAX];
        atomic_long visits_left;
        int signal;
    } points[CRASH_POINTS_MAX];
} crash = { .once = PTHREAD_ONCE_INIT };

static void crash_read_environment(void)
{
    const char *at = getenv("CRASH_AT");
    while (at && *at && crash.count < CRASH_POINTS_MAX) {
        size_t entry_len = strcspn(at, ","), name_len = strcspn(at, ":,");
        if (name_len > 0 && name_len < CRASH_POINT_NAME_MAX) {
            memcpy(crash.points[crash.count].name, at, name_len);
            char *rest = NULL;
            long visit = at[name_len] == ':' ? strtol(at + name_len + 1, &rest, 10) : 1;
            crash.points[crash.count].signal = rest && strncmp(rest, ":stop", 5) == 0 ? SIGSTOP : SIGKILL;
            atomic_store(&crash.points[crash.count++].visits_left, visit);
        }
        at += entry_len + (at[entry_len] == ',');
    }
}

void crash_point(const char *point)
{
    pthread_once(&crash.once, crash_read_environment);
    for (size_t i = 0; i < crash.count; i++) {
        if (strcmp(point, crash.points[i].name) != 0 || atomic_fetch_sub(&crash.points[i].visits_left, 1) != 1)
            continue;
        dprintf(STDERR_FILENO, "crash point %s\n", point);
        kill(getpid(), crash.points[i].signal);
    }
}
