/* short_session.c -- what a killed child leaves behind is free sooner, so that tests need not wait: its partitions
 * after 1.5 s instead of 6, its open transaction after 8 s instead of 60. Linked with --wrap=rd_kafka_conf_set. */
#include <librdkafka/rdkafka.h>
#include <string.h>

static const struct {
    const char *name, *value;
} shorter[] = { { "session.timeout.ms", "1500" }, { "heartbeat.interval.ms", "300" },
    { "transaction.timeout.ms", "8000" } };

rd_kafka_conf_res_t __real_rd_kafka_conf_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, char *why, size_t size);
rd_kafka_conf_res_t __wrap_rd_kafka_conf_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, char *why, size_t size);

rd_kafka_conf_res_t __wrap_rd_kafka_conf_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, char *why, size_t size)
{
    for (size_t i = 0; i < sizeof shorter / sizeof shorter[0]; i++)
        value = strcmp(name, shorter[i].name) == 0 ? shorter[i].value : value;
    return __real_rd_kafka_conf_set(conf, name, value, why, size);
}
