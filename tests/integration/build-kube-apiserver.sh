#!/bin/bash
# Builds kube-apiserver 1.20.2 from Debian bookworm's source package with its Go compiler, for the tests.
#
# usage: build-kube-apiserver.sh OUTDIR, then KUBEBUILDER_ASSETS=OUTDIR pytest ...
#
# Root and a bookworm's apt are all it needs; nothing is installed. About 5 minutes on 2 cores, 3 GB of
# scratch below OUTDIR, a 110 MB binary. It is there or it is not: a broken run leaves nothing to be taken
# for the result, a finished one makes the next a matter of milliseconds, two at a time wait for each other.
# With Internet access, envtest's own assets (setup-envtest) are the better choice.
set -euo pipefail

VERSION=1.20.2
GO=1.19

[ $# = 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$(mkdir -p "$1" && cd "$1" && pwd)
exec 9> "$out/.build.lock"
flock 9
if "$out/kube-apiserver" --version 2> /dev/null; then exit 0; fi

work=$out/work
trap 'chmod -R u+w "$work" 2> /dev/null || true; rm -rf "$work"' EXIT
chmod -R u+w "$work" 2> /dev/null || true
rm -rf "$work"
mkdir -p "$work"/{apt/lists/partial,apt/cache/archives/partial,apt/parts,debs,home}
export HOME=$work/home

# The machine's own package sources with source packages switched on, and lists of our own.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$file" ] && sed -n 's/^deb \(.*\)/deb \1\ndeb-src \1/p' "$file" >> "$work/apt/parts/all.list"
done
for file in /etc/apt/sources.list.d/*.sources; do
  [ -f "$file" ] && sed 's/^Types:.*/Types: deb deb-src/' "$file" > "$work/apt/parts/$(basename "$file")"
done
cat > "$work/apt/apt.conf" << CONF
Dir::Etc::SourceList "/nonexistent";
Dir::Etc::SourceParts "$work/apt/parts";
Dir::State::Lists "$work/apt/lists";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "root";
Acquire::Retries "3";
CONF
export APT_CONFIG=$work/apt/apt.conf
apt-get -qq update
cd "$work/debs"
apt-get -qq source --download-only kubernetes
# Named 1.20.5+really1.20.2: Debian went back a step.
tarball=$(ls kubernetes_*"$VERSION".orig.tar.gz) ||
  { echo "no source of kubernetes $VERSION here: is this Debian bookworm?" >&2; exit 1; }
apt-get -qq download "golang-$GO-go" "golang-$GO-src"

for deb in golang-*.deb; do dpkg -x "$deb" "$work/deb"; done
cp -a "$work/deb/usr/share/go-$GO" "$work/goroot"
cp -a "$work/deb/usr/lib/go-$GO/bin" "$work/goroot/"
cp -a "$work/deb/usr/lib/go-$GO"/pkg/linux_* "$work/deb/usr/lib/go-$GO/pkg/tool" "$work/goroot/pkg/"

source=$work/gopath/src/k8s.io/kubernetes
mkdir -p "$source"
tar xzf "$tarball" -C "$source" --strip-components=1
cd "$source"
export GOROOT=$work/goroot GOPATH=$work/gopath GOCACHE=$work/gocache GO111MODULE=off GOFLAGS='' \
  CGO_ENABLED=0 GOPROXY=off PATH=$work/goroot/bin:$PATH

# The tarball leaves out one generated file: the OpenAPI definitions of the packages marked for it.
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=$(grep -rl '+k8s:openapi-gen=true' --include='*.go' pkg staging/src | xargs -n1 dirname | sort -u |
  sed -e 's#^staging/src/#k8s.io/kubernetes/vendor/#' -e 's#^pkg/#k8s.io/kubernetes/pkg/#' |
  grep -vE 'sample|testdata|/example' | paste -sd,)
"$work/openapi-gen" --logtostderr -h /dev/null --output-base "$work/gopath/src" \
  --output-package k8s.io/kubernetes/pkg/generated/openapi --report-filename "$work/violations.txt" \
  -O zz_generated.openapi --input-dirs "$inputs"

package=k8s.io/kubernetes/vendor/k8s.io
flags="-s -w"
for name in component-base client-go/pkg; do
  flags+=" -X $package/$name/version.gitMajor=1 -X $package/$name/version.gitMinor=20"
  flags+=" -X $package/$name/version.gitVersion=v$VERSION"
done
go build -ldflags "$flags" -o "$work/kube-apiserver" ./cmd/kube-apiserver
"$work/kube-apiserver" --version
mv "$work/kube-apiserver" "$out/kube-apiserver"
