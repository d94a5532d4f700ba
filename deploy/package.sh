#!/usr/bin/env bash
# Makes Debian packages of the programs in a folder; `./p2c2r package` builds them and calls this.
#   deploy/package.sh PROGRAMS OUT [VERSION]
# Needs dpkg-deb, and objdump (binutils) to find out which C library the programs need.
set -euo pipefail

programs=$1 out=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
version=${3:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)}
architecture=$(dpkg --print-architecture)
# The same programs make the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
staging=$(mktemp -d)
trap 'rm -rf "${staging:?}"' EXIT
mkdir -p "$out"

die() { echo "package: $*" >&2 && exit 1; }
for tool in dpkg-deb objdump; do command -v "$tool" >/dev/null || die "$tool is missing: apt-get install dpkg binutils"; done

# The newest version of the C library that a program asks for.
libc_version() { objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1 | cut -d_ -f2; }

# begin PACKAGE PROGRAM: makes the package's folder, with the program and the licences.
begin() {
  folder=$staging/$1 package=$1
  [ -x "$programs/$2" ] || die "$programs has no $2"
  install -D -m 755 "$programs/$2" "$folder/usr/bin/$2"
  # Debugging information is most of a program's size, and not needed here.
  strip --strip-unneeded "$folder/usr/bin/$2" 2>/dev/null || true
  mkdir -p "$folder/DEBIAN" "$folder/usr/share/doc/$1"
  cat "$root/LICENSE-MIT" "$root/LICENSE-APACHE" >"$folder/usr/share/doc/$1/copyright"
}

# texts NAME...: adds pages of docs/: the one for the person who installs the package, and those that it links to.
texts() {
  local name
  for name in "$@"; do install -m 644 "$root/docs/$name.md" "$folder/usr/share/doc/$package/"; done
}

# control DEPENDS RECOMMENDS DESCRIPTION: writes the package's control file; what every program needs is added to
# DEPENDS.
control() {
  local program
  program=$(find "$folder/usr/bin" -type f -name 'p2c2r-*' -size +100k | head -n 1)
  {
    echo "Package: $package"
    echo "Version: $version"
    echo "Architecture: $architecture"
    echo "Maintainer: The P2C2R project <p2c2r@example.org>"
    echo "Installed-Size: $(du -sk --exclude=DEBIAN "$folder" | cut -f1)"
    echo "Depends: libc6 (>= $(libc_version "$program")), libgcc-s1${1:+, $1}"
    [ -z "$2" ] || echo "Recommends: $2"
    echo "Section: games"
    echo "Priority: optional"
    echo "Description: $3"
  } >"$folder/DEBIAN/control"
}

# service NAME: the unit, and scripts that make the user, start the service and keep its data.
service() {
  local name=$1 text
  install -D -m 644 "$here/systemd/$name.service" "$folder/usr/lib/systemd/system/$name.service"
  for text in postinst prerm postrm; do
    sed "s/@NAME@/$name/g" "$here/debian/$text" >"$folder/DEBIAN/$text"
    chmod 755 "$folder/DEBIAN/$text"
  done
}

finish() {
  chmod -R u=rwX,go=rX "$folder/usr"
  [ ! -d "$folder/etc" ] || chmod -R u=rwX,go=rX "$folder/etc"
  dpkg-deb --root-owner-group --build "$folder" "$out/${package}_${version}_$architecture.deb" >/dev/null
  echo "$out/${package}_${version}_$architecture.deb"
}

begin p2c2r-server p2c2r-server
install -D -m 755 "$here/p2c2r-operator" "$folder/usr/bin/p2c2r-operator"
install -D -m 644 "$here/server.toml" "$folder/etc/p2c2r/server.toml"
echo /etc/p2c2r/server.toml >"$folder/DEBIAN/conffiles"
texts operator deploy settings LEDGER SECURITY TROUBLESHOOTING player helper PERFORMANCE
service p2c2r-server
control "passwd, util-linux" "" "coordinator that lends helpers' computers to games
 Hands games' heavy work to helpers' workers, checks every answer, and keeps the money. It starts as a service,
 and listens on port 8765 over UDP and TCP."
finish

begin p2c2r-worker p2c2r-worker
texts helper settings SECURITY TROUBLESHOOTING
install -D -m 755 "$here/p2c2r-helper" "$folder/usr/bin/p2c2r-helper"
install -D -m 644 "$here/worker.toml" "$folder/etc/p2c2r/worker.toml"
echo /etc/p2c2r/worker.toml >"$folder/DEBIAN/conffiles"
install -m 644 "$here/systemd/worker-gpu.conf" "$folder/usr/share/doc/p2c2r-worker/"
service p2c2r-worker
control "passwd, util-linux" "p2c2r-doctor" "worker that lends this computer to games
 Computes small tasks for games on other computers, and is paid for it. The service starts once it was given a join
 link: sudo p2c2r-helper join LINK."
finish

begin p2c2r-game p2c2r-game
texts player PERFORMANCE TROUBLESHOOTING
install -D -m 644 "$here/debian/p2c2r-game.desktop" "$folder/usr/share/applications/p2c2r-game.desktop"
control "libx11-6, libx11-xcb1, libxcursor1, libxi6, libxrandr2, libxkbcommon0, libxkbcommon-x11-0" \
  "libvulkan1, mesa-vulkan-drivers, p2c2r-doctor" "Borrowed Light, a space shooter that borrows other people's computers
 What is too heavy for this computer is computed by helpers' elsewhere; without any it plays by itself."
finish

begin p2c2r-doctor p2c2r-doctor
control "" "" "examines the way to a P2C2R coordinator
 Says whether a coordinator can be reached from this computer, how well, and what to do where it cannot."
finish
