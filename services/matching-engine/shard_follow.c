#include "shard_private.h"

#include "log.h"
#include "metrics.h"

#include <stdio.h>
#include <time.h>

enum {
    FETCH_WAIT_MS = 50,
    LOOK_AGAIN_MS = 20, /* for what is committed next, while messages are waiting for it */
};

/* Waits for a change of role, or a little. */
static void wait_a_little(struct shard *shard)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += LOOK_AGAIN_MS * 1000000L;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&shard->lock);
    if (!shard->own && !atomic_load(&shard->stop))
        pthread_cond_timedwait(&shard->changed, &shard->lock, &deadline);
    pthread_mutex_unlock(&shard->lock);
}

static bool goes_on(struct shard *shard)
{
    shard_come_round(shard);
    return !atomic_load(&shard->stop) && !shard_is_to_own(shard);
}

/* The state to begin with: the one at hand, or the newest snapshot. Until then it does not follow. */
static bool begin(struct shard *shard, struct error *e)
{
    int64_t committed;

    while ((committed = standby_committed(shard->options.standby, shard->partition)) < 0) {
        if (!goes_on(shard))
            return true;
        wait_a_little(shard);
    }
    return shard->engine || shard_load(shard, committed, e);
}

static void show_lag(struct shard *shard)
{
    char label[32];

    snprintf(label, sizeof label, "partition=\"%d\"", shard->partition);
    metric_set(metric_gauge("engine_standby_lag", label, "Offsets committed by the owner, not yet applied here"),
        (double)(shard->committed_offset - shard->next_offset));
}

/* Applies what is committed; what is fetched beyond waits. */
static bool follow_once(struct shard *shard, struct error *e)
{
    int64_t committed = standby_committed(shard->options.standby, shard->partition);
    size_t live;

    /* It does not go back, but for a log made anew: then the owner says so at the next takeover. */
    shard->committed_offset = committed > shard->committed_offset ? committed : shard->committed_offset;
    shard_fetch(shard, shard->standby_queue, FETCH_WAIT_MS);
    if (!shard_apply(shard, shard->committed_offset, &live, e))
        return false;
    shard->warm = shard->next_offset >= shard->committed_offset;
    show_lag(shard);
    if (shard->messages_done < shard->messages_count)
        wait_a_little(shard);
    return true;
}

bool shard_run_follower(struct shard *shard, struct error *e)
{
    if (!begin(shard, e))
        return false;
    if (!shard->engine)
        return true;
    if (shard->next_offset > shard->committed_offset)
        shard->committed_offset = shard->next_offset;
    rd_kafka_queue_forward(shard->standby_queue, NULL);
    if (!standby_follow(shard->options.standby, shard->partition, shard->next_offset, e))
        return false;
    shard_set_role(shard, SHARD_FOLLOWER, NULL);

    bool fine = true;

    while (fine && goes_on(shard))
        fine = follow_once(shard, e);
    shard->warm = false;
    standby_leave(shard->options.standby, shard->partition);
    shard_drop_messages(shard);
    return fine;
}
