#!/bin/bash
# Makes the certificates of the overlay tls: for etcd's members, and for the clients dnsserver, syncer and root.
#
# usage: certificates.sh DIR [NAMESPACE]
#
# DIR gets two authorities (clients and peers), their certificates, and secrets.yaml, the Secrets that the
# overlay mounts (kubectl makes them). Authorities that are there are kept and everything else is made anew, so
# a second run rotates. A client's name in etcd is the CN of its certificate. DAYS (365) is how long they last.
# Keep DIR off the cluster; who has ca.key can be root in etcd.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
directory=$1 namespace=${2:-dns} days=${DAYS:-365}
umask 077
mkdir -p "$directory"
cd "$directory"

authority() { # FILE NAME
  [ ! -f "$1.key" ] || return 0
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$1.key" -out "$1.crt" 2> /dev/null
}

certificate() { # AUTHORITY FILE SUBJECT USAGE [NAMES]
  local extensions
  extensions=$(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' "$4"
    [ $# -lt 5 ] || printf 'subjectAltName=%s\n' "$5")
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$2.key" 2> /dev/null |
    openssl x509 -req -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days "$days" \
      -extfile <(echo "$extensions") -out "$2.crt" 2> /dev/null
}

authority ca "etcd of $namespace"
authority peer-ca "members of etcd of $namespace"

names=DNS:localhost,IP:127.0.0.1
# Each by its name: gRPC takes no wildcard right below a single label.
for host in etcd etcd-{0,1,2}.etcd-members; do
  names+=,DNS:$host,DNS:$host.$namespace,DNS:$host.$namespace.svc,DNS:$host.$namespace.svc.cluster.local
done
# No CN: etcd's own gateway would be a user of that name. It is a client too, hence clientAuth.
certificate ca etcd / serverAuth,clientAuth "$names"
certificate peer-ca peer / serverAuth,clientAuth "$names"
for client in dnsserver syncer root; do
  certificate ca "$client" "/CN=$client" clientAuth
done

secret() { # NAME KEY=FILE...
  local name=$1
  shift
  echo ---
  kubectl create secret generic "$name" --namespace "$namespace" --dry-run=client -o yaml "${@/#/--from-file=}"
}

{
  secret etcd-tls ca.crt tls.crt=etcd.crt tls.key=etcd.key peer-ca.crt peer.crt peer.key
  secret dnsserver-etcd-tls ca.crt tls.crt=dnsserver.crt tls.key=dnsserver.key
  secret syncer-etcd-tls ca.crt tls.crt=syncer.crt tls.key=syncer.key
} > secrets.yaml
