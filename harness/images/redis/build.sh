#!/bin/sh
# Stand-in for the official Redis image, from Debian's packages.
. "$(dirname "$0")/../lib.sh"

debian_rootfs trixie redis-server,redis-tools \
    --customize-hook='install -d "$1"/data; chroot "$1" chown redis:redis /data' \
    --customize-hook="upload $here/entrypoint.sh /usr/local/bin/docker-entrypoint.sh" \
    --customize-hook='chmod 755 "$1"/usr/local/bin/docker-entrypoint.sh'
