#include <event_bus/kafka.h>

#include <criterion/criterion.h>
#include <librdkafka/rdkafka_mock.h>

static const struct kafka_options nowhere = { .brokers = "127.0.0.1:1", .topic_prefix = "t-" };

Test(kafka, a_transactional_call_that_worked_is_done_and_leaves_the_error_alone)
{
    struct error e = { 0 };
    cr_expect_eq(kafka_react(NULL, "commit", &e), KAFKA_DONE);
    cr_expect(error_is(&e, ERROR_NONE));
}

/* What the broker's errors ask for is tested on librdkafka's mock broker, by those who publish. */
Test(kafka, an_error_that_asks_for_nothing_is_given_up)
{
    struct error e = { 0 };
    rd_kafka_error_t *error = rd_kafka_error_new(RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "not you");
    cr_expect_eq(kafka_react(error, "init transactions", &e), KAFKA_GIVE_UP);
    cr_expect(error_is(&e, ERROR_FATAL));
    cr_expect_eq(e.code, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    cr_expect_str_eq(e.message, "init transactions: not you");
}

Test(kafka, a_transactional_producer_has_the_prefix_and_names_the_setting_that_is_wrong)
{
    struct error e = { 0 };
    rd_kafka_t *producer = NULL;
    char id[64];
    size_t len = sizeof id;
    cr_assert(kafka_transactional_producer(&nowhere, "copier", NULL, &producer, &e), "%s", e.message);
    cr_expect_eq(rd_kafka_conf_get(rd_kafka_conf(producer), "transactional.id", id, &len), RD_KAFKA_CONF_OK);
    cr_expect_str_eq(id, "t-copier");
    rd_kafka_destroy(producer);

    static const char *const wrong[] = { "linger.ms", "5", "linger", "5", NULL };
    cr_assert_not(kafka_transactional_producer(&nowhere, "copier", wrong, &producer, &e));
    cr_expect(error_is(&e, ERROR_INVALID));
    cr_expect_str_eq(e.field, "linger");
}

/* The commit knows what became of each event: nobody has to ask for delivery reports, or wait for them. */
Test(kafka, a_transaction_is_done_step_by_step_and_a_broker_that_is_loading_is_asked_again)
{
    struct error e = { 0 };
    char why[128];
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why), *producer = NULL;
    cr_assert_not_null(handle, "%s", why);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(handle, 1);
    const struct kafka_options kafka = { .brokers = rd_kafka_mock_cluster_bootstraps(cluster) };
    cr_assert(kafka_transactional_producer(&kafka, "copier", NULL, &producer, &e), "%s", e.message);
    rd_kafka_mock_broker_set_down(cluster, 1);
    cr_expect_eq(kafka_react(rd_kafka_init_transactions(producer, 50), "init", &e), KAFKA_AGAIN);
    cr_expect(error_is(&e, ERROR_TRANSIENT));
    rd_kafka_mock_broker_set_up(cluster, 1);
    cr_expect_eq(kafka_react(rd_kafka_init_transactions(producer, 10000), "init", &e), KAFKA_DONE);
    cr_expect_eq(kafka_react(rd_kafka_begin_transaction(producer), "begin", &e), KAFKA_DONE);
    cr_assert_eq(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("copies"), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_END), 0);
    cr_expect_eq(kafka_react(rd_kafka_commit_transaction(producer, 10000), "commit", &e), KAFKA_DONE);
    rd_kafka_destroy(producer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
}
