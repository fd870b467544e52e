#!/bin/sh
# Stand-in for the official MySQL image, from Debian's packages.
. "$(dirname "$0")/../lib.sh"

# The server needs its user and folders, which Debian makes in a package that also wants an init system.
debian_rootfs sid mysql-server-core,mysql-client-core,mysql-common,passwd \
    --customize-hook='chroot "$1" useradd --system --home-dir /var/lib/mysql --shell /usr/sbin/nologin mysql' \
    --customize-hook='chroot "$1" install -d -o mysql -g mysql -m 1777 /var/lib/mysql /run/mysqld' \
    --customize-hook='chroot "$1" install -d -o mysql -g mysql -m 0750 /var/lib/mysql-files' \
    --customize-hook='mkdir -p "$1"/etc/mysql/conf.d "$1"/docker-entrypoint-initdb.d' \
    --customize-hook="upload $here/my.cnf /etc/my.cnf" \
    --customize-hook="upload $here/entrypoint.sh /usr/local/bin/docker-entrypoint.sh" \
    --customize-hook='chmod 755 "$1"/usr/local/bin/docker-entrypoint.sh' \
    --customize-hook='rm -f "$1"/usr/sbin/mysqld-debug; rm -rf "$1"/usr/lib/mysql/plugin/debug'
