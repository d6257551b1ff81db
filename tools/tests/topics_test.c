/* penstock-topics makes a running Kafka what the file declares, and says where it is not. */
#include "support.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char template[] =
    "channels:\n  a.v1:\n    address: a.v1\n    bindings:\n      kafka:\n        partitions: %d\n"
    "        replicas: 1\n        topicConfiguration:\n          retention.ms: %d\n";

/* Runs penstock-topics with a declaration of one topic. Returns its exit status. */
static int topics(const char *option, const char *prefix, int partitions, int retention_ms)
{
    char path[] = "/tmp/penstock-topics-XXXXXX", program[SUPPORT_PATH_MAX], env[SUPPORT_NAME_MAX];
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && dprintf(fd, template, partitions, retention_ms) > 0);
    close(fd);
    snprintf(env, sizeof env, "TOPIC_PREFIX=%s", prefix);
    struct support_process process;
    support_process_start(&process,
        (const char *const[]){ support_build_path("tools/penstock-topics", program), option, path, NULL },
        (const char *const[]){ env, NULL });
    int status = support_process_wait(&process, 60000);
    unlink(path);
    return status;
}

Test(topics, are_created_checked_changed_and_deleted)
{
    char prefix[SUPPORT_NAME_MAX / 2];
    snprintf(prefix, sizeof prefix, "t%012llx-", (unsigned long long)(support_random() >> 16));
    support_kafka_brokers();
    const struct {
        const char *claim, *option;
        int partitions, retention_ms, status;
    } steps[] = {
        { "a missing topic is a difference", "--check", 3, 1000000, 1 },
        { "a missing topic is created", "--quiet", 3, 1000000, 0 },
        { "what was created is as declared", "--check", 3, 1000000, 0 },
        { "creating again changes nothing", "--quiet", 3, 1000000, 0 },
        { "another retention is a difference", "--check", 3, 2000000, 1 },
        { "another retention is set", "--quiet", 3, 2000000, 0 },
        { "the new retention is as declared", "--check", 3, 2000000, 0 },
        { "another number of partitions is refused", "--quiet", 4, 2000000, 1 },
        { "and a difference", "--check", 4, 2000000, 1 },
        { "it is deleted", "--delete", 3, 2000000, 0 },
        { "deleting what is not there is fine", "--delete", 3, 2000000, 0 },
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int status = topics(steps[i].option, prefix, steps[i].partitions, steps[i].retention_ms);
        cr_expect_eq(status, steps[i].status, "%s: exit %d", steps[i].claim, status);
    }
}

Test(topics, of_the_committed_file_exist_under_a_prefix_and_pass_the_check)
{
    char prefix[SUPPORT_NAME_MAX], env[SUPPORT_NAME_MAX * 2], program[SUPPORT_PATH_MAX], file[SUPPORT_PATH_MAX];
    support_topics_open(prefix);
    snprintf(env, sizeof env, "TOPIC_PREFIX=%s", prefix);
    support_build_path("tools/penstock-topics", program);
    support_source_path("schemas/asyncapi.yaml", file);
    struct support_process process;
    support_process_start(
        &process, (const char *const[]){ program, "--check", file, NULL }, (const char *const[]){ env, NULL });
    cr_expect_eq(support_process_wait(&process, 60000), 0);
}

Test(topics, an_unreachable_kafka_is_said_and_fails)
{
    char program[SUPPORT_PATH_MAX], file[SUPPORT_PATH_MAX];
    support_build_path("tools/penstock-topics", program);
    support_source_path("schemas/asyncapi.yaml", file);
    struct support_process process;
    support_process_start(&process, (const char *const[]){ program, file, NULL },
        (const char *const[]){ "KAFKA_BROKERS=127.0.0.1:1", NULL });
    cr_expect_eq(support_process_wait(&process, 60000), 1);
}
