/* support.h -- what integration tests stand on: a fresh database, fresh topics, processes that go away with the test.
 *
 * Servers come from the environment: POSTGRES_URL (a role that may create databases and roles) and KAFKA_BROKERS;
 * `tests/with-servers CMD` provides both. Everything made here is the calling process's own and is removed when that
 * process ends, however it ends: databases and topics by a small guard process, children by the kernel. So a test opens
 * what it needs and never tears it down. (Criterion runs each test in a process of its own.)
 *
 * A helper that cannot do its work prints one line and ends the process with status 1: a test without its servers has
 * failed. Time limits are for a quiet machine; it waits several times as long before it calls something late. One
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SUPPORT_URL_MAX = 512,
    SUPPORT_NAME_MAX = 64,
    SUPPORT_PATH_MAX = 512,
    SUPPORT_ENV_MAX = 64,
    SUPPORT_BODY_MAX = 65536
};

const char *support_postgres_url(void);  /* POSTGRES_URL */
const char *support_kafka_brokers(void); /* KAFKA_BROKERS */

/* A database of one service with all its migrations applied by tools/migrate. */
struct support_database {
    char name[SUPPORT_NAME_MAX];     /* also the service role's name */
    char url[SUPPORT_URL_MAX];       /* as the service role */
    char relay_url[SUPPORT_URL_MAX]; /* as the relay role: its own for each database */
    char admin_url[SUPPORT_URL_MAX]; /* as the role of POSTGRES_URL: for looking and meddling */
};
void support_database_open(const char *service, struct support_database *ret_database); /* service: "trade-ledger" */

/* A random topic prefix, "t1a2b3c4d5e6f-", and all topics of schemas/asyncapi.yaml under it. */
void support_topics_open(char ret_prefix[SUPPORT_NAME_MAX]);

uint64_t support_random(void); /* of the operating system */
/* Free on 127.0.0.1, given to no other test while this process lives, and never to anybody's connection: a child may be
 * killed and started again on it. */
uint16_t support_free_port(void);

/* Paths: of a file in the source tree, of a file in the build tree. Return ret_path. */
const char *support_source_path(const char *relative, char ret_path[SUPPORT_PATH_MAX]);
const char *support_build_path(const char *relative, char ret_path[SUPPORT_PATH_MAX]);

/* A child process. Its standard output and error go to log_path, a fresh temporary file that is printed when the
 * process does not do what was asked and removed with support_process_stop() or support_process_kill(). */
struct support_process {
    pid_t pid; /* 0: not running */
    char name[SUPPORT_NAME_MAX];
    char log_path[SUPPORT_PATH_MAX];
};

/* argv[0] is a path; argv and env are NULL-terminated; env ("NAME=value") is added to the caller's environment. */
void support_process_start(struct support_process *ret_process, const char *const *argv, const char *const *env);
/* Waits until GET http://127.0.0.1:port/health answers 200. Fails when the process ends first. */
void support_process_wait_healthy(struct support_process *process, uint16_t port, uint32_t timeout_ms);
void support_process_kill(struct support_process *process); /* SIGKILL, and waits. Fine when it is not running */
/* SIGTERM, and waits. Returns the exit status, or 128 + signal. Fails after timeout_ms. */
int support_process_stop(struct support_process *process, uint32_t timeout_ms);
bool support_process_running(struct support_process *process);
int support_process_wait(struct support_process *process, uint32_t timeout_ms); /* as stop, without the signal */

/* A plain HTTP/1.1 request to 127.0.0.1:port; returns the status, 0 when nothing answers. headers: "Name: value\r\n…"
 * or ""; body NULL: none. ret_body, if wanted, gets the body's text, cut at SUPPORT_BODY_MAX - 1. */
int support_http(uint16_t port, const char *method, const char *path, const char *headers, const char *body,
    char ret_body[SUPPORT_BODY_MAX]);
