#!/bin/bash
# First start: make the data folder and the accounts that the environment asks for; then run the server.
# Understands what the official image's entry point does: arguments that begin with a dash go to mysqld,
# MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE,
# MYSQL_USER, MYSQL_PASSWORD, each also as …_FILE, and files in /docker-entrypoint-initdb.d.
# Left out: MYSQL_ONETIME_PASSWORD and the time zone tables.
set -euo pipefail

note() { echo "$(date -u +%FT%TZ) [Note] [Entrypoint]: $*"; }
die() {
    echo "$(date -u +%FT%TZ) [ERROR] [Entrypoint]: $*" >&2
    exit 1
}

# from_file NAME: the value of NAME, or the contents of the file that NAME_FILE names.
from_file() {
    local file="${1}_FILE"
    if [[ -n ${!1:-} && -n ${!file:-} ]]; then die "both $1 and $file are set; give one"; fi
    if [[ -n ${!file:-} ]]; then printf -v "$1" '%s' "$(<"${!file}")"; fi
    unset "$file"
}

# The server's effective value of an option, given its arguments.
option() {
    local name=$1
    shift
    "$@" --verbose --help --log-bin-index="$(mktemp -u)" 2>/dev/null | awk -v name="$name" '$1 == name && /^[^ \t]/ { print $2; exit }'
}

quoted() { printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g"; }

sql() { mysql --protocol=socket --socket="$socket" --user=root --password="$sql_password" --comments "$@" 2> >(grep -v 'password on the command line' >&2); }

init_accounts() {
    local host=${MYSQL_ROOT_HOST-%} root
    root=$(quoted "$MYSQL_ROOT_PASSWORD")
    {
        if [[ -n $host && $host != localhost ]]; then
            echo "CREATE USER 'root'@'$(quoted "$host")' IDENTIFIED BY '$root'; GRANT ALL ON *.* TO 'root'@'$(quoted "$host")' WITH GRANT OPTION;"
        fi
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$root'; GRANT ALL ON *.* TO 'root'@'localhost' WITH GRANT OPTION;"
    } | sql mysql
    sql_password=$MYSQL_ROOT_PASSWORD
    if [[ -n ${MYSQL_DATABASE:-} ]]; then
        note "Creating database ${MYSQL_DATABASE}"
        echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;" | sql mysql
    fi
    if [[ -n ${MYSQL_USER:-} && -n ${MYSQL_PASSWORD:-} ]]; then
        note "Creating user ${MYSQL_USER}"
        echo "CREATE USER '$(quoted "$MYSQL_USER")'@'%' IDENTIFIED BY '$(quoted "$MYSQL_PASSWORD")';" | sql mysql
        if [[ -n ${MYSQL_DATABASE:-} ]]; then
            echo "GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO '$(quoted "$MYSQL_USER")'@'%';" | sql mysql
        fi
    fi
}

init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) note "running $file"; if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
            *.sql) note "running $file"; sql ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} <"$file" ;;
            *.sql.gz) note "running $file"; gunzip -c "$file" | sql ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} ;;
        esac
    done
}

initialise() {
    for name in MYSQL_ROOT_PASSWORD MYSQL_ROOT_HOST MYSQL_DATABASE MYSQL_USER MYSQL_PASSWORD; do from_file $name; done
    if [[ -z ${MYSQL_ROOT_PASSWORD:-}${MYSQL_ALLOW_EMPTY_PASSWORD:-}${MYSQL_RANDOM_ROOT_PASSWORD:-} ]]; then
        die "Database is uninitialized and password option is not specified
    You need to specify one of the following as an environment variable:
    - MYSQL_ROOT_PASSWORD
    - MYSQL_ALLOW_EMPTY_PASSWORD
    - MYSQL_RANDOM_ROOT_PASSWORD"
    fi
    if [[ ${MYSQL_USER:-} == root ]]; then die "MYSQL_USER=\"root\": that account exists; leave MYSQL_USER out"; fi
    if [[ -n ${MYSQL_RANDOM_ROOT_PASSWORD:-} ]]; then
        MYSQL_ROOT_PASSWORD=$(head -c 18 /dev/urandom | base64)
        note "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
    fi
    MYSQL_ROOT_PASSWORD=${MYSQL_ROOT_PASSWORD:-}

    note "Initializing database files"
    "$@" --initialize-insecure --default-time-zone=SYSTEM
    note "Database files initialized"

    # Without networking, so that nobody outside takes this server for the ready one.
    note "Starting temporary server"
    "$@" --skip-networking --default-time-zone=SYSTEM --mysqlx=OFF --socket="$socket" &
    local server=$! attempt
    sql_password=
    for attempt in {1..300}; do
        if sql -e 'SELECT 1' >/dev/null 2>&1; then break; fi
        kill -0 "$server" 2>/dev/null || die "Temporary server failed to start; its log is above"
        sleep 0.1
    done
    note "Temporary server started."
    init_accounts
    init_files
    note "Stopping temporary server"
    kill -TERM "$server"
    wait "$server" || true
    note "Temporary server stopped"
    note "MySQL init process done. Ready for start up."
}

if [[ ${1:0:1} == - ]]; then set -- mysqld "$@"; fi
if [[ ${1:-} == mysqld && " $* " != *" --help "* && " $* " != *" --version "* && " $* " != *" -V "* ]]; then
    note "Entrypoint script for MySQL Server started."
    set -- /usr/sbin/mysqld "${@:2}"
    datadir=$(option datadir "$@")
    socket=$(option socket "$@")
    if [[ $(id -u) == 0 ]]; then
        mkdir -p "$datadir" "$(dirname "$socket")"
        find "$datadir" \! -user mysql -exec chown mysql:mysql '{}' +
        chown mysql:mysql "$(dirname "$socket")"
        # The error log is a pipe that root opened; the server reopens it by name.
        chown --dereference mysql /proc/self/fd/1 /proc/self/fd/2 2>/dev/null || true
        exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "${@/#\/usr\/sbin\/mysqld/mysqld}"
    fi
    if [[ ! -d $datadir/mysql ]]; then initialise "$@"; fi
fi
exec "$@"
