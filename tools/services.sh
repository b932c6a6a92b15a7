#!/usr/bin/env bash
# Installs the servers that the tests start, and what fetches and runs Kafka,
# where they are missing. Does nothing, quickly, when all is there. Leaves no
# system server running or enabled that was not there before.
set -euo pipefail

has() { command -v "$1" >/dev/null; }
has_postgres() { has postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }

packages=() services=()
has redis-server || { packages+=(redis-server); services+=(redis-server); }
has_postgres || { packages+=(postgresql); services+=(postgresql); }
has java || packages+=(default-jre-headless)
if [ "${1:-}" != --without-maven ]; then has mvn || packages+=(maven); fi
if [ ${#packages[@]} -eq 0 ]; then exit 0; fi

if ! has apt-get; then
  echo "make deps: needs ${packages[*]}; install them with your system's package manager (this is not Debian or Ubuntu)" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! has sudo; then
    echo "make deps: needs ${packages[*]}; run it as root, or: apt-get install ${packages[*]}" >&2
    exit 1
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
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
if [ -d /run/systemd/system ]; then
  for s in "${services[@]}"; do "${as_root[@]}" systemctl disable --now "$s"; done
fi
