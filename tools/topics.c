/* penstock-topics -- makes Kafka's topics what schemas/asyncapi.yaml declares.
 *
 * Without an option: creates what is missing, brings the configuration of what exists in line, waits until every
 * partition has a leader. --check changes nothing and reports each difference; --delete removes the declared topics.
 * The number of partitions of a topic never changes: another number is a difference that is only reported. Exit status:
 * 0 as declared, 1 different or failed, 2 wrong use. */
#include "topics_file.h"

#include <event_bus/kafka.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    METADATA_TIMEOUT_MS = 10000,
    REQUEST_TIMEOUT_MS = 30000,
    LEADERS_TIMEOUT_MS = 30000,
    LEADERS_PAUSE_US = 50000,
    LINE_MAX_BYTES = 512
};

enum action { ACTION_APPLY, ACTION_CHECK, ACTION_DELETE };

struct tool {
    enum action action;
    bool quiet;
    int replicas; /* instead of the file's; 0: the file's */
    struct kafka_options kafka;
    struct topic_list topics;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    size_t differences;
};

static int replicas_of(const struct tool *tool, const struct topic *topic)
{
    return tool->replicas ? tool->replicas : topic->replicas;
}

static void say(const struct tool *tool, const char *what, const char *name)
{
    if (!tool->quiet)
        printf("%s %s\n", what, name);
}

static void differs(struct tool *tool, const char *fmt, ...) PRINTF(2, 3);
static void differs(struct tool *tool, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stdout, fmt, args);
    va_end(args);
    fputc('\n', stdout);
    tool->differences++;
}

/* The result of the request that was just sent; NULL after error_set(). */
static rd_kafka_event_t *await(struct tool *tool, const char *what, struct error *e)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(tool->queue, REQUEST_TIMEOUT_MS + 1000);
    if (!event) {
        error_set(e, ERROR_TRANSIENT, "%s: no answer from Kafka", what);
        return NULL;
    }
    if (rd_kafka_event_error(event)) {
        error_set(e, ERROR_TRANSIENT, "%s: %s", what, rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

static bool topics_succeeded(const rd_kafka_topic_result_t **results, size_t count, rd_kafka_resp_err_t forgiven,
    const char *what, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != forgiven)
            return error_set(e, ERROR_REFUSED, "%s %s: %s", what, rd_kafka_topic_result_name(results[i]),
                rd_kafka_topic_result_error_string(results[i]) ? rd_kafka_topic_result_error_string(results[i])
                                                               : rd_kafka_err2str(code));
    }
    return true;
}

static rd_kafka_NewTopic_t *new_topic(const struct tool *tool, const struct topic *topic, struct error *e)
{
    char why[LINE_MAX_BYTES];
    rd_kafka_NewTopic_t *created =
        rd_kafka_NewTopic_new(topic->name, topic->partitions, replicas_of(tool, topic), why, sizeof why);
    if (!created) {
        error_set(e, ERROR_INVALID, "%s: %s", topic->name, why);
        return NULL;
    }
    for (size_t i = 0; i < topic->setting_count; i++)
        rd_kafka_NewTopic_set_config(created, topic->settings[i].name, topic->settings[i].value);
    return created;
}

static bool create(struct tool *tool, const struct topic *const *missing, size_t count, struct error *e)
{
    rd_kafka_NewTopic_t *requests[TOPICS_MAX];
    size_t ready = 0;
    for (; ready < count; ready++) {
        requests[ready] = new_topic(tool, missing[ready], e);
        if (!requests[ready])
            break;
    }
    rd_kafka_event_t *event = NULL;
    if (ready == count) {
        rd_kafka_CreateTopics(tool->client, requests, count, NULL, tool->queue);
        event = await(tool, "creating topics", e);
    }
    rd_kafka_NewTopic_destroy_array(requests, ready);
    if (!event)
        return false;
    size_t results;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &results);
    /* Another run may have been quicker. */
    bool ok = topics_succeeded(topics, results, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "creating", e);
    for (size_t i = 0; ok && i < count; i++)
        say(tool, "created", missing[i]->name);
    rd_kafka_event_destroy(event);
    return ok;
}

static bool delete_all(struct tool *tool, struct error *e)
{
    rd_kafka_DeleteTopic_t *requests[TOPICS_MAX];
    size_t count = tool->topics.count, results;
    for (size_t i = 0; i < count; i++)
        requests[i] = rd_kafka_DeleteTopic_new(tool->topics.topics[i].name);
    rd_kafka_DeleteTopics(tool->client, requests, count, NULL, tool->queue);
    rd_kafka_DeleteTopic_destroy_array(requests, count);
    rd_kafka_event_t *event = await(tool, "deleting topics", e);
    if (!event)
        return false;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &results);
    bool ok = topics_succeeded(topics, results, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "deleting", e);
    rd_kafka_event_destroy(event);
    return ok;
}

static bool metadata(struct tool *tool, const struct rd_kafka_metadata **ret_metadata, struct error *e)
{
    rd_kafka_resp_err_t code = rd_kafka_metadata(tool->client, 1, NULL, ret_metadata, METADATA_TIMEOUT_MS);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, "reading the cluster's topics", e);
}

static const struct rd_kafka_metadata_topic *find_in(const struct rd_kafka_metadata *found, const char *name)
{
    for (int i = 0; i < found->topic_cnt; i++) {
        if (strcmp(found->topics[i].topic, name) == 0 && found->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return &found->topics[i];
    }
    return NULL;
}

static bool has_leaders(const struct rd_kafka_metadata_topic *topic)
{
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (topic->partitions[i].leader < 0)
            return false;
    }
    return topic->partition_cnt > 0;
}

static bool wait_for_leaders(struct tool *tool, struct error *e)
{
    for (int64_t end = monotonic_us() + (int64_t)LEADERS_TIMEOUT_MS * 1000; monotonic_us() < end;
         usleep(LEADERS_PAUSE_US)) {
        const struct rd_kafka_metadata *found;
        if (!metadata(tool, &found, e))
            return false;
        size_t ready = 0;
        for (size_t i = 0; i < tool->topics.count; i++) {
            const struct rd_kafka_metadata_topic *topic = find_in(found, tool->topics.topics[i].name);
            ready += topic && has_leaders(topic);
        }
        rd_kafka_metadata_destroy(found);
        if (ready == tool->topics.count)
            return true;
    }
    return error_set(e, ERROR_TRANSIENT, "some partitions have no leader yet");
}

static const char *value_in(const rd_kafka_ConfigEntry_t **entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    }
    return NULL;
}

static bool alter(struct tool *tool, rd_kafka_ConfigResource_t *wanted, struct error *e)
{
    rd_kafka_AlterConfigs(tool->client, &wanted, 1, NULL, tool->queue);
    rd_kafka_event_t *event = await(tool, "changing a topic's settings", e);
    if (!event)
        return false;
    size_t count;
    const rd_kafka_ConfigResource_t **results =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        if (rd_kafka_ConfigResource_error(results[i]))
            ok = error_set(e, ERROR_REFUSED, "changing the settings of %s: %s",
                rd_kafka_ConfigResource_name(results[i]), rd_kafka_ConfigResource_error_string(results[i]));
    }
    rd_kafka_event_destroy(event);
    return ok;
}

/* Brings one topic's settings in line. The request replaces all of a topic's own settings, so those that an operator
 * set and the file does not name are sent along. */
static bool settle_settings(
    struct tool *tool, const struct topic *topic, const rd_kafka_ConfigResource_t *described, struct error *e)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(described, &count);
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic->name);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG &&
            !topic_setting(topic, rd_kafka_ConfigEntry_name(entries[i])))
            rd_kafka_ConfigResource_set_config(
                wanted, rd_kafka_ConfigEntry_name(entries[i]), rd_kafka_ConfigEntry_value(entries[i]));
    }
    size_t changes = 0;
    for (size_t i = 0; i < topic->setting_count; i++) {
        const struct topic_setting *setting = &topic->settings[i];
        const char *value = value_in(entries, count, setting->name);
        rd_kafka_ConfigResource_set_config(wanted, setting->name, setting->value);
        if (value && strcmp(value, setting->value) == 0)
            continue;
        changes++;
        if (tool->action == ACTION_CHECK)
            differs(tool, "%s: %s is %s, declared %s", topic->name, setting->name, value ? value : "unknown",
                setting->value);
    }
    bool ok = true;
    if (changes > 0 && tool->action == ACTION_APPLY) {
        ok = alter(tool, wanted, e);
        if (ok)
            say(tool, "changed the settings of", topic->name);
    }
    rd_kafka_ConfigResource_destroy(wanted);
    return ok;
}

static bool settle_all_settings(struct tool *tool, const struct topic *const *existing, size_t count, struct error *e)
{
    rd_kafka_ConfigResource_t *requests[TOPICS_MAX];
    if (count == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        requests[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, existing[i]->name);
    rd_kafka_DescribeConfigs(tool->client, requests, count, NULL, tool->queue);
    rd_kafka_ConfigResource_destroy_array(requests, count);
    rd_kafka_event_t *event = await(tool, "reading the topics' settings", e);
    if (!event)
        return false;
    size_t results;
    const rd_kafka_ConfigResource_t **described =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &results);
    bool ok = true;
    for (size_t i = 0; ok && i < results; i++) {
        const struct topic *topic = topic_find(&tool->topics, rd_kafka_ConfigResource_name(described[i]));
        if (rd_kafka_ConfigResource_error(described[i]))
            ok = error_set(e, ERROR_REFUSED, "%s: %s", rd_kafka_ConfigResource_name(described[i]),
                rd_kafka_ConfigResource_error_string(described[i]));
        else if (topic)
            ok = settle_settings(tool, topic, described[i], e);
    }
    rd_kafka_event_destroy(event);
    return ok;
}

/* Sorts the declared topics into those that are there and those that are not, and compares the shape of the former. */
static bool survey(struct tool *tool, const struct topic **ret_existing, size_t *ret_existing_count,
    const struct topic **ret_missing, size_t *ret_missing_count, struct error *e)
{
    const struct rd_kafka_metadata *found;
    if (!metadata(tool, &found, e))
        return false;
    for (size_t i = 0; i < tool->topics.count; i++) {
        const struct topic *topic = &tool->topics.topics[i];
        const struct rd_kafka_metadata_topic *there = find_in(found, topic->name);
        if (!there) {
            ret_missing[(*ret_missing_count)++] = topic;
            continue;
        }
        ret_existing[(*ret_existing_count)++] = topic;
        if (there->partition_cnt != topic->partitions)
            differs(tool,
                "%s: %d partitions, declared %d; a topic's partitions never change, a change is a new version",
                topic->name, there->partition_cnt, topic->partitions);
        else if (has_leaders(there) && there->partitions[0].replica_cnt != replicas_of(tool, topic))
            differs(tool, "%s: %d replicas, declared %d", topic->name, there->partitions[0].replica_cnt,
                replicas_of(tool, topic));
    }
    rd_kafka_metadata_destroy(found);
    return true;
}

static bool work(struct tool *tool, struct error *e)
{
    const struct topic *existing[TOPICS_MAX], *missing[TOPICS_MAX];
    size_t existing_count = 0, missing_count = 0;
    if (tool->action == ACTION_DELETE)
        return delete_all(tool, e);
    if (!survey(tool, existing, &existing_count, missing, &missing_count, e) ||
        !settle_all_settings(tool, existing, existing_count, e))
        return false;
    if (tool->action == ACTION_CHECK) {
        for (size_t i = 0; i < missing_count; i++)
            differs(tool, "%s: missing", missing[i]->name);
        return true;
    }
    return missing_count == 0 || (create(tool, missing, missing_count, e) && wait_for_leaders(tool, e));
}

static bool open_client(struct tool *tool, struct error *e)
{
    rd_kafka_conf_t *conf;
    char why[LINE_MAX_BYTES];
    if (!kafka_conf(&tool->kafka, &conf, e))
        return false;
    tool->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!tool->client) {
        rd_kafka_conf_destroy(conf);
        return error_set(e, ERROR_FATAL, "Kafka client: %s", why);
    }
    tool->queue = rd_kafka_queue_new(tool->client);
    return true;
}

static bool run(struct tool *tool, const char *path, struct error *e)
{
    if (!topics_load(path, tool->kafka.topic_prefix, &tool->topics, e))
        return false;
    bool ok = open_client(tool, e) && work(tool, e);
    if (tool->queue)
        rd_kafka_queue_destroy(tool->queue);
    if (tool->client)
        rd_kafka_destroy(tool->client);
    topics_release(&tool->topics);
    return ok;
}

static int usage(FILE *out, int status)
{
    fputs("usage: penstock-topics [--check | --delete] [--quiet] schemas/asyncapi.yaml\n"
          "Creates the declared topics and brings their settings in line; --check only reports differences (exit 1).\n"
          "  KAFKA_BROKERS              host:port,…\n"
          "  TOPIC_PREFIX               before every topic name\n"
          "  KAFKA_REPLICATION_FACTOR   instead of the declared one\n"
          "  KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, "
          "KAFKA_SSL_CA_LOCATION\n",
        out);
    return status;
}

int main(int argc, char **argv)
{
    const char *path = NULL, *replicas = getenv("KAFKA_REPLICATION_FACTOR");
    struct tool tool = { .kafka = { .brokers = getenv("KAFKA_BROKERS"),
                             .topic_prefix = getenv("TOPIC_PREFIX"),
                             .client_id = "penstock-topics",
                             .security_protocol = getenv("KAFKA_SECURITY_PROTOCOL"),
                             .sasl_mechanism = getenv("KAFKA_SASL_MECHANISM"),
                             .sasl_username = getenv("KAFKA_SASL_USERNAME"),
                             .sasl_password = getenv("KAFKA_SASL_PASSWORD"),
                             .ssl_ca_location = getenv("KAFKA_SSL_CA_LOCATION") },
        .replicas = replicas ? atoi(replicas) : 0 };
    struct error e = { 0 };

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return usage(stdout, 0);
        else if (strcmp(argv[i], "--check") == 0)
            tool.action = ACTION_CHECK;
        else if (strcmp(argv[i], "--delete") == 0)
            tool.action = ACTION_DELETE;
        else if (strcmp(argv[i], "--quiet") == 0)
            tool.quiet = true;
        else if (!path && argv[i][0] != '-')
            path = argv[i];
        else
            return usage(stderr, 2);
    }
    if (!path)
        return usage(stderr, 2);
    if (!run(&tool, path, &e)) {
        fprintf(stderr, "penstock-topics: %s\n", e.message);
        return 1;
    }
    return tool.differences ? 1 : 0;
}
