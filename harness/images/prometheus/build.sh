#!/bin/sh
# Stand-in for the official image of Prometheus, from Debian's packages. It is that of the tools around it too
# (Alertmanager, the exporters, HAProxy): one root file system takes a sixth of the time of six, and docker-compose.yml
# names each part's program by the path that it has in its official image.
. "$(dirname "$0")/../lib.sh"

tools=prometheus,prometheus-alertmanager,prometheus-node-exporter,prometheus-mysqld-exporter,prometheus-redis-exporter
# Busybox has the client that health checks use in the official images.
debian_rootfs trixie "$tools,haproxy,busybox,ca-certificates" \
    --customize-hook='for tool in alertmanager node-exporter mysqld-exporter; do ln -s prometheus-$tool "$1"/usr/bin/$(echo $tool | tr - _); done' \
    --customize-hook='ln -s usr/bin/prometheus-redis-exporter "$1"/redis_exporter; ln -s busybox "$1"/usr/bin/wget' \
    --customize-hook='install -d "$1"/etc/prometheus "$1"/prometheus "$1"/alertmanager; chroot "$1" chown nobody:nogroup /prometheus /alertmanager' \
    --customize-hook="upload $here/prometheus.yml /etc/prometheus/prometheus.yml"
