#!/usr/bin/env bash
# Installs the servers that the tests start, what fetches and runs Kafka, and
# what else the tests run, where they are missing. Does nothing, quickly, when
# all is there. Leaves no system server running or enabled that was not there
# before.
set -euo pipefail

fail() {
  echo "make deps: $*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null; }
java_version() { # 17, say; 0 when there is none
  has java || { echo 0; return; }
  java -version 2>&1 | sed -nE '1s/.*"(1\.)?([0-9]+).*/\2/p'
}
has_postgres() { has postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }

packages=() services=()
has redis-server || { packages+=(redis-server); services+=(redis-server); }
has_postgres || { packages+=(postgresql); services+=(postgresql); }
[ "$(java_version)" -ge 17 ] || packages+=(default-jre-headless) # for Kafka 4
has curl || packages+=(curl) # the README's tour
has gcc || has clang || packages+=(gcc libc6-dev) # the race detector
if [ "${1:-}" != --without-maven ]; then has mvn || packages+=(maven); fi
if [ ${#packages[@]} -eq 0 ]; then exit 0; fi

if ! has apt-get; then
  fail "needs ${packages[*]}; install them with your system's package manager (this is not Debian or Ubuntu)"
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! has sudo; then
    fail "needs ${packages[*]}; run it as root, or: apt-get install ${packages[*]}"
  fi
  as_root=(sudo)
fi

# While this file says no, packages start no service as they are installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -q || fail "apt-get update failed, so these cannot be installed: ${packages[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" ||
  fail "apt-get could not install ${packages[*]}"
[ "$(java_version)" -ge 17 ] || fail "Kafka 4 needs Java 17 or later, and java is version $(java_version): install a newer one, and put it first in PATH"
if [ -d /run/systemd/system ]; then
  for s in "${services[@]}"; do "${as_root[@]}" systemctl disable --now "$s"; done
fi
