/* dlq.c -- dead letters: what was refused, why, and sending it again after the cause is mended. */
#include "parked.h"
#include "reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char dead_suffix[] = ".dead";

static const char *message_header(const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) || rd_kafka_header_get_last(headers, name, &value, &size) || !value)
        return "";
    return value; /* librdkafka ends header values with a NUL beyond their size */
}

static json_t *letter_json(const struct event *event, const rd_kafka_message_t *message)
{
    CLEANUP(xfree) char *key = event->key.data ? xstrndup(event->key.data, event->key.len) : xstrdup("");
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "offset", (json_int_t)event->offset, "key",
        key, "reason", message_header(message, "dlq_reason"), "field", message_header(message, "dlq_field"), "kind",
        message_header(message, "dlq_kind"), "topic", message_header(message, "dlq_topic"), "from_offset",
        message_header(message, "dlq_offset"), "id", message_header(message, "dlq_ce_id"), "type",
        event->type ? event->type : "", "data", event_value_json(event));
}

/* Calls `each` for every letter of `topic`; false from it ends the walk. */
typedef bool (*letter_function)(const struct event *event, const rd_kafka_message_t *message, void *context);

static int walk(struct cli *cli, const char *topic, int64_t offset, letter_function each, void *context)
{
    struct error e = { 0 }, malformed = { 0 };
    CLEANUP(reader_free) struct reader *reader = NULL;
    const char *topics[] = { topic, NULL };
    struct reader_start start = { offset < 0 ? READER_BEGINNING : READER_OFFSET, offset };
    if (!reader_open(&cli->kafka, topics, start, true, &reader, &e))
        return cli_fail(e.kind == ERROR_NOT_FOUND ? CLI_REFUSED : CLI_UNREACHABLE, &e);
    for (int idle = 0; idle < 50;) {
        struct event event;
        switch (reader_next(reader, 200, &event, &malformed, &e)) {
        case READER_EVENT:
            if (!each(&event, reader_message(reader), context))
                return CLI_OK;
            break;
        case READER_IDLE:
            idle++;
            break;
        case READER_DONE:
            return CLI_OK;
        case READER_FAILED:
            return cli_fail(CLI_UNREACHABLE, &e);
        }
    }
    error_set(&e, ERROR_TRANSIENT, "Kafka at %s does not answer", cli->kafka.brokers);
    return cli_fail(CLI_UNREACHABLE, &e);
}

static bool is_dead_topic(const char *topic)
{
    size_t len = strlen(topic), suffix_len = strlen(dead_suffix);
    return len > suffix_len && strcmp(topic + len - suffix_len, dead_suffix) == 0;
}

/* ---- dlq list ---- */

static json_t *dead_topics(struct cli *cli, struct error *e)
{
    rd_kafka_conf_t *conf;
    char why[256];
    if (!kafka_conf(&cli->kafka, &conf, e))
        return NULL;
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!handle) {
        rd_kafka_conf_destroy(conf);
        error_set(e, ERROR_INVALID, "%s", why);
        return NULL;
    }
    const struct rd_kafka_metadata *metadata;
    const char *prefix = cli->kafka.topic_prefix ? cli->kafka.topic_prefix : "";
    size_t prefix_len = strlen(prefix);
    rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 1, NULL, &metadata, 10000);
    json_t *list = NULL;
    if (code) {
        kafka_error(code, "metadata", e);
    } else {
        list = json_array();
        for (int i = 0; i < metadata->topic_cnt; i++) {
            const char *name = metadata->topics[i].topic;
            if (strncmp(name, prefix, prefix_len) != 0 || !is_dead_topic(name + prefix_len))
                continue;
            int64_t low = 0, high = 0;
            rd_kafka_query_watermark_offsets(handle, name, 0, &low, &high, 5000);
            json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "topic", name + prefix_len, "first_offset",
                                            (json_int_t)low, "end_offset", (json_int_t)high));
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_destroy(handle);
    return list;
}

static bool count_letter(const struct event *event, const rd_kafka_message_t *message, void *context)
{
    (void)event, (void)message;
    ++*(long long *)context;
    return true;
}

int cmd_dlq_list(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    struct error e = { 0 };
    if (argc > 1)
        return cli_usage(cli, "dlq list takes no argument");
    json_t *list = dead_topics(cli, &e);
    if (!list)
        return cli_fail(CLI_UNREACHABLE, &e);
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        long long letters = 0; /* offsets count transaction markers too: the letters themselves are counted */
        if (json_integer_value(json_object_get(row, "end_offset")) > 0)
            walk(cli, json_string_value(json_object_get(row, "topic")), -1, count_letter, &letters);
        json_object_set_new(row, "letters", json_integer(letters));
    }
    if (cli->json)
        print_json(list);
    else
        print_table(list, (const char *const[]){ "topic", "letters", NULL });
    json_decref(list);
    return CLI_OK;
}

/* ---- Arguments of the others ---- */

enum wants {
    WANTS_TOPIC,  /* all of the topic's, or the one at --offset */
    WANTS_OFFSET, /* one */
    WANTS_CHOICE, /* one, or --all */
};

struct wanted {
    const char *topic;
    int64_t offset; /* -1: all */
};

static bool parse_offset(const char *text, int64_t *ret_offset)
{
    char *rest;
    errno = 0;
    long long number = strtoll(text, &rest, 10);
    *ret_offset = number;
    return isdigit((unsigned char)*text) && *rest == '\0' && errno == 0;
}

static int parse_arguments(struct cli *cli, int argc, char **argv, enum wants wants, struct wanted *ret)
{
    static const struct option one[] = { { "offset", required_argument, NULL, 'o' }, { 0 } };
    static const struct option one_or_all[] = { { "offset", required_argument, NULL, 'o' },
        { "all", no_argument, NULL, 'a' }, { 0 } };
    bool all = false;
    ret->offset = -1;
    for (int option; (option = cli_option(cli, argc, argv, wants == WANTS_CHOICE ? one_or_all : one)) != -1;) {
        if (option == '?')
            return CLI_USAGE;
        if (option == 'o' && !parse_offset(optarg, &ret->offset))
            return cli_usage(cli, "'%s' is not an offset", optarg);
        all |= option == 'a';
    }
    if (argc - optind != 1)
        return cli_usage(cli, "one dead-letter topic is needed");
    ret->topic = argv[optind];
    if (!is_dead_topic(ret->topic))
        return cli_usage(cli, "%s is not a dead-letter topic: those end in %s", ret->topic, dead_suffix);
    if (wants == WANTS_OFFSET && ret->offset < 0)
        return cli_usage(cli, "--offset is needed: dead letters are dropped one by one");
    if (wants == WANTS_CHOICE && all == (ret->offset >= 0))
        return cli_usage(cli, "either --offset or --all is needed");
    return CLI_OK;
}

/* ---- dlq show ---- */

struct show {
    const struct cli *cli;
    int64_t only; /* -1: all */
    bool found;
};

static bool show_letter(const struct event *event, const rd_kafka_message_t *message, void *context)
{
    struct show *show = context;
    if (show->only >= 0 && event->offset != show->only)
        return event->offset < show->only;
    show->found = true;
    json_t *letter = letter_json(event, message);
    if (show->cli->json) {
        print_json(letter);
    } else {
        printf("offset %lld  key %s  %s\n  reason  %s%s%s\n  from    %s @ %s  id %s\n", (long long)event->offset,
            json_string_value(json_object_get(letter, "key")), event->type ? event->type : "no type",
            message_header(message, "dlq_field"), *message_header(message, "dlq_field") ? ": " : "",
            message_header(message, "dlq_reason"), message_header(message, "dlq_topic"),
            message_header(message, "dlq_offset"), message_header(message, "dlq_ce_id"));
        char *data = json_dumps(json_object_get(letter, "data"), JSON_COMPACT | JSON_PRESERVE_ORDER);
        printf("  data    %s\n", data);
        free(data);
    }
    json_decref(letter);
    return true;
}

int cmd_dlq_show(struct cli *cli, int argc, char **argv)
{
    struct wanted wanted;
    struct error e = { 0 };
    int result = parse_arguments(cli, argc, argv, WANTS_TOPIC, &wanted);
    if (result != CLI_OK)
        return result;
    struct show show = { cli, wanted.offset, false };
    result = walk(cli, wanted.topic, show.only, show_letter, &show);
    if (result != CLI_OK || show.only < 0 || show.found)
        return result;
    error_set(&e, ERROR_NOT_FOUND, "no dead letter at offset %lld", (long long)show.only);
    return cli_fail(CLI_REFUSED, &e);
}

/* ---- dlq retry ---- */

enum { LETTERS_MAX = 1000000 };

struct retry {
    struct cli *cli;
    rd_kafka_t *producer;
    int64_t only; /* -1: all */
    enum parked_request request;
    struct arena *arena;
    struct parked_letters letters; /* to be asked of their consumer */
    size_t letters_capacity;
    json_t *seen;                       /* events sent so far: one that was refused again has several letters */
    long long sent, parked, unsendable; /* to their topic; found by their consumer; what has no address */
    struct error e;
};

static void retry_release(struct retry *retry)
{
    json_decref(retry->seen);
    xfree(retry->letters.groups);
    xfree(retry->letters.topics);
    xfree(retry->letters.partitions);
    xfree(retry->letters.offsets);
    arena_free(retry->arena);
}

/* One that others may wait behind: sent to the end of its topic it would come after them. */
static bool is_parked(const rd_kafka_message_t *message)
{
    return *message_header(message, "dlq_parked") != '\0';
}

static bool add_parked(struct retry *retry, const rd_kafka_message_t *message)
{
    struct parked_letters *letters = &retry->letters;
    if (letters->count == retry->letters_capacity) {
        size_t n = retry->letters_capacity = retry->letters_capacity ? 2 * retry->letters_capacity : 64;
        letters->groups = xrealloc(letters->groups, n * sizeof *letters->groups);
        letters->topics = xrealloc(letters->topics, n * sizeof *letters->topics);
        letters->partitions = xrealloc(letters->partitions, n * sizeof *letters->partitions);
        letters->offsets = xrealloc(letters->offsets, n * sizeof *letters->offsets);
    }
    size_t i = letters->count++;
    letters->groups[i] = arena_strdup(retry->arena, message_header(message, "dlq_group"));
    letters->topics[i] = arena_strdup(retry->arena, message_header(message, "dlq_topic"));
    letters->partitions[i] = (int32_t)strtol(message_header(message, "dlq_partition"), NULL, 10);
    letters->offsets[i] = strtoll(message_header(message, "dlq_offset"), NULL, 10);
    return true;
}

static bool ask_consumers(struct retry *retry)
{
    int64_t count = 0;
    if (retry->letters.count > 0 && !parked_ask(retry->request, &retry->letters, &count, &retry->e))
        return false;
    retry->parked = count;
    return true;
}

static bool was_sent(struct retry *retry, const struct event *original)
{
    CLEANUP(xfree) char *name = xasprintf("%s %s", original->source, original->id);
    if (json_object_get(retry->seen, name))
        return true;
    json_object_set_new(retry->seen, name, json_true());
    return false;
}

/* Its headers were unreadable, so nobody knows which event it was. Among others it is passed over. */
static bool pass_over(struct retry *retry, const struct event *event)
{
    if (retry->only >= 0)
        return false;
    fprintf(stderr, "penstock: offset %lld cannot be sent again: %s\n", (long long)event->offset, retry->e.message);
    error_clear(&retry->e);
    retry->unsendable++;
    return true;
}

/* The letter as it first was: original key, value and CloudEvents headers; the dlq_* headers stay behind. */
static bool retry_letter(const struct event *event, const rd_kafka_message_t *message, void *context)
{
    struct retry *retry = context;
    if (retry->only >= 0 && event->offset != retry->only)
        return event->offset < retry->only;
    if (retry->letters.count + json_object_size(retry->seen) == LETTERS_MAX)
        return error_set(&retry->e, ERROR_REFUSED, "more than %d dead letters: name one by --offset", LETTERS_MAX);
    if (is_parked(message))
        return add_parked(retry, message);
    struct event original = *event;
    original.topic = message_header(message, "dlq_topic");
    original.id = message_header(message, "dlq_ce_id");
    original.source = message_header(message, "dlq_ce_source");
    rd_kafka_headers_t *headers;
    char topic[KAFKA_TOPIC_MAX];
    if (was_sent(retry, &original))
        return true;
    if (!kafka_topic_name(&retry->cli->kafka, original.topic, topic, &retry->e) ||
        !event_headers(&original, &headers, &retry->e))
        return pass_over(retry, event);
    rd_kafka_resp_err_t code = rd_kafka_producev(retry->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_KEY(event->key.data, event->key.len), RD_KAFKA_V_VALUE((void *)event->value.data, event->value.len),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END);
    if (code) {
        rd_kafka_headers_destroy(headers);
        return kafka_error(code, "produce", &retry->e);
    }
    retry->sent++;
    return true;
}

static rd_kafka_t *retry_producer(struct cli *cli, struct error *e)
{
    rd_kafka_conf_t *conf;
    char why[256];
    if (!kafka_conf(&cli->kafka, &conf, e))
        return NULL;
    rd_kafka_t *producer = NULL;
    if (kafka_conf_set(conf, "enable.idempotence", "true", e) &&
        kafka_conf_set(conf, "partitioner", "murmur2_random", e)) {
        producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
        if (!producer)
            error_set(e, ERROR_INVALID, "%s", why);
    }
    if (!producer)
        rd_kafka_conf_destroy(conf);
    return producer;
}

static int report(struct cli *cli, struct retry *retry)
{
    if (retry->e.kind != ERROR_NONE)
        return cli_fail(retry->e.kind == ERROR_TRANSIENT ? CLI_UNREACHABLE : CLI_REFUSED, &retry->e);
    if (retry->sent + retry->parked == 0) {
        error_set(&retry->e, ERROR_NOT_FOUND, "no such dead letter, or it is settled already");
        return cli_fail(CLI_REFUSED, &retry->e);
    }
    json_t *answer =
        json_pack("{s:I, s:I, s:I, s:I}", "sent", (json_int_t)retry->sent, "parked", (json_int_t)retry->parked,
            "unsendable", (json_int_t)retry->unsendable, "all", (json_int_t)(retry->sent + retry->parked));
    return show_line(cli, answer, retry->request == PARKED_DROP ? "{parked} dropped" : "{all} sent again");
}

int cmd_dlq_retry(struct cli *cli, int argc, char **argv)
{
    struct wanted wanted;
    int result = parse_arguments(cli, argc, argv, WANTS_CHOICE, &wanted);
    if (result != CLI_OK)
        return result;
    struct retry retry = { .cli = cli, .only = wanted.offset, .arena = arena_new(), .seen = json_object() };
    retry.producer = retry_producer(cli, &retry.e);
    if (retry.producer) {
        result = walk(cli, wanted.topic, retry.only, retry_letter, &retry);
        bool flushed = rd_kafka_flush(retry.producer, 30000) == RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_destroy(retry.producer);
        if (result == CLI_OK && !flushed)
            error_set(&retry.e, ERROR_TRANSIENT, "Kafka did not acknowledge; send again, it will have one effect");
    }
    if (result == CLI_OK && retry.e.kind == ERROR_NONE)
        (void)!ask_consumers(&retry);
    result = result == CLI_OK ? report(cli, &retry) : result;
    retry_release(&retry);
    return result;
}

/* ---- dlq drop ---- */

static bool drop_letter(const struct event *event, const rd_kafka_message_t *message, void *context)
{
    struct retry *retry = context;
    if (event->offset != retry->only)
        return event->offset < retry->only;
    if (!is_parked(message))
        return error_set(&retry->e, ERROR_REFUSED, "nothing waits behind offset %lld", (long long)event->offset);
    return add_parked(retry, message);
}

int cmd_dlq_drop(struct cli *cli, int argc, char **argv)
{
    struct wanted wanted;
    int result = parse_arguments(cli, argc, argv, WANTS_OFFSET, &wanted);
    if (result != CLI_OK)
        return result;
    struct retry drop = { .cli = cli, .only = wanted.offset, .request = PARKED_DROP, .arena = arena_new() };
    result = walk(cli, wanted.topic, drop.only, drop_letter, &drop);
    if (result == CLI_OK && drop.e.kind == ERROR_NONE)
        (void)!ask_consumers(&drop);
    result = result == CLI_OK ? report(cli, &drop) : result;
    retry_release(&drop);
    return result;
}
