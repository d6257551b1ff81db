#include "topics_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

enum { VALUE_MAX = 256, PARTITIONS_MAX = 10000, REPLICAS_MAX = 100 };

static const char *text_of(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* The value under key of a mapping; NULL when it is not one or has none. */
static yaml_node_t *member(yaml_document_t *document, const yaml_node_t *node, const char *key)
{
    if (!node || node->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const char *name = text_of(yaml_document_get_node(document, pair->key));
        if (name && strcmp(name, key) == 0)
            return yaml_document_get_node(document, pair->value);
    }
    return NULL;
}

static bool number(yaml_document_t *document, const yaml_node_t *node, const char *channel, const char *key, int max,
    int *ret_number, struct error *e)
{
    const char *text = text_of(member(document, node, key));
    char *end;
    long value = text ? strtol(text, &end, 10) : 0;
    if (!text || *end || value < 1 || value > max)
        return error_set(e, ERROR_INVALID, "%s: bindings.kafka.%s is not a number from 1 to %d", channel, key, max);
    *ret_number = (int)value;
    return true;
}

/* A scalar as it is; a list with commas. */
static bool value_text(yaml_document_t *document, const yaml_node_t *node, char ret_text[VALUE_MAX])
{
    if (text_of(node))
        return snprintf(ret_text, VALUE_MAX, "%s", text_of(node)) < VALUE_MAX;
    if (!node || node->type != YAML_SEQUENCE_NODE)
        return false;
    size_t len = 0;
    ret_text[0] = '\0';
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        const char *text = text_of(yaml_document_get_node(document, *item));
        int added = text ? snprintf(ret_text + len, VALUE_MAX - len, "%s%s", len ? "," : "", text) : -1;
        if (added < 0 || (size_t)added >= VALUE_MAX - len)
            return false;
        len += (size_t)added;
    }
    return true;
}

static bool read_settings(yaml_document_t *document, const yaml_node_t *node, struct topic *topic, struct error *e)
{
    if (!node)
        return true;
    if (node->type != YAML_MAPPING_NODE)
        return error_set(e, ERROR_INVALID, "%s: topicConfiguration is not a mapping", topic->name);
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const char *name = text_of(yaml_document_get_node(document, pair->key));
        char value[VALUE_MAX];
        if (!name || !value_text(document, yaml_document_get_node(document, pair->value), value))
            return error_set(
                e, ERROR_INVALID, "%s: topicConfiguration.%s has no plain value", topic->name, name ? name : "?");
        if (topic->setting_count == TOPIC_SETTINGS_MAX)
            return error_set(e, ERROR_INVALID, "%s: more than %d settings", topic->name, TOPIC_SETTINGS_MAX);
        topic->settings[topic->setting_count++] = (struct topic_setting){ xstrdup(name), xstrdup(value) };
    }
    return true;
}

static bool read_channel(yaml_document_t *document, const char *channel, const yaml_node_t *node, const char *prefix,
    struct topic *topic, struct error *e)
{
    const yaml_node_t *kafka = member(document, member(document, node, "bindings"), "kafka");
    const char *address = text_of(member(document, node, "address"));
    if (!address)
        return error_set(e, ERROR_INVALID, "%s: no address", channel);
    if (!kafka)
        return error_set(e, ERROR_INVALID, "%s: no bindings.kafka", channel);
    return kafka_topic_name(&(struct kafka_options){ .topic_prefix = prefix }, address, topic->name, e) &&
           number(document, kafka, channel, "partitions", PARTITIONS_MAX, &topic->partitions, e) &&
           number(document, kafka, channel, "replicas", REPLICAS_MAX, &topic->replicas, e) &&
           read_settings(document, member(document, kafka, "topicConfiguration"), topic, e);
}

static bool read_channels(yaml_document_t *document, const char *prefix, struct topic_list *list, struct error *e)
{
    const yaml_node_t *channels = member(document, yaml_document_get_root_node(document), "channels");
    if (!channels || channels->type != YAML_MAPPING_NODE)
        return error_set(e, ERROR_INVALID, "no channels");
    list->topics = xcalloc(TOPICS_MAX, sizeof *list->topics);
    for (yaml_node_pair_t *pair = channels->data.mapping.pairs.start; pair < channels->data.mapping.pairs.top; pair++) {
        const char *channel = text_of(yaml_document_get_node(document, pair->key));
        if (list->count == TOPICS_MAX)
            return error_set(e, ERROR_INVALID, "more than %d channels", TOPICS_MAX);
        struct topic *topic = &list->topics[list->count++];
        if (!read_channel(
                document, channel ? channel : "?", yaml_document_get_node(document, pair->value), prefix, topic, e))
            return false;
        if (topic_find(list, topic->name) != topic)
            return error_set(e, ERROR_INVALID, "%s is declared twice", topic->name);
    }
    return list->count > 0 || error_set(e, ERROR_INVALID, "no channels");
}

static bool parse(FILE *file, const char *path, yaml_document_t *ret_document, struct error *e)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set(e, ERROR_FATAL, "out of memory");
    yaml_parser_set_input_file(&parser, file);
    bool ok = yaml_parser_load(&parser, ret_document) ||
              error_set(e, ERROR_INVALID, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                  parser.problem ? parser.problem : "not YAML");
    yaml_parser_delete(&parser);
    return ok;
}

bool topics_load(const char *path, const char *prefix, struct topic_list *ret_list, struct error *e)
{
    yaml_document_t document;
    struct topic_list list = { 0 };
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(e, ERROR_INVALID, "%s: %s", path, strerror(errno));
    bool parsed = parse(file, path, &document, e);
    fclose(file);
    if (!parsed)
        return false;
    bool ok = read_channels(&document, prefix, &list, e);
    yaml_document_delete(&document);
    if (ok)
        *ret_list = list;
    else
        topics_release(&list);
    return ok;
}

void topics_release(struct topic_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < list->topics[i].setting_count; j++) {
            xfree(list->topics[i].settings[j].name);
            xfree(list->topics[i].settings[j].value);
        }
    }
    xfree(list->topics);
    *list = (struct topic_list){ 0 };
}

const struct topic *topic_find(const struct topic_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->topics[i].name, name) == 0)
            return &list->topics[i];
    }
    return NULL;
}

const char *topic_setting(const struct topic *topic, const char *name)
{
    for (size_t i = 0; i < topic->setting_count; i++) {
        if (strcmp(topic->settings[i].name, name) == 0)
            return topic->settings[i].value;
    }
    return NULL;
}
