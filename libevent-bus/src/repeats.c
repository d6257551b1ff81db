#include <event_bus/repeats.h>

#include <ctype.h>

enum { PAUSE_MIN_S = 60, PAUSE_MAX_S = 3600, FORGET_S = 300 };
static const int64_t second_us = 1000000;
static const uint64_t fnv_start = 14695981039346656037u, fnv_factor = 1099511628211u;

/* Of the line without its numbers, but for those of addresses: behind '.', ':' or '/'. Never 0. */
static uint64_t hash_of(const char *line)
{
    uint64_t hash = fnv_start;
    bool address = false;

    for (const char *at = line; *at; at++) {
        bool digit = isdigit((unsigned char)*at);

        if (!digit)
            address = *at == '.' || *at == ':' || *at == '/';
        if (!digit || address)
            hash = (hash ^ (unsigned char)*at) * fnv_factor;
    }
    return hash ? hash : 1;
}

/* The line's place, or the one it takes: a free one, or that of the line unseen for longest. */
static size_t find(const struct repeats *repeats, uint64_t hash)
{
    size_t oldest = 0;

    for (size_t i = 0; i < REPEATS_MAX; i++) {
        if (repeats->lines[i].hash == hash || repeats->lines[i].hash == 0)
            return i;
        if (repeats->lines[i].seen_us < repeats->lines[oldest].seen_us)
            oldest = i;
    }
    return oldest;
}

bool repeats_tell(struct repeats *repeats, const char *line, int64_t now_us, uint64_t *ret_untold)
{
    uint64_t hash = hash_of(line);

    pthread_mutex_lock(&repeats->lock);
    size_t i = find(repeats, hash);
    bool known = repeats->lines[i].hash == hash && now_us - repeats->lines[i].seen_us < FORGET_S * second_us;
    bool tell = !known || now_us - repeats->lines[i].told_us >= repeats->lines[i].pause_us;
    if (tell) {
        int64_t pause_us = known ? repeats->lines[i].pause_us * 2 : PAUSE_MIN_S * second_us;

        *ret_untold = known ? repeats->lines[i].untold : 0;
        repeats->lines[i].hash = hash;
        repeats->lines[i].untold = 0;
        repeats->lines[i].told_us = now_us;
        repeats->lines[i].pause_us = pause_us < PAUSE_MAX_S * second_us ? pause_us : PAUSE_MAX_S * second_us;
    } else {
        repeats->lines[i].untold++;
    }
    repeats->lines[i].seen_us = now_us;
    pthread_mutex_unlock(&repeats->lock);
    return tell;
}
