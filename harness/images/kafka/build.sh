#!/bin/sh
# Stand-in for the official Kafka image: the published jars on Debian's Java.
. "$(dirname "$0")/../lib.sh"

need mvn maven
mkdir "$work/pom"
cp "$here/pom.xml" "$work/pom/"
mvn --batch-mode --quiet --file "$work/pom/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$work/libs"
ls "$work"/libs/kafka_*.jar >/dev/null || fail "maven copied no Kafka jars"

# Java's package links its manual pages, whose folder the exclusions above leave out.
debian_rootfs trixie openjdk-21-jre-headless,ca-certificates,passwd \
    --essential-hook='mkdir -p "$1"/usr/share/man/man1' \
    --customize-hook='chroot "$1" useradd --system --uid 1000 --home-dir /home/appuser --create-home --shell /bin/bash appuser' \
    --customize-hook='mkdir -p "$1"/opt/kafka/libs "$1"/opt/kafka/config "$1"/etc/kafka/docker "$1"/mnt/shared/config "$1"/var/lib/kafka/data' \
    --customize-hook="copy-in $work/libs /opt/kafka" \
    --customize-hook="upload $here/log4j2.yaml /opt/kafka/config/log4j2.yaml" \
    --customize-hook="upload $here/server.properties /etc/kafka/docker/server.properties" \
    --customize-hook="upload $here/run.sh /etc/kafka/docker/run" \
    --customize-hook='chmod 755 "$1"/etc/kafka/docker/run' \
    --customize-hook='chroot "$1" chown -R appuser /opt/kafka /var/lib/kafka /mnt/shared' \
    --customize-hook='chroot "$1" chmod -R a+rX /opt/kafka'
