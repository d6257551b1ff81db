/* Heads of requests, good and bad. */
#include "../http1.h"

#include <criterion/criterion.h>
#include <stdio.h>

static bool is(struct bytes piece, const char *text)
{
    return piece.len == strlen(text) && (piece.len == 0 || memcmp(piece.data, text, piece.len) == 0);
}

static enum http1_result parse(const char *text, struct http1_head *head, struct error *e)
{
    size_t used = 0;
    *e = (struct error){ 0 };
    const enum http1_result result = http1_parse((struct bytes){ text, strlen(text) }, head, &used, e);
    if (result == HTTP1_DONE)
        cr_assert(strncmp(text + used - 4, "\r\n\r\n", 4) == 0);
    return result;
}

Test(http1, a_head_is_taken_apart)
{
    struct http1_head head;
    struct error e;
    cr_assert_eq(parse("POST /a%20b/c?x=1&y=2 HTTP/1.1\r\nHost: h\r\nauthorization:  Bearer abc \t\r\nContent-Type: "
                       "application/json\r\nIDEMPOTENCY-KEY: k 1\r\nTraceparent: t\r\nContent-Length: 12\r\n"
                       "Expect: 100-Continue\r\n\r\nbody",
                     &head, &e),
        HTTP1_DONE);
    cr_assert(is(head.method, "POST"));
    cr_assert(is(head.path, "/a%20b/c"));
    cr_assert(is(head.query, "x=1&y=2"));
    cr_assert(is(head.authorization, "Bearer abc"));
    cr_assert(is(head.content_type, "application/json"));
    cr_assert(is(head.idempotency_key, "k 1"));
    cr_assert(is(head.traceparent, "t"));
    cr_assert_eq(head.content_length, 12);
    cr_assert(head.expects_continue);
    cr_assert_not(head.close);
}

Test(http1, the_connection_stays_or_ends_as_the_client_says)
{
    const struct {
        const char *text;
        bool close;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nConnection: TE , Close\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nConnection: closed\r\n\r\n", false },
        { "GET / HTTP/1.0\r\n\r\n", true },
        { "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head;
        struct error e;
        cr_assert_eq(parse(cases[i].text, &head, &e), HTTP1_DONE, "%s", cases[i].text);
        cr_expect_eq(head.close, cases[i].close, "%s", cases[i].text);
    }
}

Test(http1, an_incomplete_head_asks_for_more)
{
    static const char whole[] = "GET /x HTTP/1.1\r\nA: b\r\n\r\n";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        struct http1_head head;
        struct error e = { 0 };
        size_t used = 0;
        cr_expect_eq(http1_parse((struct bytes){ whole, len }, &head, &used, &e), HTTP1_MORE, "%zu bytes", len);
    }
}

Test(http1, a_malformed_head_is_refused_and_the_connection_with_it)
{
    static const char *const cases[] = {
        " GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.x\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET /\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET /\x80 HTTP/1.1\r\n\r\n",
        "G\x01T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
        "GET / HTTP/1.1\r\nIdempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_head head;
        struct error e;
        cr_expect_eq(parse(cases[i], &head, &e), HTTP1_BAD, "%s", cases[i]);
        cr_expect_eq(e.kind, ERROR_INVALID, "%s", cases[i]);
        cr_expect(head.unframed && head.close, "%s", cases[i]);
    }
}

Test(http1, a_head_is_bounded_in_bytes_and_in_fields)
{
    struct http1_head head;
    struct error e = { 0 };
    size_t used = 0;
    char text[HTTP1_HEAD_MAX + 1];
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    cr_assert_eq(http1_parse((struct bytes){ text, sizeof text }, &head, &used, &e), HTTP1_BAD);
    cr_assert_str_eq(e.problem, "headers-too-large");

    char *at = text;
    at += sprintf(at, "GET / HTTP/1.1\r\n");
    for (int i = 0; i <= HTTP1_FIELDS_MAX; i++)
        at += sprintf(at, "A: b\r\n");
    sprintf(at, "\r\n");
    cr_assert_eq(parse(text, &head, &e), HTTP1_BAD);
}

Test(http1, a_target_may_be_absolute_or_a_star)
{
    struct http1_head head;
    struct error e;
    cr_assert_eq(parse("GET http://host:1/p?q HTTP/1.1\r\n\r\n", &head, &e), HTTP1_DONE);
    cr_assert(is(head.path, "/p") && is(head.query, "q"));
    cr_assert_eq(parse("OPTIONS * HTTP/1.1\r\n\r\n", &head, &e), HTTP1_DONE);
    cr_assert(is(head.path, "*"));
    cr_assert_eq(parse("GET http://host HTTP/1.1\r\n\r\n", &head, &e), HTTP1_BAD);
}

Test(http1, a_path_is_decoded_once_and_strictly)
{
    const struct {
        const char *path, *decoded; /* NULL: refused */
    } cases[] = {
        { "/a%20b", "/a b" },
        { "/%2541", "/%41" },
        { "/%e2%82%ac", "/\u20ac" },
        { "/a+b", "/a+b" },
        { "/../x", "/../x" },
        { "/%00", NULL },
        { "/%0a", NULL },
        { "/%", NULL },
        { "/%4", NULL },
        { "/%g1", NULL },
        { "/0123456789abcdef", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[16];
        const bool decoded =
            http1_decode_path((struct bytes){ cases[i].path, strlen(cases[i].path) }, text, sizeof text);
        cr_expect_eq(decoded, cases[i].decoded != NULL, "%s", cases[i].path);
        if (decoded && cases[i].decoded)
            cr_expect_str_eq(text, cases[i].decoded);
    }
}
