#include "standby.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    PARTITIONS_MAX = 256,
    ASK_EVERY_MS = 100,
    ASK_TIMEOUT_MS = 5000,
    METADATA_TIMEOUT_MS = 5000,
    NOT_KNOWN = -1,
};

struct standby {
    rd_kafka_t *rk;
    rd_kafka_t *asker; /* reads uncommitted: stable offsets cannot be had while the owner's next transaction is open */
    char topic[KAFKA_TOPIC_MAX], group[KAFKA_TOPIC_MAX];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, stop;
    _Atomic int32_t partitions; /* 0: not known yet */
    _Atomic int64_t committed[PARTITIONS_MAX];
};

/* ---- What is committed ---- */

static void note_offsets(struct standby *standby, const rd_kafka_topic_partition_list_t *offsets)
{
    for (int i = 0; i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &offsets->elems[i];

        if (one->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            atomic_store(&standby->committed[one->partition], one->offset >= 0 ? one->offset : 0);
    }
}

/* Not by librdkafka's ListConsumerGroupOffsets: 2.0 aborts the process when that times out without a coordinator. */
static bool ask(struct standby *standby, struct error *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
    rd_kafka_resp_err_t code;

    for (int32_t i = 0; i < atomic_load(&standby->partitions); i++)
        rd_kafka_topic_partition_list_add(list, standby->topic, i);
    code = list->cnt == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_committed(standby->asker, list, ASK_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        note_offsets(standby, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, "committed offsets", e);
}

static bool wait_a_little(struct standby *standby)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += ASK_EVERY_MS * 1000000L;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&standby->lock);
    while (!standby->stop && pthread_cond_timedwait(&standby->changed, &standby->lock, &deadline) != ETIMEDOUT)
        ;
    bool goes_on = !standby->stop;
    pthread_mutex_unlock(&standby->lock);
    return goes_on;
}

static void *standby_main(void *context)
{
    struct standby *standby = context;
    struct error e = { 0 };
    bool told = false;

    do {
        bool fine = ask(standby, &e);

        if (!fine && !told)
            log_error("standby: asking again until it is answered", &e);
        told = !fine;
    } while (wait_a_little(standby));
    return NULL;
}

int64_t standby_committed(const struct standby *standby, int32_t partition)
{
    assert(partition >= 0 && partition < PARTITIONS_MAX);
    return atomic_load(&standby->committed[partition]);
}

/* ---- Partitions ---- */

bool standby_partitions(struct standby *standby, int32_t *ret_count, struct error *e)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(standby->rk, standby->topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(standby->rk, 0, topic, &metadata, METADATA_TIMEOUT_MS);
    int count = 0;

    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topics[0].err;
        count = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(code, standby->topic, e);
    if (count < 1 || count > PARTITIONS_MAX)
        return error_set(e, ERROR_INVALID, "%.120s has %d partitions", standby->topic, count);
    atomic_store(&standby->partitions, count);
    *ret_count = count;
    return true;
}

rd_kafka_queue_t *standby_queue(struct standby *standby, int32_t partition)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(standby->rk, standby->topic, partition);

    rd_kafka_queue_forward(queue, NULL);
    return queue;
}

bool standby_follow(struct standby *standby, int32_t partition, int64_t offset, struct error *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, standby->topic, partition)->offset = offset;

    rd_kafka_error_t *error = rd_kafka_incremental_assign(standby->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    return !error || kafka_error_take(error, "follow", e);
}

void standby_leave(struct standby *standby, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    struct error e = { 0 };

    rd_kafka_topic_partition_list_add(list, standby->topic, partition);

    rd_kafka_error_t *error = rd_kafka_incremental_unassign(standby->rk, list);

    if (error) {
        kafka_error_take(error, "leave", &e);
        log_error("standby", &e);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- Life ---- */

static bool make_handle(
    const struct kafka_options *kafka, const char *group, const char *isolation, rd_kafka_t **ret_rk, struct error *e)
{
    const struct {
        const char *name, *value;
    } settings[] = {
        { "group.id", group }, /* librdkafka wants one; nothing joins it from here */
        { "isolation.level", isolation },
        { "enable.auto.commit", "false" },
        { "enable.auto.offset.store", "false" },
        { "auto.offset.reset", "error" },
        { "fetch.wait.max.ms", "100" },
        { "queued.max.messages.kbytes", "65536" }, /* as the owner's */
        { "fetch.error.backoff.ms", "50" },
    };
    char why[sizeof e->message];
    rd_kafka_conf_t *conf;

    if (!kafka_conf(kafka, &conf, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (!kafka_conf_set(conf, settings[i].name, settings[i].value, e)) {
            rd_kafka_conf_destroy(conf);
            return false;
        }
    *ret_rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (*ret_rk)
        return true;
    rd_kafka_conf_destroy(conf);
    return error_set(e, ERROR_INVALID, "Kafka consumer: %s", why);
}

bool standby_open(const struct kafka_options *kafka, const char *topic, const char *group, struct standby **ret_standby,
    struct error *e)
{
    CLEANUP(standby_free) struct standby *standby = xcalloc(1, sizeof *standby);
    pthread_condattr_t monotonic;

    pthread_mutex_init(&standby->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&standby->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (size_t i = 0; i < PARTITIONS_MAX; i++)
        standby->committed[i] = NOT_KNOWN;
    if (!kafka_topic_name(kafka, topic, standby->topic, e) || !kafka_topic_name(kafka, group, standby->group, e) ||
        !make_handle(kafka, standby->group, "read_committed", &standby->rk, e) ||
        !make_handle(kafka, standby->group, "read_uncommitted", &standby->asker, e))
        return false;
    standby->started = pthread_create(&standby->thread, NULL, standby_main, standby) == 0;
    if (!standby->started)
        return error_set(e, ERROR_TRANSIENT, "no thread: %s", strerror(errno));
    *ret_standby = TAKE(standby);
    return true;
}

static void close_handle(rd_kafka_t *rk)
{
    if (!rk)
        return;
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

void standby_free(struct standby *standby)
{
    if (!standby)
        return;
    pthread_mutex_lock(&standby->lock);
    standby->stop = true;
    pthread_cond_signal(&standby->changed);
    pthread_mutex_unlock(&standby->lock);
    if (standby->started)
        pthread_join(standby->thread, NULL);
    close_handle(standby->asker);
    close_handle(standby->rk);
    pthread_cond_destroy(&standby->changed);
    pthread_mutex_destroy(&standby->lock);
    xfree(standby);
}
