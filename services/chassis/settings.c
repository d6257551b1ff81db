/* settings.c -- the settings every service has, as a table made for one service. */
#include "runtime.h"

#include <assert.h>
#include <ctype.h>

bool service_needs_tokens(const struct service *service)
{
    for (const struct http_route *route = service->routes; route && route->method; route++)
        if (route->auth != HTTP_AUTH_NONE)
            return true;
    return false;
}

struct builder {
    struct common_table *table;
    const char *service;
    size_t count;
};

static void add(struct builder *builder, struct config_item item)
{
    assert(builder->count + 1 < COMMON_ITEMS_MAX);
    builder->table->items[builder->count++] = item;
}

/* The same with the service's name before it: TRADE_LEDGER_PORT. */
static void add_own(struct builder *builder, struct config_item item)
{
    char *name = builder->table->names[builder->count];
    const int len = snprintf(name, sizeof builder->table->names[0], "%s_%s", builder->service, item.name);
    assert(len > 0 && (size_t)len < sizeof builder->table->names[0]);
    for (size_t i = 0; builder->service[i]; i++)
        name[i] = builder->service[i] == '-' ? '_' : (char)toupper((unsigned char)builder->service[i]);
    item.name = name;
    add(builder, item);
}

#define AT(member) offsetof(struct common_settings, member)

static void add_http(struct builder *builder, const struct service *service)
{
    snprintf(builder->table->port, sizeof builder->table->port, "%u", (unsigned)service->port);
    add_own(builder, (struct config_item){
                         "PORT", CONFIG_PORT, AT(port), service->port ? builder->table->port : NULL, "HTTP port" });
    add_own(builder, (struct config_item){ "HOST", CONFIG_STRING, AT(host), "127.0.0.1", "address to listen on" });
    add_own(builder, (struct config_item){ "WORKERS", CONFIG_INT, AT(workers), "4",
                         "threads for plain requests, one database connection each", .min = 1, .max = WORKERS_MAX });
    add_own(builder, (struct config_item){ "SLOW_WORKERS", CONFIG_INT, AT(slow_workers), "2",
                         "threads for requests that cost much CPU", .min = 1, .max = WORKERS_MAX });
    add_own(builder, (struct config_item){ "QUEUE_MAX", CONFIG_INT, AT(queue_max), "4096",
                         "requests that may wait in each queue; more are answered 503", .min = 1, .max = 1000000 });
    if (service->lane_threads_max > 1)
        add_own(builder,
            (struct config_item){ "LANE_THREADS", CONFIG_INT, AT(lane_threads), "0",
                "threads for each lane of batched requests, one database connection each; 0: by the processors",
                .min = 0, .max = ROUTE_QUEUES_MAX });
    if (service->database)
        add_own(builder,
            (struct config_item){ "POSTGRES_URL", CONFIG_SECRET, AT(postgres_url), NULL, "database of this service" });
}

static void add_kafka(struct builder *builder)
{
    add(builder, (struct config_item){ "KAFKA_BROKERS", CONFIG_STRING, AT(brokers), "127.0.0.1:9092", "host:port,…" });
    add(builder, (struct config_item){ "TOPIC_PREFIX", CONFIG_STRING, AT(topic_prefix), "",
                     "put before every topic and consumer group" });
    add(builder, (struct config_item){ "KAFKA_SECURITY_PROTOCOL", CONFIG_STRING, AT(security_protocol), "",
                     "plaintext, ssl, sasl_plaintext or sasl_ssl" });
    add(builder, (struct config_item){ "KAFKA_SASL_MECHANISM", CONFIG_STRING, AT(sasl_mechanism), "",
                     "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512" });
    add(builder, (struct config_item){ "KAFKA_SASL_USERNAME", CONFIG_STRING, AT(sasl_username), "", "Kafka user" });
    add(builder, (struct config_item){ "KAFKA_SASL_PASSWORD", CONFIG_SECRET, AT(sasl_password), "", "its password" });
    add(builder, (struct config_item){ "KAFKA_SSL_CA_LOCATION", CONFIG_STRING, AT(ssl_ca_location), "",
                     "file with the authority that signed the brokers' certificates" });
}

void settings_table(const struct service *service, struct common_table *ret_table)
{
    *ret_table = (struct common_table){ 0 };
    struct builder builder = { .table = ret_table, .service = service->name };
    add_http(&builder, service);
    add_kafka(&builder);
    if (service_needs_tokens(service)) {
        add(&builder, (struct config_item){ "IDENTITY_URL", CONFIG_STRING, AT(identity_url), "http://127.0.0.1:8083",
                          "where the keys of access tokens are published" });
        add(&builder, (struct config_item){ "JWT_ISSUER", CONFIG_STRING, AT(jwt_issuer), "penstock", "iss of tokens" });
        add(&builder,
            (struct config_item){ "JWT_AUDIENCE", CONFIG_STRING, AT(jwt_audience), "penstock", "aud of tokens" });
    }
    add(&builder, (struct config_item){ "LOG_LEVEL", CONFIG_CHOICE, AT(log_level), "info", "least level that is logged",
                      .choices = "debug|info|warn|error" });
    add(&builder, (struct config_item){ "SHUTDOWN_TIMEOUT_MS", CONFIG_INT, AT(shutdown_timeout_ms), "10000",
                      "time for requests in flight after SIGTERM", .min = 0, .max = 600000 });
}

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

void settings_apply(struct service_runtime *runtime)
{
    const struct common_settings *common = &runtime->common;
    runtime->kafka = (struct kafka_options){
        .brokers = common->brokers,
        .topic_prefix = common->topic_prefix,
        .client_id = runtime->service->name,
        .security_protocol = or_null(common->security_protocol),
        .sasl_mechanism = or_null(common->sasl_mechanism),
        .sasl_username = or_null(common->sasl_username),
        .sasl_password = or_null(common->sasl_password),
        .ssl_ca_location = or_null(common->ssl_ca_location),
    };
    snprintf(runtime->pg_name, sizeof runtime->pg_name, "penstock-%s", runtime->service->name);
    runtime->pg = (struct pg_options){ .dsn = common->postgres_url, .application_name = runtime->pg_name };
    log_set_level((enum log_level)common->log_level);
}

void settings_print(const struct service *service, FILE *out)
{
    struct common_table table;
    settings_table(service, &table);
    fprintf(out,
        "Usage: penstock-%s [--help | --check]\n\n--check reads the settings and says what is wrong with "
        "them.\n\nSettings, from the environment; for each X, X_FILE may name a file that "
        "holds the value:\n\n",
        service->name);
    if (service->settings)
        config_print(service->settings, out);
    config_print(table.items, out);
}
