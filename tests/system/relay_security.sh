#!/usr/bin/env bash
# relay_security.sh -- the relay through TLS and SASL to a Kafka that forbids everything not allowed, and through TLS with the
# server's certificate checked to a Postgres that refuses anything else, with the least rights that its README lists. What is set
# wrongly is named by its setting.
#
# SASL is PLAIN, and SCRAM-SHA-512 where librdkafka can: before 2.6.1, as Debian 12 has it, Kafka 4 refuses it. Then the relay must say so,
# and SCRAM is tried with the newer librdkafka that the tests' Python client brings.
set -uo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
for part in common ports packages process postgres kafka servers; do
    # shellcheck source=/dev/null
    . "$root/tools/launcher/$part.sh"
done
: "${PENSTOCK_BUILD:=$root/build-test}" "${PENSTOCK_CACHE:=$root/var/cache}"
python=${PENSTOCK_PYTHON:-$PENSTOCK_CACHE/python/bin/python}
relay=$PENSTOCK_BUILD/outbox-relay/outbox-relay
topic=orders.accepted.v1
failed=0 supervisors=() tied=1 relay_pid=''
folder=$(mktemp -d /tmp/penstock-test-XXXXXX)
chmod 755 "$folder"

pass() { printf 'ok %s\n' "$1"; }
flunk() { failed=1; printf 'not ok %s\n' "$1"; shift; [ $# -eq 0 ] || printf '     %s\n' "$@"; }

stop_relay() {
    [ -z "$relay_pid" ] || { kill -TERM "$relay_pid" 2>/dev/null; wait "$relay_pid" 2>/dev/null; }
    relay_pid=''
}
end() {
    trap '' INT TERM
    stop_relay
    stop_servers
    rm -rf "$folder"
    exit $failed
}
trap end EXIT
trap 'failed=1; exit' INT TERM

# ---- An authority, a certificate for 127.0.0.1, and an authority that nobody knows ----

make_certificates() {
    local tls=$home/tls
    mkdir -p "$tls" && cd "$tls" || return 1
    for authority in ca stranger; do
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$authority" -keyout $authority.key -out $authority.pem || return 1
    done
    openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr &&
        printf 'subjectAltName=IP:127.0.0.1\n' >server.ext &&
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem &&
        openssl pkcs8 -topk8 -nocrypt -in server.key -out server.pk8 && cat server.pk8 server.pem >broker.pem || return 1
    cp server.key postgres.key && chmod 600 postgres.key && chmod 755 . && chmod 644 ./*.pem
    own postgres.key broker.pem ca.pem server.pem
    cd "$OLDPWD" || return 1
}

# ---- Servers: the launcher's, closed ----

write_kafka_settings() {
    cat >"$home/kafka.properties" <<-SETTINGS
	process.roles=broker,controller
	node.id=1
	controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER_PORT
	listeners=SASL_SSL://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT
	advertised.listeners=SASL_SSL://127.0.0.1:$KAFKA_PORT
	listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
	controller.listener.names=CONTROLLER
	inter.broker.listener.name=SASL_SSL
	sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
	sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
	listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="$ADMIN_PASSWORD";
	listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="$ADMIN_PASSWORD" user_admin="$ADMIN_PASSWORD" user_relay="$RELAY_KAFKA_PASSWORD";
	ssl.keystore.type=PEM
	ssl.keystore.location=$home/tls/broker.pem
	ssl.truststore.type=PEM
	ssl.truststore.location=$home/tls/ca.pem
	authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
	super.users=User:admin;User:ANONYMOUS
	log.dirs=$home/kafka
	auto.create.topics.enable=false
	offsets.topic.replication.factor=1
	offsets.topic.num.partitions=4
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.state.log.num.partitions=4
	SETTINGS
    own "$home/kafka.properties"
}

format_kafka() {
    rm -rf "$home/kafka"
    private_folder "$home/kafka"
    (cd / && "${run_as[@]}" "${kafka_java[@]}" kafka.tools.StorageTool format --cluster-id "$(kafka_cluster_id)" \
        --config "$home/kafka.properties" --add-scram "SCRAM-SHA-512=[name=admin,password=$ADMIN_PASSWORD]" \
        --add-scram "SCRAM-SHA-512=[name=relay,password=$RELAY_KAFKA_PASSWORD]")
}

start_closed_postgres() {
    step 'initialising Postgres' "$log/postgres.log" initialise_postgres
    printf 'local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n' >"$home/postgres/pg_hba.conf"
    start_process postgres INT "$postgres_bin/postgres" -D "$home/postgres" -p "$POSTGRES_PORT" -k "$socket" \
        -c listen_addresses=127.0.0.1 -c password_encryption=scram-sha-256 -c ssl=on -c "ssl_cert_file=$home/tls/server.pem" \
        -c "ssl_key_file=$home/tls/postgres.key"
}

admin_topics() {
    KAFKA_SECURITY_PROTOCOL=sasl_ssl KAFKA_SASL_MECHANISM=PLAIN KAFKA_SASL_USERNAME=admin KAFKA_SASL_PASSWORD=$ADMIN_PASSWORD \
        "$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$root/schemas/asyncapi.yaml"
}

# ---- The relay ----

scram_works() { printf '2.6.1\n%s\n' "$(pkg-config --modversion rdkafka)" | sort --version-sort --check=quiet; }

start_relay() { # NAME=VALUE…: instead of what is right
    : >"$folder/relay.log"
    env OUTBOX_RELAY_SOURCES=trade-ledger OUTBOX_RELAY_PORT="$RELAY_PORT" KAFKA_SECURITY_PROTOCOL=sasl_ssl \
        KAFKA_SASL_MECHANISM=PLAIN KAFKA_SASL_USERNAME=relay KAFKA_SASL_PASSWORD="$RELAY_KAFKA_PASSWORD" \
        RELAY_TRADE_LEDGER_POSTGRES_URL="$relay_url" "$@" "$relay" >"$folder/relay.log" 2>&1 &
    relay_pid=$!
}
says() { grep -qE "$1" "$folder/relay.log"; }

eventually() { # SECONDS COMMAND…
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.3
    done
}

write_row() { # TOPIC TEXT
    psql --no-psqlrc --quiet "$admin_url/security_trade_ledger?$admin_query" -v ON_ERROR_STOP=1 \
        -c "SELECT outbox_write('$1', 'k', 'penstock.test.v1.Happened', '$2'::bytea)" >/dev/null
}

# complains NAME PATTERN NAME=VALUE…: set so, the relay's log matches the pattern, and nothing is published.
complains() {
    local name=$1 pattern=$2
    shift 2
    start_relay "$@"
    if eventually 90 says "$pattern"; then pass "$name"; else flunk "$name" "wanted: $pattern" "$(tail -n 5 "$folder/relay.log")"; fi
    stop_relay
}

# ---- ----

require_packages
PENSTOCK_HOME=$folder
choose_user
locate_home
make_home
supervise=$home/supervise
cp "$root/tools/launcher/supervise" "$supervise"
ensure_kafka
reserve_ports 4
read -r POSTGRES_PORT KAFKA_PORT KAFKA_CONTROLLER_PORT RELAY_PORT <<<"${ports[*]}"
ADMIN_PASSWORD=$(head -c 12 /dev/urandom | base64 | tr '+/' 'ab')
RELAY_KAFKA_PASSWORD=$(head -c 12 /dev/urandom | base64 | tr '+/' 'cd')
RELAY_PASSWORD=$(head -c 12 /dev/urandom | base64 | tr -d '+/=')
export ADMIN_PASSWORD RELAY_PASSWORD
own_postgres=1 own_kafka=1
choose_socket
make_certificates >"$log/tls.log" 2>&1 || { cat "$log/tls.log"; flunk 'certificates can be made'; exit; }
start_closed_postgres
start_kafka
await_servers

admin_url=postgresql://postgres:$(cat "$(secret postgres)")@
admin_query="host=$(percent_encode "$socket")&port=$POSTGRES_PORT"
export KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT KAFKA_SSL_CA_LOCATION=$home/tls/ca.pem TOPIC_PREFIX=closed- DATABASE_PREFIX=security_
POSTGRES_URL="$admin_url/postgres?$admin_query" "$root/tools/migrate" --quiet trade-ledger || { flunk 'the database can be made'; exit; }
relay_url="postgresql://security_relay:$RELAY_PASSWORD@127.0.0.1:$POSTGRES_PORT/security_trade_ledger?sslmode=verify-full&sslrootcert=$home/tls/ca.pem"
if eventually 60 admin_topics 2>"$log/topics.log"; then pass 'the administrator makes the topics'; else flunk 'the administrator makes the topics' "$(tail -n 3 "$log/topics.log")"; exit; fi
write_row "$topic" one

complains 'without rights the relay says that it is not authorised' 'init_transactions: .*[Aa]uthoriz'
"$python" "$root/tests/system/relay_security.py" allow closed- trade-ledger "$topic" || flunk 'rights can be given'

complains 'a wrong Kafka password is said to be one' 'KAFKA_SASL_(USERNAME|PASSWORD)' KAFKA_SASL_PASSWORD=wrong
complains 'an authority that did not sign the broker is said to be one' 'KAFKA_SSL_CA_LOCATION' KAFKA_SSL_CA_LOCATION="$home/tls/stranger.pem"
complains 'an authority that is not there is named' 'KAFKA_SSL_CA_LOCATION|ssl.ca.location' KAFKA_SSL_CA_LOCATION="$home/tls/none.pem"
complains 'a wrong Postgres password is said to be one' 'RELAY_TRADE_LEDGER_POSTGRES_URL.*password authentication failed' \
    RELAY_TRADE_LEDGER_POSTGRES_URL="${relay_url/$RELAY_PASSWORD@/wrong@}"
complains 'a Postgres with a stranger'\''s certificate is refused' 'RELAY_TRADE_LEDGER_POSTGRES_URL.*certificate verify failed' \
    RELAY_TRADE_LEDGER_POSTGRES_URL="${relay_url/tls\/ca.pem/tls\/stranger.pem}"
complains 'Postgres refuses the relay without TLS' 'RELAY_TRADE_LEDGER_POSTGRES_URL.*(no encryption|pg_hba)' \
    RELAY_TRADE_LEDGER_POSTGRES_URL="${relay_url/sslmode=verify-full/sslmode=disable}"

start_relay
write_row "$topic" two
got=$("$python" "$root/tests/system/relay_security.py" read "closed-$topic" 2)
if [ "$got" = 'one two' ]; then pass 'with the rights of the README it publishes, through TLS on both sides'; else flunk 'with the rights of the README it publishes' "got: $got" "$(tail -n 5 "$folder/relay.log")"; fi

stop_relay

scram=(KAFKA_SASL_MECHANISM=SCRAM-SHA-512)
scram_works || complains 'with SCRAM a librdkafka that is too old for Kafka 4 is said to be' 'librdkafka 2\.6\.1' "${scram[@]}"
scram_works || scram+=(LD_PRELOAD="$("$python" -c 'import confluent_kafka, glob; print(glob.glob(confluent_kafka.__path__[0] + ".libs/librdkafka*.so*")[0])')")
start_relay "${scram[@]}"
write_row orders.events.v1 forbidden
write_row "$topic" three
got=$("$python" "$root/tests/system/relay_security.py" read "closed-$topic" 3)
if [ "$got" = 'one three two' ]; then pass 'by SCRAM too, and from its position on; a topic that it may not write is parked, others go on'; else flunk 'by SCRAM too, and from its position on; a topic that it may not write is parked, others go on' "got: $got" "$(tail -n 5 "$folder/relay.log")"; fi
is_parked() {
    parked=$(psql --no-psqlrc -At "$admin_url/security_trade_ledger?$admin_query" -c "SELECT topic || ': ' || reason FROM outbox_parked")
    [[ $parked == orders.events.v1:*authoriz* ]]
}
if eventually 90 is_parked; then pass 'with the reason'; else flunk 'with the reason' "got: $parked"; fi
stop_relay
