#!/bin/bash
# Limits who may do what in etcd: dnsserver reads the records, syncer writes them, root does the rest.
#
# usage: etcd-users.sh DIR
#
# DIR/{root,dnsserver,syncer}.password hold the passwords, one line each; those that are missing are made. With
# client certificates whose CN is the user's name (certificates.sh) the two programs need no password.
# etcdctl finds etcd by its variables: ETCDCTL_ENDPOINTS, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY. PREFIX
# (/skydns/) is where the records are, OWNER_ID (default) the syncer's --txt-owner-id. Turns authentication on;
# run again it sets the passwords that the files hold then. Rights once given are not taken away.
set -euo pipefail

[ $# = 1 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
directory=$1 prefix=${PREFIX:-/skydns/} owner_id=${OWNER_ID:-default}
prefix=/${prefix#/}
prefix=${prefix%/}/
export ETCDCTL_API=3
umask 077
mkdir -p "$directory"
for user in root dnsserver syncer; do
  file=$directory/$user.password
  [ -s "$file" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "$file"
done

# As root where authentication is on already; the password goes by the environment, where nobody else sees it.
if ! etcdctl user list > /dev/null 2>&1; then
  ETCDCTL_USER=root:$(< "$directory/root.password")
  export ETCDCTL_USER
fi

user() { # NAME
  if etcdctl user get "$1" > /dev/null 2>&1; then
    etcdctl user passwd "$1" --interactive=false < "$directory/$1.password"
  else
    etcdctl user add "$1" --interactive=false < "$directory/$1.password"
  fi
}

role() { # NAME PERMISSION PREFIX [PERMISSION PREFIX...]
  local name=$1
  shift
  etcdctl role get "$name" > /dev/null 2>&1 || etcdctl role add "$name"
  while [ $# -gt 0 ]; do
    etcdctl role grant-permission "$name" --prefix=true "$1" "$2"
    shift 2
  done
  etcdctl user grant-role "$name" "$name"
}

{
  user dnsserver
  role dnsserver read "$prefix"
  user syncer
  role syncer readwrite "$prefix" readwrite "/syncer/$owner_id/"
  user root
  etcdctl role get root > /dev/null 2>&1 || etcdctl role add root
  etcdctl user grant-role root root
  etcdctl auth enable
} > /dev/null
echo "dnsserver reads $prefix, syncer writes $prefix and /syncer/$owner_id/, root may all"
