#!/usr/bin/env bash
# Where does each file of systemd/ and hardening/ go?  usage: systemd/install.sh ROOT
#
# The image is staged with it, and so is the tree that tests/security looks at: what is tested is what is shipped.
set -euo pipefail
shopt -s nullglob
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ROOT=${1:?usage: systemd/install.sh ROOT}
UNITS=$ROOT/usr/lib/systemd/system
cd "$HERE"

# put FOLDER FILE…: copies files into a folder of the image.
put() {
    local folder=$ROOT/$1
    shift
    mkdir -p "$folder"
    [ $# -eq 0 ] || install -m 0644 -t "$folder" "$@"
}

units() {
    put usr/lib/systemd/system systemd/*/*.{service,socket,timer,path,mount,automount}
    local folder
    for folder in systemd/*.service.d; do
        put "usr/lib/systemd/system/$(basename "$folder")" "$folder"/*.conf
    done
}

# A unit with a file in hardening/sandbox starts from the common sandbox and opens what its own file says.
sandboxes() {
    local own folder
    for own in hardening/sandbox/*.conf; do
        [ "$own" != hardening/sandbox/common.conf ] || continue
        folder=$UNITS/$(basename "$own" .conf).service.d
        mkdir -p "$folder"
        install -m 0644 hardening/sandbox/common.conf "$folder/10-common.conf"
        install -m 0644 "$own" "$folder/20-own.conf"
    done
}

settings() {
    local folder
    for folder in systemd/*.conf.d; do
        put "usr/lib/systemd/$(basename "$folder")" "$folder"/*.conf
    done
    put usr/lib/systemd/network systemd/network/*
    put usr/lib/systemd/system-preset systemd/presets/*.preset
    put usr/lib/sysusers.d systemd/sysusers.d/*.conf
    put usr/lib/tmpfiles.d systemd/tmpfiles.d/*.conf
    put usr/lib/udev/rules.d systemd/udev/*.rules
    put usr/share/polkit-1/rules.d systemd/fleet-agent/*.rules
    put usr/lib/sysupdate.d systemd/sysupdate/*.transfer
}

kernel() {
    local folder
    for folder in sysctl.d modprobe.d modules-load.d; do
        put "usr/lib/$folder" "hardening/$folder"/*.conf
    done
    put usr/share/scaibox hardening/seal.conf
    put etc/ssh/sshd_config.d hardening/sshd_config.d/*.conf
    put usr/share/scaibox/nftables hardening/nftables/*.nft
}

masks() {
    local name
    while read -r name; do
        [[ $name == */* ]] || name=system/$name
        mkdir -p "$ROOT/etc/systemd/$(dirname "$name")"
        ln -sfn /dev/null "$ROOT/etc/systemd/$name"
    done < <(grep -v -e '^#' -e '^$' systemd/masked)
}

units
sandboxes
settings
kernel
masks
