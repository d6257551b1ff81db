/* events.c -- penstock events tail: any topic, decoded by the type in the headers. */
#include "reader.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* "beginning", "end", an offset, "-10m" (s, m, h, d), or RFC 3339. */
static bool parse_from(const char *text, struct reader_start *ret)
{
    char *rest;
    if (strcmp(text, "beginning") == 0 || strcmp(text, "end") == 0) {
        *ret = (struct reader_start){ *text == 'b' ? READER_BEGINNING : READER_END, 0 };
        return true;
    }
    long long number = strtoll(text, &rest, 10);
    if (*rest == '\0' && rest != text && number >= 0) {
        *ret = (struct reader_start){ READER_OFFSET, number };
        return true;
    }
    if (*text == '-' && rest != text && strlen(rest) == 1 && strchr("smhd", *rest)) {
        int64_t unit_s = *rest == 's' ? 1 : *rest == 'm' ? 60 : *rest == 'h' ? 3600 : 86400;
        if (number < -1000000)
            return false;
        *ret = (struct reader_start){ READER_TIME, now_us() + number * unit_s * 1000000 };
        return true;
    }
    ret->from = READER_TIME;
    return event_time_parse(text, &ret->value);
}

static void print_event(const struct cli *cli, const struct event *event, const struct error *malformed)
{
    char time[EVENT_TIME_MAX] = "";
    json_t *data = malformed->kind == ERROR_NONE ? event_value_json(event)
                                                 : json_pack("{s:s, s:I}", "undecodable", malformed->message, "bytes",
                                                       (json_int_t)event->value.len);
    if (event->time_us)
        event_time_format(event->time_us, time);
    CLEANUP(xfree) char *key = event->key.data ? xstrndup(event->key.data, event->key.len) : xstrdup("");
    const char *type = event->type ? event->type : "";
    if (cli->json) {
        json_t *line = json_pack("{s:s, s:i, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "topic", event->topic,
            "partition", (int)event->partition, "offset", (json_int_t)event->offset, "key", key, "time", time, "type",
            type, "id", event->id ? event->id : "", "source", event->source ? event->source : "", "traceparent",
            event->traceparent ? event->traceparent : "", "data", data);
        if (line)
            print_json(line);
        json_decref(line);
    } else {
        const char *dot = strrchr(type, '.');
        char *text = json_dumps(data, JSON_COMPACT | JSON_PRESERVE_ORDER);
        printf("%s  %d@%lld  %s  %s  %s\n", *time ? time : "-", (int)event->partition, (long long)event->offset, key,
            dot ? dot + 1 : type, text);
        fflush(stdout);
        free(text);
        json_decref(data);
    }
}

struct tail_options {
    struct reader_start start;
    long long count;
    bool until_end;
    const char *key, *type;
};

static bool wanted(const struct tail_options *options, const struct event *event)
{
    if (options->key &&
        (event->key.len != strlen(options->key) || memcmp(event->key.data, options->key, event->key.len) != 0))
        return false;
    const char *dot = event->type ? strrchr(event->type, '.') : NULL;
    return !options->type || (event->type && strcmp(event->type, options->type) == 0) ||
           (dot && strcmp(dot + 1, options->type) == 0);
}

static int tail(struct cli *cli, const char *topic, const struct tail_options *options)
{
    struct error e = { 0 }, malformed = { 0 };
    CLEANUP(reader_free) struct reader *reader = NULL;
    const char *topics[] = { topic, NULL };
    if (!reader_open(&cli->kafka, topics, options->start, options->until_end, &reader, &e))
        return cli_fail(e.kind == ERROR_NOT_FOUND ? CLI_REFUSED : CLI_UNREACHABLE, &e);
    for (long long seen = 0; !interrupted && seen < options->count;) {
        struct event event;
        switch (reader_next(reader, 200, &event, &malformed, &e)) {
        case READER_EVENT:
            if (wanted(options, &event)) {
                print_event(cli, &event, &malformed);
                seen++;
            }
            break;
        case READER_IDLE:
            break;
        case READER_DONE:
            return CLI_OK;
        case READER_FAILED:
            return cli_fail(CLI_UNREACHABLE, &e);
        }
    }
    return CLI_OK;
}

int cmd_events_tail(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "from", required_argument, NULL, 'f' },
        { "count", required_argument, NULL, 'n' }, { "until-end", no_argument, NULL, 'u' },
        { "key", required_argument, NULL, 'k' }, { "type", required_argument, NULL, 't' }, { 0 } };
    struct tail_options tail_options = { .start = { READER_END, 0 }, .count = INT64_MAX };
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        switch (option) {
        case 'f':
            if (!parse_from(optarg, &tail_options.start))
                return cli_usage(cli, "--from %s is none of beginning, end, an offset, -10m, RFC 3339", optarg);
            break;
        case 'n':
            tail_options.count = strtoll(optarg, NULL, 10);
            if (tail_options.count <= 0)
                return cli_usage(cli, "--count takes a number above 0");
            break;
        case 'u':
            tail_options.until_end = true;
            break;
        case 'k':
            tail_options.key = optarg;
            break;
        case 't':
            tail_options.type = optarg;
            break;
        default:
            return CLI_USAGE;
        }
    }
    if (argc - optind != 1)
        return cli_usage(cli, "a topic is needed");
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    return tail(cli, argv[optind], &tail_options);
}
