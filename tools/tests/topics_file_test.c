/* The declared topics are read as they are written, and a mistake is named. */
#include "topics_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#define CHANNEL(name, kafka) "  " name ":\n    address: " name "\n    bindings:\n      kafka:\n" kafka

static bool load(const char *text, struct topic_list *ret_list, struct error *e)
{
    char path[] = "/tmp/penstock-topics-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    bool ok = topics_load(path, "p-", ret_list, e);
    unlink(path);
    return ok;
}

Test(topics_file, a_channel_becomes_a_topic_with_its_partitions_and_settings)
{
    struct topic_list list;
    struct error e = { 0 };
    cr_assert(load("channels:\n" CHANNEL("orders.v1", "        partitions: 4\n        replicas: 1\n"
                                                      "        topicConfiguration:\n"
                                                      "          cleanup.policy: [compact, delete]\n"
                                                      "          retention.ms: -1\n")
                       CHANNEL("bare.v1", "        partitions: 1\n        replicas: 3\n"),
                  &list, &e),
        "%s", e.message);
    cr_assert_eq(list.count, 2);
    const struct topic *topic = topic_find(&list, "p-orders.v1");
    cr_assert(topic);
    cr_expect_eq(topic->partitions, 4);
    cr_expect_eq(topic->replicas, 1);
    cr_expect_str_eq(topic_setting(topic, "cleanup.policy"), "compact,delete");
    cr_expect_str_eq(topic_setting(topic, "retention.ms"), "-1");
    cr_expect_null(topic_setting(topic, "segment.ms"));
    cr_expect_eq(topic_find(&list, "p-bare.v1")->replicas, 3);
    cr_expect_null(topic_find(&list, "orders.v1"));
    topics_release(&list);
}

Test(topics_file, a_mistake_is_named)
{
    const struct {
        const char *text, *named;
    } cases[] = {
        { "channels: [", ":2" },
        { "", "no channels" },
        { "channels: {}", "no channels" },
        { "channels:\n  a:\n    address: a\n", "bindings.kafka" },
        { "channels:\n  a:\n    bindings:\n      kafka: {}\n", "a: no address" },
        { "channels:\n" CHANNEL("a", "        partitions: 0\n        replicas: 1\n"), "partitions" },
        { "channels:\n" CHANNEL("a", "        partitions: 4x\n        replicas: 1\n"), "partitions" },
        { "channels:\n" CHANNEL("a", "        partitions: 4\n"), "replicas" },
        { "channels:\n" CHANNEL("a", "        partitions: 4\n        replicas: 1\n        topicConfiguration: 7\n"),
            "mapping" },
        { "channels:\n" CHANNEL("a", "        partitions: 4\n        replicas: 1\n        topicConfiguration:\n"
                                     "          retention.ms: {}\n"),
            "retention.ms" },
        { "channels:\n" CHANNEL("a", "        partitions: 4\n        replicas: 1\n")
                CHANNEL("a", "        partitions: 4\n        replicas: 1\n"),
            "twice" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct topic_list list;
        struct error e = { 0 };
        cr_expect_not(load(cases[i].text, &list, &e), "accepted: %s", cases[i].text);
        cr_expect_eq(e.kind, ERROR_INVALID);
        cr_expect(strstr(e.message, cases[i].named), "%s does not name %s", e.message, cases[i].named);
    }
}

Test(topics_file, a_missing_file_is_named)
{
    struct topic_list list;
    struct error e = { 0 };
    cr_assert_not(topics_load("/nowhere.yaml", "", &list, &e));
    cr_expect(strstr(e.message, "/nowhere.yaml"));
}
