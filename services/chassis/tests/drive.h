/* drive.h -- the sample service as a child process, and raw bytes to and from it. Tests only. */
#pragma once

#include "support.h"

#include <event_bus/base.h>

#include <libpq-fe.h>

enum { DRIVE_TEXT_MAX = 256 * 1024 };

struct sample {
    struct support_database database;
    struct support_process process;
    uint16_t port;
    PGconn *admin;
};

/* A database with the sample's table, a key set to fetch, and the service, healthy. more: further settings or NULL. */
void sample_start(struct sample *ret_sample, const char *const *more);
/* The same without waiting for it. */
void sample_launch(struct sample *ret_sample, const char *const *more);
int64_t sample_number(const struct sample *sample, const char *sql); /* one number from its database */
void sample_sql(const struct sample *sample, const char *sql);
/* Waits until its log has the text; the test fails after timeout_ms. */
void sample_log_has(const struct sample *sample, const char *text, uint32_t timeout_ms);

int drive_connect(uint16_t port);
void drive_send(int fd, const char *bytes, size_t len);
/* Reads until `statuses` answers are complete (or the other side closes), at most timeout_ms. Returns the bytes. */
size_t drive_read(int fd, size_t answers, uint32_t timeout_ms, char ret_text[DRIVE_TEXT_MAX]);
/* "200 413 closed": the statuses of the answers in text, and whether the connection ended after them. */
void drive_summary(int fd, const char *text, size_t len, char *ret_summary, size_t size);
/* One POST on an open connection: its status. */
int drive_post(int fd, const char *path, const char *body);

/* A key set served on a port of its own, by a thread. rotate: new keys from now on. */
struct identity;
struct identity *identity_start(void);
void identity_rotate(struct identity *identity);
char *identity_token(struct identity *identity, const char *subject); /* the caller's (xfree) */
const char *identity_url(const struct identity *identity);
