#!/usr/bin/env bash
# Runs the cluster on hosts made of namespaces. Needs root and Debian's iproute2, openssh-server, openssh-client, rsync;
# without them the tests are skipped and say so. About ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec uv run --no-sync python -m pytest tests/cluster/test_multihost.py -m multihost -x "$@"
