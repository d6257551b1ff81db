#include "shard_private.h"

#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- Queries ---- */

static bool answers(const struct shard *shard)
{
    return shard->role == SHARD_OWNER || (shard->role == SHARD_FOLLOWER && shard->status.warm);
}

static void answer(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    struct question *question = &shard->question;

    if (question->ask && !question->answered && shard->next_offset >= shard->committed_offset) {
        question->taken = true;
        pthread_mutex_unlock(&shard->lock);

        bool result = question->ask(shard->engine, question->context, question->error);

        pthread_mutex_lock(&shard->lock);
        question->result = result;
        question->answered = true;
        pthread_cond_broadcast(&shard->changed);
    }
    pthread_mutex_unlock(&shard->lock);
}

/* Waits under the lock; false after the deadline. */
static bool wait_changed(struct shard *shard, const struct timespec *deadline)
{
    return pthread_cond_timedwait(&shard->changed, &shard->lock, deadline) != ETIMEDOUT;
}

static struct timespec deadline_in(uint32_t timeout_ms)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

static void wake(struct shard *shard)
{
    rd_kafka_queue_yield(shard->queue);
    if (shard->standby_queue)
        rd_kafka_queue_yield(shard->standby_queue);
}

bool shard_query(struct shard *shard, shard_question ask, void *context, uint32_t timeout_ms, struct error *e)
{
    struct timespec deadline = deadline_in(timeout_ms);
    bool in_time = true, asked = false, result = false, answered = false;

    pthread_mutex_lock(&shard->lock);
    while (shard->question.ask && answers(shard) && in_time)
        in_time = wait_changed(shard, &deadline);
    if (!shard->question.ask && answers(shard)) {
        shard->question = (struct question){ .ask = ask, .context = context, .error = e };
        asked = true;
        wake(shard);
    }
    /* Once taken, the answer is waited for: it writes to the caller's memory. */
    while (asked && !shard->question.answered && (shard->question.taken || (in_time && answers(shard))))
        in_time = wait_changed(shard, &deadline);
    if (asked) {
        answered = shard->question.answered;
        result = shard->question.result;
        shard->question = (struct question){ 0 };
        pthread_cond_broadcast(&shard->changed);
    }
    pthread_mutex_unlock(&shard->lock);
    return answered ? result : error_set(e, ERROR_TRANSIENT, "partition %d is busy or catching up", shard->partition);
}

/* ---- The thread ---- */

static void show_status(struct shard *shard)
{
    char label[32];

    pthread_mutex_lock(&shard->lock);
    struct shard_status *status = &shard->status;

    status->role = shard->role;
    status->warm = shard->warm;
    status->next_offset = shard->next_offset;
    status->committed_offset = shard->committed_offset;
    status->orders = shard->engine ? engine_orders_count(shard->engine) : 0;
    status->snapshot_age_us = shard->snapshot_at_us ? monotonic_us() - shard->snapshot_at_us : 0;

    bool owns = shard->role == SHARD_OWNER;
    int64_t age_us = status->snapshot_age_us;

    pthread_mutex_unlock(&shard->lock);
    snprintf(label, sizeof label, "partition=\"%d\"", shard->partition);
    metric_set(metric_gauge("engine_owner", label, "1: this process owns the partition; 0: it follows"), owns ? 1 : 0);
    if (age_us > 0)
        metric_set(metric_gauge("engine_snapshot_age_seconds", label, "Since the last snapshot that was written here"),
            (double)age_us / 1e6);
}

void shard_come_round(struct shard *shard)
{
    atomic_store_explicit(&shard->progress_us, monotonic_us(), memory_order_relaxed);
    show_status(shard);
    answer(shard);
}

void shard_set_role(struct shard *shard, enum shard_role role, const struct error *e)
{
    pthread_mutex_lock(&shard->lock);
    shard->role = role;
    shard->start_offset = shard->next_offset;
    if (e)
        shard->error = *e;
    pthread_cond_broadcast(&shard->changed);
    pthread_mutex_unlock(&shard->lock);
}

bool shard_is_to_own(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    bool own = shard->own;
    pthread_mutex_unlock(&shard->lock);
    return own;
}

/* One role after the other. A batch that was left because the role or the process ended is no failure. */
static bool live(struct shard *shard, struct error *e)
{
    while (!atomic_load(&shard->stop)) {
        bool owns = shard_is_to_own(shard);
        bool fine = owns ? shard_run_owner(shard, e) : shard_run_follower(shard, e);

        if (!fine && !(owns && e->kind == ERROR_TRANSIENT && atomic_load(&shard->leave)))
            return false;
        *e = (struct error){ 0 };
        if (owns)
            shard_set_role(shard, SHARD_PREPARING, NULL);
    }
    return true;
}

static void *shard_main(void *context)
{
    struct shard *shard = context;
    struct error e = { 0 };
    bool ended_well = live(shard, &e);

    shard_set_role(shard, SHARD_ENDED, &e);
    if (!ended_well)
        shard->options.failed(shard->options.context, &e);
    return NULL;
}

/* Cut off from the consumers' common queues before the partition is assigned: no message can go there. */
static void make_queues(struct shard *shard)
{
    shard->queue = rd_kafka_queue_get_partition(shard->options.consumer, shard->topic, shard->partition);
    rd_kafka_queue_forward(shard->queue, NULL);
    if (shard->options.standby)
        shard->standby_queue = standby_queue(shard->options.standby, shard->partition);
}

bool shard_start(const struct shard_options *options, int32_t partition, struct shard **ret_shard, struct error *e)
{
    struct shard *shard = xcalloc(1, sizeof *shard);
    pthread_condattr_t monotonic;

    shard->options = *options;
    shard->partition = partition;
    shard->own = options->standby == NULL;
    shard->outputs = outputs_new();
    shard->scratch = arena_new();
    shard->progress_us = monotonic_us();
    pthread_mutex_init(&shard->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&shard->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    bool started = kafka_topic_name(options->kafka, options->topic, shard->topic, e);

    if (started) {
        make_queues(shard);
        started = pthread_create(&shard->thread, NULL, shard_main, shard) == 0 ||
                  error_set(e, ERROR_TRANSIENT, "no thread: %s", strerror(errno));
    }
    if (!started) {
        shard->role = SHARD_ENDED;
        shard->thread = 0;
        shard_free(shard);
        return false;
    }
    *ret_shard = shard;
    return true;
}

void shard_own(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    if (!shard->own) {
        shard->own = true;
        shard->role = shard->role == SHARD_ENDED ? SHARD_ENDED : SHARD_PREPARING;
        atomic_store(&shard->leave, atomic_load(&shard->stop));
        rd_kafka_queue_forward(shard->queue, NULL);
        pthread_cond_broadcast(&shard->changed);
    }
    pthread_mutex_unlock(&shard->lock);
    wake(shard);
}

bool shard_wait_ready(struct shard *shard, int64_t *ret_start_offset, struct error *e)
{
    pthread_mutex_lock(&shard->lock);
    while (shard->role != SHARD_OWNER && shard->role != SHARD_ENDED)
        pthread_cond_wait(&shard->changed, &shard->lock);

    bool ready = shard->role == SHARD_OWNER;

    *ret_start_offset = shard->start_offset;
    if (!ready)
        *e = shard->error;
    pthread_mutex_unlock(&shard->lock);
    return ready;
}

void shard_yield(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    shard->own = false;
    atomic_store(&shard->leave, true);
    pthread_mutex_unlock(&shard->lock);
    wake(shard);
}

void shard_wait_yielded(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    while (shard->role == SHARD_OWNER)
        pthread_cond_wait(&shard->changed, &shard->lock);
    pthread_mutex_unlock(&shard->lock);
}

void shard_stop(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    atomic_store(&shard->stop, true);
    atomic_store(&shard->leave, true);
    pthread_cond_broadcast(&shard->changed);
    pthread_mutex_unlock(&shard->lock);
    wake(shard);
}

void shard_join(struct shard *shard)
{
    if (shard->thread != 0)
        pthread_join(shard->thread, NULL);
    shard->thread = 0;
}

void shard_free(struct shard *shard)
{
    if (!shard)
        return;
    if (shard->thread != 0) {
        shard_stop(shard);
        shard_join(shard);
    }
    if (shard->queue)
        rd_kafka_queue_destroy(shard->queue);
    if (shard->standby_queue)
        rd_kafka_queue_destroy(shard->standby_queue);
    engine_free(shard->engine);
    outputs_free(shard->outputs);
    arena_free(shard->scratch);
    pthread_cond_destroy(&shard->changed);
    pthread_mutex_destroy(&shard->lock);
    xfree(shard);
}

int32_t shard_partition(const struct shard *shard)
{
    return shard->partition;
}

void shard_get_status(struct shard *shard, struct shard_status *ret_status)
{
    pthread_mutex_lock(&shard->lock);
    *ret_status = shard->status;
    ret_status->role = shard->role;
    pthread_mutex_unlock(&shard->lock);
}

int64_t shard_silence_us(const struct shard *shard)
{
    return monotonic_us() - atomic_load_explicit(&shard->progress_us, memory_order_relaxed);
}
