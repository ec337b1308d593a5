# Which programs build and boot the image?  Sourced by `box`.
#
# A Debian trixie "tools tree", made once by mmdebstrap and kept in BOX_CACHE: mkosi, repart, ukify, QEMU and OVMF have
# the same versions whatever Debian the host runs. Commands run in it by chroot, in a private mount namespace; it needs
# root, no Docker, no loop device. The Debian mirror is the one that the host's apt is configured with, or a dated archive.

IMAGE_SUITE=trixie
PACKAGES_IMAGE=(debian-archive-keyring iproute2 mmdebstrap util-linux zstd)

need_image_tools() {
    [ "$(id -u)" = 0 ] || refuse "the image is built as root (chroot and mount): sudo ./box image"
    need_packages "${PACKAGES_IMAGE[@]}"
    find_mirrors
    build_tools
}

# Sets MIRROR and MIRROR_SECURITY: the dated archive that IMAGE_SNAPSHOT names, else what the host's apt knows.
find_mirrors() {
    local lists
    if [ -n "${IMAGE_SNAPSHOT:-}" ]; then
        MIRROR=${IMAGE_SNAPSHOT%/}/
        MIRROR_SECURITY=${MIRROR/\/debian\//\/debian-security\/}
        [ "$MIRROR" != "$MIRROR_SECURITY" ] ||
            refuse "IMAGE_SNAPSHOT: write it as https://snapshot.debian.org/archive/debian/20251109T100000Z, not $IMAGE_SNAPSHOT"
        return
    fi
    lists=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' | sort -u)
    MIRROR=$(sed -n 's/^Debian|Debian|//p' <<<"$lists" | head -n 1)
    MIRROR_SECURITY=$(sed -n 's/^Debian|Debian-Security|//p' <<<"$lists" | head -n 1)
    [ -n "$MIRROR" ] || refuse "apt knows no Debian mirror; check /etc/apt/sources.list.d and run apt-get update"
    [ -n "$MIRROR_SECURITY" ] || MIRROR_SECURITY=${MIRROR%/debian/}/debian-security/
}

TOOLS_APT=(--aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"')

build_tools() {
    TOOLS=$BOX_CACHE/tools-tree-$(hash_of image/tools.packages)
    [ ! -e "$TOOLS/ready" ] || return 0
    rm -rf "$BOX_CACHE"/tools-tree-*
    mkdir -p "$BOX_CACHE"
    step "tools tree: mkosi, QEMU and OVMF of Debian $IMAGE_SUITE" make_tools || refuse "the tools tree could not be made"
    touch "$TOOLS/ready"
}

make_tools() {
    (umask 022 && mmdebstrap --mode=root --variant=apt --quiet --skip=cleanup/apt/lists "${TOOLS_APT[@]}" \
        --include="$(paste -sd, image/tools.packages)" "$IMAGE_SUITE" "$TOOLS" \
        "deb $MIRROR $IMAGE_SUITE main" "deb $MIRROR $IMAGE_SUITE-updates main" "deb $MIRROR_SECURITY $IMAGE_SUITE-security main")
}

# in_tools COMMAND…: runs it in the tools tree.
in_tools() { TOOLS=$TOOLS ROOT=$ROOT BOX_CACHE=$BOX_CACHE "$ROOT/image/in-tools" "$@"; }
