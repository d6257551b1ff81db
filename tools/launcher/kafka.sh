# kafka.sh -- Apache Kafka, pinned, fetched through Maven once; one KRaft node on loopback in $home/kafka.

kafka_version=4.1.1

kafka_jars() {
    printf %s "$cache/kafka-$kafka_version"
}

# Fetched to a folder beside, checked against the committed sums, then put in place: a half-fetched one is never used.
# One at a time, where two runs share the cache.
fetch_kafka() {
    local jars
    jars=$(kafka_jars)
    (flock 9 && { [ -d "$jars" ] || fetch_jars "$jars"; }) 9>"$cache/kafka.lock"
}

# fetch_jars FOLDER
fetch_jars() {
    local jars=$1
    rm -rf "$jars.new" && mkdir -p "$jars.new" || return 1
    mvn --batch-mode --no-transfer-progress --file "$root/compose/kafka-pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$jars.new" -DincludeScope=runtime || return 1
    (cd "$jars.new" && sha256sum --quiet --strict --check "$root/compose/kafka-jars.sha256") || return 1
    chmod -R a+rX "$jars.new"
    rm -rf "$jars" && mv "$jars.new" "$jars"
}

ensure_kafka() {
    local jars
    jars=$(kafka_jars)
    [ -d "$jars" ] || step "fetching Kafka $kafka_version" "$log/maven.log" fetch_kafka
}

# A random id as Kafka makes them: 16 bytes in URL-safe base64, not beginning with '-'.
kafka_cluster_id() {
    local id=-
    while [[ $id == -* ]]; do
        id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-22)
    done
    printf %s "$id"
}

write_kafka_settings() {
    cat >"$home/kafka.properties" <<-SETTINGS
	# Written by the launcher at each start.
	process.roles=broker,controller
	node.id=1
	controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER_PORT
	listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT
	advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT
	controller.listener.names=CONTROLLER
	inter.broker.listener.name=PLAINTEXT
	log.dirs=$home/kafka
	# A broker that was killed may come back when its old session has expired. Much shorter, and a broker that only waits for the
	# processor is fenced too.
	broker.session.timeout.ms=6000
	broker.heartbeat.interval.ms=500
	auto.create.topics.enable=false
	group.min.session.timeout.ms=1000
	group.initial.rebalance.delay.ms=0
	offsets.topic.replication.factor=1
	offsets.topic.num.partitions=8
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.state.log.num.partitions=8
	share.coordinator.state.topic.replication.factor=1
	share.coordinator.state.topic.min.isr=1
	share.coordinator.state.topic.num.partitions=1
	SETTINGS
    own "$home/kafka.properties"
}

# Sets kafka_java: the command of a Kafka program, short of its class. Serial collector and the quick compiler only: one node starts in
# seconds, and the slow compiler took 40 % of the broker's processor in its first minutes for code that handled a request no faster
# (docs/benchmarks.md). For a broker of another size, or where the collector's pauses (50 ms) matter, KAFKA_JVM names others.
kafka_command() {
    local options
    read -ra options <<<"${KAFKA_JVM:--XX:+UseSerialGC -XX:TieredStopAtLevel=1}"
    kafka_java=(java "-Xms${KAFKA_HEAP:-512m}" "-Xmx${KAFKA_HEAP:-512m}" "${options[@]}" -XX:+ExitOnOutOfMemoryError -Xshare:auto
        -Djava.awt.headless=true "-Dlog4j2.configurationFile=$1" -cp "$(kafka_jars)/*")
}

format_kafka() {
    rm -rf "$home/kafka"
    private_folder "$home/kafka"
    (cd / && "${run_as[@]}" "${kafka_java[@]}" kafka.tools.StorageTool format --cluster-id "$(kafka_cluster_id)" \
        --config "$home/kafka.properties")
}

start_kafka() {
    local logging=$home/kafka-log4j2.properties
    cp "$root/compose/kafka-log4j2.properties" "$logging" && own "$logging"
    write_kafka_settings
    kafka_command "$logging"
    [ -f "$home/kafka/meta.properties" ] || step 'initialising Kafka' "$log/kafka.log" format_kafka
    start_process kafka TERM "${kafka_java[@]}" kafka.Kafka "$home/kafka.properties"
}

# The port opens before the broker serves; the topics tool waits for the rest.
kafka_is_up() {
    port_is_open "$KAFKA_PORT"
}
