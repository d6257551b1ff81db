/* repeats.h -- for logs: a line that comes again is counted, not repeated. Lines that differ only in numbers are the
 * same; the numbers of an address (127.0.0.1:9092/1) are part of it.
 *
 * A line is told when it comes first, then with its count after a minute, two, four … and each hour; one that was not
 * seen for five minutes is new again. So an hour's trouble is six lines, whatever its rate. */
#pragma once

#include "base.h"

#include <pthread.h>

enum { REPEATS_MAX = 64 }; /* lines known at a time; of more, the one unseen for longest is forgotten */

/* Static or zeroed but for the lock: REPEATS_INIT. */
struct repeats {
    pthread_mutex_t lock;
    struct {
        uint64_t hash; /* 0: free */
        uint64_t untold;
        int64_t told_us, seen_us, pause_us;
    } lines[REPEATS_MAX];
};
#define REPEATS_INIT                                                                                                   \
    {                                                                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                                              \
    }

/* Is the line to be told? If so, *ret_untold is how often it came since it was told last. Any thread. now_us:
 * monotonic. */
EB_API MUST_CHECK bool repeats_tell(struct repeats *repeats, const char *line, int64_t now_us, uint64_t *ret_untold);
