#!/bin/sh
# Stand-in for the official Prometheus image, from Debian's packages.
. "$(dirname "$0")/../lib.sh"

debian_rootfs trixie prometheus,ca-certificates \
    --customize-hook='install -d "$1"/etc/prometheus "$1"/prometheus; chroot "$1" chown nobody:nogroup /prometheus' \
    --customize-hook="upload $here/prometheus.yml /etc/prometheus/prometheus.yml"
