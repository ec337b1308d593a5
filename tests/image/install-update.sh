#!/bin/bash
# install-update.sh UPDATE KEYRING TARGET: serves UPDATE on loopback and has systemd-sysupdate install it into TARGET.
# Runs in the tools tree's own mount namespace. The transfers are those of the box; only their targets are files here.
set -euo pipefail
update=$1 keyring=$2 target=$3
definitions=$(mktemp -d)
mkdir -p "$target"

mount -t tmpfs tmpfs /etc/systemd
cp "$keyring" /etc/systemd/import-pubring.gpg

coproc SERVER { exec python3 -u -c '
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.HTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()' "$update" 2>/dev/null; }
trap 'kill "$SERVER_PID"; rm -rf "$definitions"' EXIT
read -r port <&"${SERVER[0]}"

for transfer in /scaibox/systemd/sysupdate/*.transfer; do
    kind=$(sed -n 's/^MatchPartitionType=//p' "$transfer")
    sed -e "s|^Path=http.*|Path=http://127.0.0.1:$port/|" -e '/^ProtectVersion=/d' \
        -e "s|^Type=partition|Type=regular-file|" -e "s|^Path=auto|Path=$target|" -e "s|^Path=/EFI/Linux|Path=$target|" \
        -e '/^PathRelativeTo=/d' -e '/^MatchPartitionType=/d' -e '/^PartitionFlags=/d' -e '/^ReadOnly=/d' \
        -e "s|^MatchPattern=scaibox_@v\(_verity\)\?\$|MatchPattern=${kind}_@v.raw|" "$transfer" \
        >"$definitions/$(basename "$transfer")"
done
version=$(basename "$update"/scaibox_*.efi .efi)
/usr/lib/systemd/systemd-sysupdate --verify=yes --definitions="$definitions" update "${version#scaibox_}"
