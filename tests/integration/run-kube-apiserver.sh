#!/bin/bash
# Runs kube-apiserver with an etcd of its own on loopback until Ctrl-C, for trying things by hand.
#
# usage: KUBEBUILDER_ASSETS=DIR run-kube-apiserver.sh
#
# DIR holds kube-apiserver (build-kube-apiserver.sh makes one). Prints the KUBECONFIG to use: cluster admin,
# RBAC on. PYTHON chooses the interpreter (the tests' environment has what it takes).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
exec "$python" -m tests.integration.kube_apiserver
