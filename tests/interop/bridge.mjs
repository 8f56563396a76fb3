// Clients that can only start a program: both SDKs through `gateway bridge`, in both eras, and the bytes that go through it.

import assert from 'node:assert/strict';
import { Client as NewClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as NewTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { removeManifest, servers, writeManifest } from './lib/hub.mjs';
import { slice } from './lib/json-slice.mjs';
import { bridge } from './lib/program.mjs';
import { eventually, failure, run, test } from './lib/suite.mjs';
import { openProcess, openSession, post } from './lib/wire.mjs';

const modern = '2026-07-28';
const opened = [];
const textOf = result => result.content.map(block => block.text ?? '').join('\n');

async function connectOld() {
  const client = new OldClient({ name: 'interop-v1', version: '1.0.0' });
  await client.connect(new OldTransport({ ...bridge, stderr: 'ignore' }));
  opened.push(client);
  return {
    client,
    names: async () => (await client.listTools()).tools.map(tool => tool.name),
    call: (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options),
  };
}

async function connectNew(mode, options = {}) {
  const client = new NewClient({ name: 'interop-v2', version: '1.0.0' }, { versionNegotiation: { mode }, ...options });
  await client.connect(new NewTransport({ ...bridge, stderr: 'ignore' }));
  opened.push(client);
  return {
    client,
    names: async () => (await client.listTools(undefined, { cacheMode: 'bypass' })).tools.map(tool => tool.name),
    call: (name, args = {}, options) => client.callTool({ name, arguments: args }, options),
  };
}

const old = await connectOld();
const legacy = await connectNew('legacy');
const pinned = await connectNew({ pin: modern });

for (const { names } of [old, legacy, pinned]) {
  await eventually('tools of all servers', async () => {
    const shown = await names();
    return ['ev__echo', 'evh__echo', 'fs__read_text_file', 'mem__read_graph', 'probe__odd'].every(name => shown.includes(name));
  });
}

async function callKinds({ call }) {
  assert.equal(textOf(await call('ev__echo', { message: 'hé 🧪' })), 'Echo: hé 🧪');
  assert.equal(textOf(await call('evh__get-sum', { a: 2, b: 3 })), 'The sum of 2 and 3 is 5.');
  assert.ok((await call('ev__get-tiny-image')).content.some(block => block.type === 'image'));
  assert.ok((await call('mem__read_graph')).structuredContent.entities);
  const together = await Promise.all(Array.from({ length: 40 }, (_, i) => call('ev__echo', { message: `${i}` })));
  assert.deepEqual(together.map(textOf), Array.from({ length: 40 }, (_, i) => `Echo: ${i}`));
}

/** The SDKs take a step longer for a notification than for an answer, and so may forget the last one when both arrive in one piece. */
function inOrder(seen) {
  assert.ok(seen.length >= 4, `${seen}`);
  assert.deepEqual(seen, [1, 2, 3, 4, 5].slice(0, seen.length));
}

async function followProgress({ call }) {
  const seen = [];
  await call('ev__trigger-long-running-operation', { duration: 0.5, steps: 5 }, { onprogress: ({ progress }) => seen.push(progress) });
  inOrder(seen);
}

async function cancel({ call }) {
  const count = async () => Number(textOf(await call('probe__cancellations')));
  const before = await count();
  const stop = new AbortController();
  let isWaiting = false;
  const waiting = failure(call('probe__wait', {}, { signal: stop.signal })).finally(() => { isWaiting = false; });
  isWaiting = true;
  await count();
  await count();
  assert.ok(isWaiting, 'the call was answered');
  stop.abort('enough');
  assert.ok(await waiting);
  await eventually('the server heard', async () => await count() === before + 1);
}

async function refuse({ call }) {
  assert.equal((await failure(call('ev__nowhere'))).code, -32602);
  const failed = await failure(call('probe__fail', { code: -31999, message: 'no such thing' }));
  assert.equal(failed.code, -31999);
  assert.deepEqual(failed.data, { hint: 'as sent' });
}

async function watch({ names }, changes, id) {
  writeManifest(id, id, [servers.everything, 'stdio']);
  try {
    await eventually('a notification', () => changes() > 0);
    await eventually('the tools appear', async () => (await names()).includes(`${id}__echo`));
  } finally {
    removeManifest(id);
  }
  const seen = changes();
  await eventually('another notification', () => changes() > seen);
  await eventually('the tools disappear', async () => !(await names()).includes(`${id}__echo`));
}

async function watchNew(mode, id) {
  let changes = 0;
  const connected = await connectNew(mode, { listChanged: { tools: { onChanged: () => { changes++; } } } });
  await watch(connected, () => changes, id);
}

/** What the gateway says over HTTP and through the bridge must be the same bytes. */
async function same(method, params, part) {
  const direct = slice((await (await openSession()).send(method, params)).text, part);
  assert.ok(direct, 'the gateway answers');
  assert.equal(slice(await raw.send(method, params), part), direct);
}

const raw = await openProcess(bridge.args, { command: bridge.command, env: bridge.env });

test('the bridge shakes hands', async () => {
  assert.equal(legacy.client.getNegotiatedProtocolVersion(), '2025-11-25');
  assert.equal(old.client.getServerVersion().name, 'agent-gateway');
  assert.equal(old.client.getServerCapabilities().tools.listChanged, true);
  await old.client.ping();
});

test('the bridge speaks the revision without sessions', async () => {
  assert.equal(pinned.client.getNegotiatedProtocolVersion(), modern);
  assert.ok(pinned.client.getDiscoverResult().supportedVersions.includes(modern));
});

test('automatic mode finds the newest revision through the bridge', async () => {
  assert.equal((await connectNew('auto')).client.getProtocolEra(), 'modern');
});

test('SDK 1.x: results, forty at once', () => callKinds(old));

test('handshake era: results, forty at once', () => callKinds(legacy));

test('modern era: results, forty at once', () => callKinds(pinned));

test('SDK 1.x: progress arrives in order', () => followProgress(old));

test('handshake era: progress arrives in order', () => followProgress(legacy));

test('modern era: progress arrives in order', () => followProgress(pinned));

test('all progress is written before the answer', async () => {
  const lines = [];
  const own = await openProcess(bridge.args, { command: bridge.command, env: bridge.env, seen: line => lines.push(JSON.parse(line)) });
  lines.length = 0;
  await own.send('tools/call', { name: 'ev__trigger-long-running-operation', arguments: { duration: 0.5, steps: 5 }, _meta: { progressToken: 'p' } });
  own.close();
  const about = lines.filter(line => line.params?.progressToken === 'p' || line.result);
  assert.deepEqual(about.map(line => line.params?.progress ?? 'answer'), [1, 2, 3, 4, 5, 'answer']);
});

test('SDK 1.x: cancellation reaches the tool server', () => cancel(old));

test('handshake era: cancellation reaches the tool server', () => cancel(legacy));

test('modern era: cancellation reaches the tool server', () => cancel(pinned));

test('SDK 1.x: errors keep their code', () => refuse(old));

test('modern era: errors keep their code', () => refuse(pinned));

test('SDK 1.x: list_changed follows a manifest', async () => {
  let changes = 0;
  const connected = await connectOld();
  connected.client.setNotificationHandler(ToolListChangedNotificationSchema, () => { changes++; });
  await watch(connected, () => changes, 'bridged');
});

test('handshake era: list_changed follows a manifest', () => watchNew('legacy', 'bridgedlater'));

test('modern era: list_changed follows a manifest', () => watchNew({ pin: modern }, 'bridgednewer'));

test('the list is the same bytes', () => same('tools/list', {}, 'result'));

test('a result with unknown members and number forms is the same bytes', () => same('tools/call', { name: 'probe__odd', arguments: {} }, 'result'));

test('an image is the same bytes', () => same('tools/call', { name: 'ev__get-tiny-image', arguments: {} }, 'result'));

test('an error is the same bytes', () => same('tools/call', { name: 'probe__fail', arguments: { code: -31998, message: 'é "quoted"' } }, 'error'));

test('the whole answer of the modern era is the same bytes', async () => {
  const params = { name: 'probe__odd', arguments: {}, _meta: { 'io.modelcontextprotocol/protocolVersion': modern, 'io.modelcontextprotocol/clientCapabilities': {} } };
  const through = await raw.send('tools/call', params);
  const direct = await post(
    { jsonrpc: '2.0', id: JSON.parse(through).id, method: 'tools/call', params },
    { headers: { 'mcp-protocol-version': modern, 'mcp-method': 'tools/call', 'mcp-name': 'probe__odd' } });
  assert.equal(through, direct.text);
});

test('a refused key is an error in the words of the gateway', async () => {
  const refused = await openProcess(bridge.args, { command: bridge.command, env: { ...bridge.env, GATEWAY_KEY: 'sk-gw-wrong' } });
  refused.close();
  const { error } = JSON.parse(refused.initialized);
  assert.equal(error.code, 401);
  assert.match(error.message, /checksum/);
});

await run(async () => {
  raw.close();
  await Promise.allSettled(opened.map(client => client.close()));
});
