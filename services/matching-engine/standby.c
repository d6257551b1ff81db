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
    char topic[KAFKA_TOPIC_MAX], group[KAFKA_TOPIC_MAX];
    rd_kafka_queue_t *answers;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, stop;
    _Atomic int64_t committed[PARTITIONS_MAX];
};

/* ---- What is committed. Not the stable offsets: while the owner's next transaction is open, those before it do. ----
 */

static void note_offsets(struct standby *standby, const rd_kafka_topic_partition_list_t *offsets)
{
    for (int32_t i = 0; i < PARTITIONS_MAX; i++)
        if (atomic_load(&standby->committed[i]) == NOT_KNOWN)
            atomic_store(&standby->committed[i], 0);
    for (int i = 0; offsets && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &offsets->elems[i];

        if (strcmp(one->topic, standby->topic) == 0 && one->partition >= 0 && one->partition < PARTITIONS_MAX &&
            one->err == RD_KAFKA_RESP_ERR_NO_ERROR && one->offset >= 0)
            atomic_store(&standby->committed[one->partition], one->offset);
    }
}

static bool take_answer(struct standby *standby, rd_kafka_event_t *event, struct error *e)
{
    const rd_kafka_ListConsumerGroupOffsets_result_t *result = rd_kafka_event_ListConsumerGroupOffsets_result(event);
    size_t count = 0;
    const rd_kafka_group_result_t **groups =
        result ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count) : NULL;

    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR || count != 1)
        return kafka_error(rd_kafka_event_error(event), "committed offsets", e);

    const rd_kafka_error_t *refused = rd_kafka_group_result_error(groups[0]);

    if (refused)
        return kafka_error(rd_kafka_error_code(refused), "committed offsets", e);
    note_offsets(standby, rd_kafka_group_result_partitions(groups[0]));
    return true;
}

static void ask(struct standby *standby)
{
    char why[128];
    struct error e = { 0 };
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(standby->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(standby->group, NULL);

    rd_kafka_AdminOptions_set_request_timeout(options, ASK_TIMEOUT_MS, why, sizeof why);
    rd_kafka_ListConsumerGroupOffsets(standby->rk, &request, 1, options, standby->answers);

    rd_kafka_event_t *event = rd_kafka_queue_poll(standby->answers, ASK_TIMEOUT_MS * 2);

    if (event && !take_answer(standby, event, &e))
        log_error("standby", &e);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
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

    do
        ask(standby);
    while (wait_a_little(standby));
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

static bool make_handle(struct standby *standby, const struct kafka_options *kafka, struct error *e)
{
    const struct {
        const char *name, *value;
    } settings[] = {
        { "group.id", standby->group }, /* librdkafka wants one; nothing joins it from here */
        { "isolation.level", "read_committed" },
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
    standby->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (standby->rk)
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
        !make_handle(standby, kafka, e))
        return false;
    standby->answers = rd_kafka_queue_new(standby->rk);
    standby->started = pthread_create(&standby->thread, NULL, standby_main, standby) == 0;
    if (!standby->started)
        return error_set(e, ERROR_TRANSIENT, "no thread: %s", strerror(errno));
    *ret_standby = TAKE(standby);
    return true;
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
    if (standby->answers)
        rd_kafka_queue_destroy(standby->answers);
    if (standby->rk) {
        rd_kafka_consumer_close(standby->rk);
        rd_kafka_destroy(standby->rk);
    }
    pthread_cond_destroy(&standby->changed);
    pthread_mutex_destroy(&standby->lock);
    xfree(standby);
}
