#!/bin/sh
# The program that builds this image, alone with its libraries: the service, and the tool beside it.
# What service/Dockerfile makes, without a compiler and without a base image; it has no shell.
. "$(dirname "$0")/../lib.sh"

program=${SOUNDCHECK_PROGRAM:?the program to put into the image}
need ldd libc-bin
root=$work/root
mkdir -p "$root/usr/local/bin" "$root/etc" "$root/tmp" "$root/catalogue"
install -m 755 "$program" "$root/usr/local/bin/soundcheck"

# Where they lie on this machine the loader finds them there too; it is itself among them.
ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp --dereference "$library" "$root$library"
done

# No client starts without certificates, though it speaks without any here.
certificates=/etc/ssl/certs/ca-certificates.crt
[ -r "$certificates" ] || fail "$certificates is missing; install it with: apt-get install ca-certificates"
install -D -m 644 "$certificates" "$root$certificates"

echo 'soundcheck:x:10001:10001::/:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'soundcheck:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"

tar --create --file "$out" --directory "$root" --owner=0 --group=0 --exclude=./catalogue .
# A volume that is mounted here takes its owner over.
tar --append --file "$out" --directory "$root" --owner=10001 --group=10001 ./catalogue
