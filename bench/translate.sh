#!/usr/bin/env bash
# What a stream costs that is translated, beside the same stream relayed:  RIG=<folder of the load rig> bench/translate.sh [requests]
# The rig's mock provider speaks OpenAI Chat and Anthropic Messages; clients speak the one or the other, so that each of four ways is taken.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
: "${RIG:?set RIG to the folder of the load rig}"
requests="${1:-20000}" port="${BENCH_PORT:-19100}" mock="${BENCH_MOCK_PORT:-18180}"
work="$(mktemp -d)"
trap 'kill $gateway $provider 2>/dev/null || true; rm -rf "$work"' EXIT
gateway="" provider=""
dotnet publish "$here/../src/Gateway" -c Release -o "$work/app" -v q --nologo -p:PublishReadyToRun=true -r linux-x64 --self-contained false >&2
dotnet publish "$here/Load" -c Release -o "$work/load" -v q --nologo >&2
dotnet publish "$RIG/MockUpstream" -c Release -o "$work/mock" -v q --nologo >&2
cat > "$work/gateway.yaml" <<YAML
providers:
  chat: {dialect: openai-chat, baseUrl: "http://127.0.0.1:$mock/v1", apiKey: bench}
  messages: {dialect: anthropic, baseUrl: "http://127.0.0.1:$mock/v1", apiKey: bench}
prices:
  - {provider: "chat", model: "*", input: 0.0001, output: 0.0001, maxOutputTokens: 256}
  - {provider: "messages", model: "*", input: 0.0001, output: 0.0001, maxOutputTokens: 256}
YAML
gateway_cpus="${GW_CPUS:-0-1}" rig_cpus="${RIG_CPUS:-2-3}"
taskset -c "$rig_cpus" "$work/mock/mock-upstream" --port "$mock" > "$work/mock.log" 2>&1 & provider=$!
(cd "$work" && exec taskset -c "$gateway_cpus" app/gateway --urls "http://127.0.0.1:$port" --data "$work/data" --config "$work/gateway.yaml") > "$work/gateway.log" 2>&1 & gateway=$!
# The provider, too, must be there before it is asked: one that fails at first is left alone for a while.
for _ in $(seq 200); do grep -q GATEWAY_KEY= "$work/gateway.log" && (: < "/dev/tcp/127.0.0.1/$mock") 2>/dev/null && break; sleep 0.1; done
key="$(grep -o 'GATEWAY_KEY=sk-gw-[0-9A-Za-z-]*' "$work/gateway.log" | head -1 | cut -d= -f2)"
pid="$(pgrep -P $gateway -x gateway || echo $gateway)"
measure() { # kind, model
  local before after
  taskset -c "$rig_cpus" dotnet "$work/load/load.dll" --kind "$1" --seconds 300 --model "$2" --key "$key" --url "http://127.0.0.1:$port" --requests "$((requests / 10))" --connections 64 > /dev/null
  before="$(awk '{print $14 + $15}' "/proc/$pid/stat")"
  taskset -c "$rig_cpus" dotnet "$work/load/load.dll" --kind "$1" --seconds 300 --model "$2" --key "$key" --url "http://127.0.0.1:$port" --requests "$requests" --connections 64 | tail -1 >&2
  after="$(awk '{print $14 + $15}' "/proc/$pid/stat")"
  awk -v ticks="$((after - before))" -v hz="$(getconf CLK_TCK)" -v n="$requests" 'BEGIN { printf "%.3f", ticks / hz * 1000 / n }'
}
for chunks in 20 200; do
  n="$requests"; [ "$chunks" = 200 ] && requests=$((requests / 5))
  a="$(measure stream "chat/gpt-mock--chunks=$chunks--chunk_delay=1")"
  b="$(measure messages "messages/gpt-mock--chunks=$chunks--chunk_delay=1")"
  c="$(measure messages "chat/gpt-mock--chunks=$chunks--chunk_delay=1")"
  d="$(measure stream "messages/gpt-mock--chunks=$chunks--chunk_delay=1")"
  echo "streams of $chunks chunks, CPU-s per 1000: chat relayed $a, messages relayed $b, messages from a chat provider $c, chat from a messages provider $d"
  requests="$n"
done
