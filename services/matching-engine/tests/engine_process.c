#include "engine_process.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 50 };

void bench_open(struct bench *bench)
{
    support_topics_open(bench->prefix);
    bench->flow = flow_new(support_kafka_brokers(), bench->prefix);
}

void bench_feed_all(struct bench *bench)
{
    flow_feed(bench->flow, flow_fed(bench->flow), flow_count(bench->flow));
}

void engine_init(struct engine_process *engine)
{
    const char *folder = getenv("TMPDIR");

    memset(engine, 0, sizeof *engine);
    snprintf(engine->directory, sizeof engine->directory, "%.40s/engine-XXXXXX", folder ? folder : "/tmp");
    cr_assert(mkdtemp(engine->directory), "%s", engine->directory);
    engine->port = support_free_port();
    engine->standby = true;
    engine->session_ms = 1000;
}

void engine_release(struct engine_process *engine)
{
    char command[128];

    support_process_kill(&engine->process);
    snprintf(command, sizeof command, "rm -rf '%s'", engine->directory);
    cr_assert(system(command) == 0);
}

/* Sessions as short as the broker allows: most of a test's time is waiting for one to end. Small books: what is
 * reserved costs a sanitized process its time. */
void engine_start(struct engine_process *engine, const struct bench *bench, const char *crash_at)
{
    char path[SUPPORT_PATH_MAX], env[10][256];
    const char *variables[ARRAY_LEN(env) + 1] = { 0 };

    snprintf(env[0], sizeof env[0], "KAFKA_BROKERS=%s", support_kafka_brokers());
    snprintf(env[1], sizeof env[1], "TOPIC_PREFIX=%s", bench->prefix);
    snprintf(env[2], sizeof env[2], "MATCHING_ENGINE_PORT=%u", engine->port);
    snprintf(env[3], sizeof env[3], "MATCHING_ENGINE_DATA_DIR=%s", engine->directory);
    snprintf(env[4], sizeof env[4], "MATCHING_ENGINE_SNAPSHOT_EVERY=40");
    snprintf(env[5], sizeof env[5], "MATCHING_ENGINE_SESSION_TIMEOUT_MS=%u", engine->session_ms);
    snprintf(env[6], sizeof env[6], "MATCHING_ENGINE_STANDBY=%s", engine->standby ? "true" : "false");
    snprintf(env[7], sizeof env[7], "MATCHING_ENGINE_ORDERS_MAX=20000");
    snprintf(env[8], sizeof env[8], "MATCHING_ENGINE_PAGES_MAX=1024");
    snprintf(env[9], sizeof env[9], "CRASH_AT=%s", crash_at);
    for (size_t i = 0; i < ARRAY_LEN(env); i++)
        variables[i] = env[i];
    support_process_start(&engine->process,
        (const char *const[]){ support_build_path("services/matching-engine/penstock-matching-engine", path), NULL },
        variables);
}

void engine_start_healthy(struct engine_process *engine, const struct bench *bench)
{
    engine_start(engine, bench, "");
    support_process_wait_healthy(&engine->process, engine->port, START_TIMEOUT_MS);
}

int engine_ask(const struct engine_process *engine, const char *symbol, const char *what, char body[SUPPORT_BODY_MAX])
{
    char path[128];
    int status = 0;

    snprintf(path, sizeof path, "/internal/markets/%s/%s", symbol, what);
    for (int tries = 0; tries < DRAIN_TIMEOUT_MS / POLL_MS; tries++) {
        status = support_http(engine->port, "GET", path, "", NULL, body);
        if (status != 0 && status != 503)
            break;
        usleep(POLL_MS * 1000);
    }
    return status;
}

unsigned engine_partitions(const struct engine_process *engine, const char *role)
{
    char body[SUPPORT_BODY_MAX];
    unsigned partitions = 0;
    size_t i;
    json_t *entry;

    if (support_http(engine->port, "GET", "/internal/partitions", "", NULL, body) != 200)
        return 0;

    json_t *reply = json_loads(body, 0, NULL);

    json_array_foreach(json_object_get(reply, "partitions"), i, entry)
    {
        bool is = strcmp(json_string_value(json_object_get(entry, "role")), role) == 0;

        if (is && (json_is_true(json_object_get(entry, "warm")) || strcmp(role, "owner") == 0))
            partitions |= 1u << json_integer_value(json_object_get(entry, "partition"));
    }
    json_decref(reply);
    return partitions;
}

void engine_wait_partitions(const struct engine_process *engine, const char *role, int count)
{
    unsigned has = 0;

    for (int tries = 0; tries < START_TIMEOUT_MS / POLL_MS; tries++) {
        has = engine_partitions(engine, role);
        if (__builtin_popcount(has) == count)
            return;
        usleep(POLL_MS * 1000);
    }
    cr_assert_fail("%s of %d partitions, not %d", role, __builtin_popcount(has), count);
}
