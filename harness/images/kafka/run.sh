#!/bin/bash
# Turns the environment into Kafka's properties, formats the storage once, and runs the broker in KRaft mode.
# As in the official image: KAFKA_NODE_ID becomes node.id, `__` an underscore and `___` a dash; CLUSTER_ID names the
# cluster; with no such variable the default server.properties is used; KAFKA_HEAP_OPTS, KAFKA_OPTS and
# KAFKA_JVM_PERFORMANCE_OPTS go to the Java machine. Files in /mnt/shared/config take part as there.
set -euo pipefail

config=/opt/kafka/config/server.properties
: >"$config"
if [[ -f /mnt/shared/config/server.properties ]]; then cat /mnt/shared/config/server.properties >>"$config"; fi
while IFS= read -r -d '' entry; do
    name=${entry%%=*}
    case $name in
        KAFKA_VERSION | KAFKA_*_OPTS | KAFKA_OPTS | KAFKA_*_LOGLEVEL | KAFKA_LOG4J_LOGGERS | KAFKA_JMX_*) continue ;;
        KAFKA_*) ;;
        *) continue ;;
    esac
    key=${name#KAFKA_}
    key=${key,,}
    key=${key//___/-}
    key=${key//__/$'\n'}
    key=${key//_/.}
    printf '\n%s=%s' "${key//$'\n'/_}" "${entry#*=}" >>"$config"
done < <(env -0)
if [[ ! -s $config ]]; then cat /etc/kafka/docker/server.properties >"$config"; fi
echo >>"$config"

java=(java -cp '/opt/kafka/libs/*' "-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml")
"${java[@]}" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format --ignore-formatted \
    --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" --config "$config"

# Word splitting is meant: these hold several options each.
exec "${java[@]}" ${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G} \
    ${KAFKA_JVM_PERFORMANCE_OPTS:--server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true} \
    ${KAFKA_OPTS:-} kafka.Kafka "$config"
