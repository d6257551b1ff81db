/* topics_file.h -- the topics that an AsyncAPI 3 file declares: channels.*.address and channels.*.bindings.kafka. */
#pragma once

#include <event_bus/error.h>
#include <event_bus/kafka.h>

enum { TOPICS_MAX = 256, TOPIC_SETTINGS_MAX = 16 };

struct topic_setting {
    char *name, *value;
};

struct topic {
    char name[KAFKA_TOPIC_MAX]; /* with the prefix */
    int partitions, replicas;
    struct topic_setting settings[TOPIC_SETTINGS_MAX]; /* topicConfiguration; a list becomes "a,b" */
    size_t setting_count;
};

struct topic_list {
    struct topic *topics;
    size_t count;
};

/* Errors: INVALID, saying which channel and what is wrong with it. */
MUST_CHECK bool topics_load(const char *path, const char *prefix, struct topic_list *ret_list, struct error *e);
void topics_release(struct topic_list *list);
const struct topic *topic_find(const struct topic_list *list, const char *name); /* NULL: not declared */
const char *topic_setting(const struct topic *topic, const char *name);          /* NULL: not declared */
