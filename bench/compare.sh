#!/usr/bin/env bash
# Puts the gateway into a load rig beside its peers:  RIG=<folder of the rig> bench/compare.sh llm|mcp [arguments of the rig]
# Everything is on: key, hard budget, rate limits, ledger, metrics. TRACES=1 also exports spans to a collector that is not there.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
: "${RIG:?set RIG to the folder of the load rig}"
kind="${1:?llm or mcp}"; shift
port="${BENCH_PORT:-19000}" mock="${AGW_BENCH_PORT:-18080}"
work="$(mktemp -d)"; trap 'rm -rf "$work"' EXIT
dotnet publish "$here/../src/Gateway" -c Release -o "$work/app" -v q --nologo -p:PublishReadyToRun=true -r linux-x64 --self-contained false >&2
key="$(python3 - <<'PY'
import secrets
digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
body = "sk-gw-benchbench-" + "".join(secrets.choice(digits) for _ in range(32))
n, out = 0xFFFFFFFF, ""
for byte in body.encode():  # CRC-32C
    n ^= byte
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
n ^= 0xFFFFFFFF
for _ in range(6):
    n, out = n // 62, digits[n % 62] + out
print(body + out)
PY
)"
cat > "$work/gateway.yaml" <<YAML
providers:
  mock: {baseUrl: "http://127.0.0.1:$mock/v1", apiKey: bench, models: [gpt-mock]}
prices:
  - {provider: mock, model: gpt-mock, input: 1, output: 2, maxOutputTokens: 256, source: bench}
keys:
  bench:
    key: \${env:BENCH_KEY}
    models: ["*"]
    tools: ["*"]
    budgets: [{name: day, limit: 1000000, per: day}]
    rateLimits: [{requests: 1000000000, per: 1m}, {tokens: 1000000000000, per: 1m}]
    concurrency: 100000
YAML
mkdir -p "$work/manifests"
if [ "$kind" = mcp ]; then
  for i in 0 1 2 3 4 5 6 7 8 9; do
    cat > "$work/manifests/u$i.yaml" <<YAML
apiVersion: hub/v1
kind: ToolManifest
metadata: {id: u$i}
upstream: {transport: streamable-http, url: "http://127.0.0.1:$((mock + 4))/raw/u/$i/mcp"}
expose: {prefix: u$i}
YAML
  done
fi
cat > "$work/target.json" <<JSON
[{"name": "gateway", "url": "http://127.0.0.1:$port$([ "$kind" = mcp ] && echo /mcp || true)", "key": "$key", "model": "mock/gpt-mock", "tool": "u3__echo",
  "cmd": ["$work/app/gateway", "--urls", "http://127.0.0.1:$port", "--data", "$work/data", "--config", "$work/gateway.yaml", "--manifests", "$work/manifests"],
  "env": {"BENCH_KEY": "$key" ${TRACES:+, \"OTEL_EXPORTER_OTLP_ENDPOINT\": \"http://127.0.0.1:4317\"}}}]
JSON
script=compare.sh; [ "$kind" = mcp ] && script=compare-mcp.sh
"$RIG/$script" --targets-file "$work/target.json" "$@"
