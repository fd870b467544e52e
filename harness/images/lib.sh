# Shared by the builders of stand-in images: a root file system from Debian packages, as a tar archive.
#
# A builder is a folder with `build.sh OUT.tar` and `image.conf` (Dockerfile instructions that `docker import`
# understands). Nothing here talks to a container daemon: the tool imports the archive.
# Packages come from the Debian archive that this machine's apt is configured for, with another suite.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT.tar}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing; install it with: apt-get install $2"
}

# The base URI of the machine's Debian archive (not its security archive, not third parties).
debian_mirror() {
    if [ -n "${SOUNDCHECK_DEBIAN_MIRROR:-}" ]; then
        echo "$SOUNDCHECK_DEBIAN_MIRROR"
        return
    fi
    apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Identifier: Packages' |
        awk '$2 == "main" && $1 ~ /\/debian\/?$/ { print $1; exit }'
}

# debian_rootfs SUITE PACKAGES [further mmdebstrap arguments]: writes $out.
debian_rootfs() {
    suite=$1 packages=$2
    shift 2
    need mmdebstrap mmdebstrap
    need apt-get apt
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || fail "no Debian archive among this machine's apt sources; name one in SOUNDCHECK_DEBIAN_MIRROR"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keyring" ] || fail "$keyring is missing; install it with: apt-get install debian-archive-keyring"

    # How this machine reaches its archive (proxies, clock checks) holds for the image's packages too.
    apt-config dump --format '%F "%v";%n' | grep -E '^Acquire::(https?::|Check-)' | grep -v ':: "' >"$work/apt.conf" || true

    mmdebstrap --variant=essential --include="$packages" --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        "$@" \
        --customize-hook='rm -f "$1"/etc/resolv.conf "$1"/etc/hostname' \
        "$suite" "$out" "deb [signed-by=$keyring] $mirror $suite main"
}
