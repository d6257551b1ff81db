/* log: every line is one JSON object, whatever the message holds. */
#include "../log.h"

#include <event_bus/kafka.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static int stderr_to_pipe(void)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
    (void)close(ends[1]);
    return ends[0];
}

/* The next line as JSON; what was written by one write() is read by one read(). */
static json_t *read_line(int fd)
{
    char text[32 * 1024];
    ssize_t len = read(fd, text, sizeof text);
    cr_assert_gt(len, 0);
    cr_assert_eq(text[len - 1], '\n');
    cr_assert_eq(memchr(text, '\n', (size_t)len), text + len - 1, "one line");
    json_t *json = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
    cr_assert(json_is_object(json), "%.*s", (int)len, text);
    return json;
}

static const char *text_of(const json_t *json, const char *field)
{
    const char *text = json_string_value(json_object_get(json, field));
    return text ? text : "";
}

Test(log, a_line_says_when_who_and_what)
{
    (void)unsetenv("LOG_LEVEL");
    log_init("identity");
    int fd = stderr_to_pipe();
    log_info("listening on port %d", 8083);
    json_auto_t *line = read_line(fd);
    cr_expect_str_eq(text_of(line, "level"), "info");
    cr_expect_str_eq(text_of(line, "service"), "identity");
    cr_expect_str_eq(text_of(line, "msg"), "listening on port 8083");
    cr_expect_eq(strlen(text_of(line, "ts")), strlen("2025-01-01T00:00:00.000000Z"));
}

Test(log, hostile_text_stays_inside_its_string)
{
    static const struct {
        const char *text, *logged;
    } cases[] = {
        { "a\",\"level\":\"x", "a\",\"level\":\"x" },
        { "two\nlines\t\x01", "two\nlines\t\x01" },
        { "back\\slash", "back\\slash" },
        { "Zürich €😀", "Zürich €😀" },
        { "cut \xc3", "cut \xef\xbf\xbd" },
        { "overlong \xc0\xaf", "overlong \xef\xbf\xbd\xef\xbf\xbd" },
        { "surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "beyond \xf5\x80", "beyond \xef\xbf\xbd\xef\xbf\xbd" },
    };
    int fd = stderr_to_pipe();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_warn("%s", cases[i].text);
        json_auto_t *line = read_line(fd);
        cr_expect_str_eq(text_of(line, "msg"), cases[i].logged);
        cr_expect_str_eq(text_of(line, "level"), "warn");
    }
}

Test(log, a_message_without_end_is_cut_and_still_json)
{
    char text[20000];
    memset(text, 1, sizeof text - 1); /* each byte is six characters when escaped */
    text[sizeof text - 1] = '\0';
    int fd = stderr_to_pipe();
    log_info("%s", text);
    json_auto_t *line = read_line(fd);
    cr_expect_gt(strlen(text_of(line, "msg")), 1000);
}

Test(log, the_level_filters)
{
    (void)setenv("LOG_LEVEL", "warn", 1);
    log_init("identity");
    int fd = stderr_to_pipe();
    log_info("unseen");
    log_warn("seen");
    json_auto_t *first = read_line(fd);
    cr_expect_str_eq(text_of(first, "msg"), "seen");
    log_set_level(LOG_DEBUG);
    log_debug("now too");
    json_auto_t *second = read_line(fd);
    cr_expect_str_eq(text_of(second, "msg"), "now too");
}

Test(log, errors_and_traces_bring_their_fields)
{
    int fd = stderr_to_pipe();
    struct error e = { .kind = ERROR_TRANSIENT, .problem = "p", .field = "f", .message = "the database is away" };
    log_error("signup", &e);
    json_auto_t *warned = read_line(fd);
    cr_expect_str_eq(text_of(warned, "level"), "warn");
    cr_expect_str_eq(text_of(warned, "msg"), "signup: the database is away");
    cr_expect_str_eq(text_of(warned, "kind"), "transient");
    cr_expect_str_eq(text_of(warned, "problem"), "p");
    cr_expect_str_eq(text_of(warned, "field"), "f");
    struct trace trace;
    trace_new(&trace);
    char id[33];
    trace_id(&trace, id);
    log_trace(LOG_INFO, &trace, "traced");
    json_auto_t *traced = read_line(fd);
    cr_expect_str_eq(text_of(traced, "trace_id"), id);
}

Test(log, an_error_that_comes_again_is_counted)
{
    int fd = stderr_to_pipe();
    struct error e = { .kind = ERROR_TRANSIENT, .message = "the database is away" };
    for (int i = 0; i < 1000; i++)
        log_error_seldom("ledger-postings", &e);
    json_auto_t *line = read_line(fd);
    cr_expect_str_eq(text_of(line, "msg"), "ledger-postings: the database is away");
    log_info("next");
    json_auto_t *next = read_line(fd);
    cr_expect_str_eq(text_of(next, "msg"), "next");
}

/* A client of nobody says at once that nobody is there, and again whenever it tries. */
Test(log, what_librdkafka_says_is_json_too_and_said_once)
{
    int fd = stderr_to_pipe();
    struct error e = { 0 };
    const struct kafka_options nowhere = { .brokers = "127.0.0.1:1", .client_id = "sample" };
    kafka_log_to(log_kafka);
    for (int i = 0; i < 3; i++) {
        rd_kafka_t *producer = NULL;
        cr_assert(kafka_transactional_producer(&nowhere, "t", NULL, &producer, &e), "%s", e.message);
        rd_kafka_error_destroy(rd_kafka_init_transactions(producer, 300));
        rd_kafka_destroy(producer);
    }
    log_info("end");
    size_t lines = 0;
    char text[32 * 1024];
    ssize_t len = read(fd, text, sizeof text - 1);
    cr_assert_gt(len, 0);
    text[len] = '\0';
    cr_expect(strstr(text, "Connection refused"), "%s", text);
    for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1, lines++) {
        json_auto_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        cr_expect(json_is_object(line), "%.*s", (int)(end - at), at);
    }
    cr_expect_leq(lines, 4, "three producers, and: refused; all brokers are down; end: %s", text);
}
