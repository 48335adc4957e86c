#!/bin/bash
# Runs a command beside a Docker engine of its own, for machines where none runs and no image can be pulled.
#
# usage: docker-engine.sh COMMAND [ARGUMENT...]
#
# Root, and Debian's packages docker.io iptables slirp4netns debootstrap etcd-server etcd-client. Daemon,
# containers and COMMAND live in mount, network and process namespaces of their own and end with COMMAND; the
# machine's network, firewall and Docker, if there is one, are not touched. From within, the outside is
# reached by way of slirp4netns, as any process of this machine would.
#
# COMMAND finds DOCKER_HOST, the compose plugin, and two images of Debian 12: BASE (python3) and ETCD_IMAGE.
# Both are made once, and kept with the layers that COMMAND builds in ~/.cache/etcd-dns/docker.
set -euo pipefail

SUITE=bookworm
MIRROR=http://deb.debian.org/debian
COMPOSE_SUITE=trixie  # the first that has the compose plugin

cache=${XDG_CACHE_HOME:-$HOME/.cache}/etcd-dns/docker
export DOCKER_CONFIG=$cache/config DOCKER_HOST=unix:///run/docker.sock DOCKER_BUILDKIT=0
export BASE=local/python:$SUITE ETCD_IMAGE=local/etcd:$SUITE

unpack_compose() {
  local plugin=$DOCKER_CONFIG/cli-plugins/docker-compose apt=$work/apt
  [ ! -x "$plugin" ] || return 0
  mkdir -p "$apt"/{lists/partial,archives/partial} "${plugin%/*}"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $COMPOSE_SUITE main" > "$apt/list"
  local options=(-qq -o Dir::Etc::SourceList="$apt/list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Cache="$apt"
    -o Dir::State::Lists="$apt/lists" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$apt" && apt-get "${options[@]}" download docker-compose)
  dpkg -x "$apt"/docker-compose_*.deb "$work/compose"
  mv "$work/compose/usr/libexec/docker/cli-plugins/docker-compose" "$plugin"
}

make_base() {
  [ ! -f "$cache/base.tar" ] || return 0
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$SUITE" "$work/base" "$MIRROR" \
    > "$cache/debootstrap.log" 2>&1 || { tail -n 5 "$cache/debootstrap.log" >&2; return 1; }
  # Behind a proxy that signs for others, what this machine trusts.
  cp -L /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
  tar -C "$work/base" -cf "$work/base.tar" --exclude=./var/cache/apt/* --exclude=./var/lib/apt/lists/* .
  mv "$work/base.tar" "$cache/base.tar"
}

make_images() {
  if ! docker image inspect "$BASE" > /dev/null 2>&1; then
    docker import --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' "$cache/base.tar" "$BASE" > /dev/null
  fi
  if ! docker image inspect "$ETCD_IMAGE" > /dev/null 2>&1; then
    tar -C / -ch usr/bin/etcd usr/bin/etcdctl | docker import - local/etcd-programs > /dev/null
    docker build --quiet --tag "$ETCD_IMAGE" - > /dev/null 2>&1 << DOCKERFILE
FROM local/etcd-programs AS programs
FROM $BASE
COPY --from=programs /usr/bin/etcd /usr/bin/etcdctl /usr/local/bin/
DOCKERFILE
  fi
}

start_engine() {
  mount -t tmpfs tmpfs /run
  mkdir /run/lock
  echo nameserver 10.0.2.3 > /run/resolv.conf
  mount --bind /run/resolv.conf "$(readlink -f /etc/resolv.conf)"
  ip link set lo up
  dockerd --data-root "$cache/data" --exec-root /run/docker --pidfile /run/docker.pid --host "$DOCKER_HOST" \
    > "$cache/dockerd.log" 2>&1 &
  for _ in $(seq 300); do
    ! docker version > /dev/null 2>&1 || return 0
    sleep 0.1
  done
  tail -n 20 "$cache/dockerd.log" >&2
  return 1
}

if [ "${1:-}" = --within ]; then
  shift
  read -rN1 -u8 _ # slirp4netns is ready
  exec 8<&-
  start_engine
  make_images
  status=0
  "$@" || status=$?
  exit $status
fi

[ $# -gt 0 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "docker-engine.sh: must be root" >&2; exit 1; }
for program in dockerd iptables slirp4netns debootstrap etcd etcdctl; do
  command -v "$program" > /dev/null || { echo "docker-engine.sh: no $program" >&2; exit 1; }
done
mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
unpack_compose
make_base

mkfifo "$work/ready"
exec 8<> "$work/ready"
unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" --within "$@" 9>&- &
inside=$!
slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=8 "$inside" tap0 \
  > "$cache/slirp4netns.log" 2>&1 9>&- &
way_out=$!
trap 'kill "$way_out" 2> /dev/null || true; rm -rf "$work"' EXIT
wait "$inside"
