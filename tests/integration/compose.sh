#!/bin/bash
# docker compose up from a clean clone of HEAD, asked with dig, edited, robbed of its etcd, and taken down.
#
# usage: compose.sh, with docker (and its compose plugin), git and dig
#
# DNS_PORT (1053), BASE and ETCD_IMAGE are docker-compose.yml's. The first run builds both images, which takes
# minutes. Ends with status 0 after the last line "ok", with 75 where a package registry could not be reached,
# and leaves nothing but the images and their layers.
set -euo pipefail
cd "$(dirname "$0")/../.."

export DNS_PORT=${DNS_PORT:-1053} COMPOSE_PROJECT_NAME=etcd-dns-test-$$
clone=$(mktemp -d)
began=$(date +%s)

compose() { docker compose --project-directory "$clone" "$@"; }
ask() { dig "@127.0.0.1" -p "$DNS_PORT" +time=2 +tries=1 +short "$@" 2>&1 || true; }
status() { dig "@127.0.0.1" -p "$DNS_PORT" +time=2 +tries=1 "$@" | grep -o 'status: [A-Z]*'; }
tell() { echo "$(($(date +%s) - began)) s: $*"; }
finish() {
  local status=$?
  [ $status = 0 ] || compose logs --tail 30 >&2 || true
  compose down --volumes --timeout 10 > /dev/null 2>&1 || true
  rm -rf "$clone"
  [ $status = 0 ] || echo "FAILED" >&2
}
trap finish EXIT

# expect WHAT ANSWER QUESTION...: within ten seconds dig prints ANSWER.
expect() {
  local what=$1 answer=$2 got
  shift 2
  for _ in $(seq 50); do
    got=$(ask "$@")
    [ "$got" != "$answer" ] || { tell "$what: dig $* → $answer"; return; }
    sleep 0.2
  done
  echo "$what: dig $*: expected '$answer', got '$got'" >&2
  return 1
}

# is WHAT ANSWER COMMAND...: the command prints ANSWER.
is() {
  local what=$1 answer=$2 got
  shift 2
  got=$("$@" 2>&1 || true)
  [ "$got" = "$answer" ] || { echo "$what: $*: expected '$answer', got '$got'" >&2; return 1; }
  tell "$what"
}

git clone -q . "$clone"
# One after the other: they share layers. Once more if need be: a package registry fails at times.
build() { compose build dnsserver && compose build syncer; }
log=$clone/.git/build.log
build > "$log" 2>&1 || build >> "$log" 2>&1 || {
  tail -n 40 "$log" >&2
  ! grep -q "Failed to fetch\|timed out\|Temporary failure in name resolution" "$log" || exit 75
  exit 1
}
tell "both images are built"
compose up --detach --wait --wait-timeout 120 > "$clone/.git/up.log" 2>&1 || { cat "$clone/.git/up.log" >&2; exit 1; }
tell "etcd, dnsserver and syncer are up and healthy"

expect "an example, over UDP" 172.22.132.10 A stilton.k8s.local
expect "over TCP" 172.22.132.10 +tcp A wensleydale.k8s.local
expect "of a Service" 172.22.132.11 A nginx.k8s.local
expect "a static record" 127.0.0.1 A ns.dns.k8s.local
is "a name that is not there is NXDOMAIN" "status: NXDOMAIN" status nosuch.k8s.local
is "a name of others is REFUSED" "status: REFUSED" status www.example.com

for name in dnsserver syncer; do
  is "$name is user 10001" 10001 compose exec -T "$name" id -u
  is "$name has no capability and gets none" "CapEff:	0000000000000000
CapBnd:	0000000000000000
NoNewPrivs:	1" compose exec -T "$name" grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/1/status
  is "$name cannot write to its root" "touch: cannot touch '/opt/app/x': Read-only file system" \
    compose exec -T "$name" touch /opt/app/x
done
is "the dnsserver image is without the syncer's libraries" "None None" compose exec -T dnsserver \
  python3 -c 'from importlib.util import find_spec as f; print(f("kubernetes"), f("aiohttp"))'

sed -i 's/172\.22\.132\.10$/172.22.132.20/' "$clone/config/examples/cheese.yaml"
expect "the edited example" 172.22.132.20 A stilton.k8s.local

compose stop etcd > /dev/null 2>&1
expect "without etcd" 172.22.132.20 A stilton.k8s.local
is "dnsserver has written its table" written compose exec -T dnsserver timeout 20 sh -c \
  'until grep -q 172.22.132.20 /var/lib/dnsserver/table; do sleep 0.2; done; echo written'
compose kill dnsserver > /dev/null 2>&1
compose up --detach --no-deps --force-recreate dnsserver > /dev/null 2>&1
expect "killed, and anew without etcd" 172.22.132.20 A stilton.k8s.local
sed -i 's/172\.22\.132\.20$/172.22.132.30/' "$clone/config/examples/cheese.yaml"
compose start etcd > /dev/null 2>&1
expect "edited while etcd was away" 172.22.132.30 A stilton.k8s.local

containers=$(compose ps --all --quiet dnsserver syncer)
compose stop > /dev/null 2>&1
# shellcheck disable=SC2086 # two words are meant
is "both programs ended by themselves when told" "0
0" docker inspect --format '{{.State.ExitCode}}' $containers
tell "ok"
