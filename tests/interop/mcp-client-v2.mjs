// The 2.x client, in both eras: the handshake it falls back to, and the revision without sessions.

import assert from 'node:assert/strict';
import { Client, ProtocolError, SdkHttpError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { key, mcpUrl, removeManifest, servers, writeManifest } from './lib/hub.mjs';
import { slice } from './lib/json-slice.mjs';
import { eventually, failure, run, test } from './lib/suite.mjs';
import { openSession, post } from './lib/wire.mjs';

const modern = '2026-07-28';
const opened = [];

async function connect(mode, { token = key, ...options } = {}) {
  const transport = new StreamableHTTPClientTransport(mcpUrl, { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
  const client = new Client({ name: 'interop-v2', version: '1.0.0' }, { versionNegotiation: { mode }, ...options });
  await client.connect(transport);
  opened.push(client);
  return client;
}

const legacy = await connect('legacy');
const pinned = await connect({ pin: modern });
const textOf = result => result.content.map(block => block.text ?? '').join('\n');
const names = async client => (await client.listTools(undefined, { cacheMode: 'bypass' })).tools.map(tool => tool.name);

for (const client of [legacy, pinned]) {
  await eventually('tools of all servers', async () => {
    const shown = await names(client);
    return ['ev__echo', 'evh__echo', 'fs__read_text_file', 'mem__read_graph', 'probe__odd'].every(name => shown.includes(name));
  });
}

async function callKinds(client) {
  const call = (name, args = {}) => client.callTool({ name, arguments: args });
  assert.equal(textOf(await call('ev__echo', { message: 'hé 🧪' })), 'Echo: hé 🧪');
  assert.equal(textOf(await call('evh__get-sum', { a: 2, b: 3 })), 'The sum of 2 and 3 is 5.');
  assert.ok(!(await call('gateway__whoami')).isError);
  assert.ok((await call('ev__get-tiny-image')).content.some(block => block.type === 'image' && block.mimeType === 'image/png'));
  assert.equal((await call('ev__get-resource-links', { count: 3 })).content.filter(block => block.type === 'resource_link').length, 3);
  const structured = await call('ev__get-structured-content', { location: 'Chicago' });
  assert.deepEqual(structured.structuredContent, { temperature: 36, conditions: 'Light rain / drizzle', humidity: 82 });
  assert.equal((await call('fs__read_text_file', { path: '/etc/hostname' })).isError, true);
  assert.ok((await call('mem__read_graph')).structuredContent.entities);
}

async function followProgress(client) {
  const seen = [];
  await client.callTool({ name: 'ev__trigger-long-running-operation', arguments: { duration: 0.5, steps: 5 } },
    { onprogress: ({ progress }) => seen.push(progress) });
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
}

async function cancel(client) {
  const count = async () => Number(textOf(await client.callTool({ name: 'probe__cancellations', arguments: {} })));
  const before = await count();
  const stop = new AbortController();
  const waiting = failure(client.callTool({ name: 'probe__wait', arguments: {} }, { signal: stop.signal }));
  await count();   // the server reads in order: the wait is with it
  stop.abort('enough');
  assert.ok(await waiting);
  await eventually('the server heard', async () => await count() === before + 1);
}

async function refuse(client) {
  const unknown = await failure(client.callTool({ name: 'ev__nowhere', arguments: {} }));
  assert.ok(unknown instanceof ProtocolError, String(unknown));
  assert.equal(unknown.code, -32602);
  const failed = await failure(client.callTool({ name: 'probe__fail', arguments: { code: -31999, message: 'no such thing' } }));
  assert.equal(failed.code, -31999);
  assert.deepEqual(failed.data, { hint: 'as sent' });
}

async function watch(mode, id) {
  let changes = 0;
  let lastError;
  const client = await connect(mode, {
    listChanged: { tools: { onChanged: error => { changes++; lastError = error; } } },
  });
  writeManifest(id, id, [servers.everything, 'stdio']);
  try {
    await eventually('a notification', () => changes > 0);
    await eventually('the tools appear', async () => (await names(client)).includes(`${id}__echo`));
  } finally {
    removeManifest(id);
  }
  const seen = changes;
  await eventually('another notification', () => changes > seen);
  await eventually('the tools disappear', async () => !(await names(client)).includes(`${id}__echo`));
  assert.equal(lastError ?? null, null);
}

test('legacy mode shakes hands', async () => {
  assert.equal(legacy.getProtocolEra(), 'legacy');
  assert.equal(legacy.getNegotiatedProtocolVersion(), '2025-11-25');
});

test('pinned mode speaks the revision without sessions', async () => {
  assert.equal(pinned.getProtocolEra(), 'modern');
  assert.equal(pinned.getNegotiatedProtocolVersion(), modern);
});

test('automatic mode discovers the newest revision', async () => {
  const client = await connect('auto');
  assert.equal(client.getProtocolEra(), 'modern');
  assert.equal(client.getNegotiatedProtocolVersion(), modern);
});

test('discovery names all revisions and the tools capability', async () => {
  const discovered = pinned.getDiscoverResult();
  assert.ok(discovered.supportedVersions.includes(modern), discovered.supportedVersions.join());
  assert.equal(discovered.capabilities.tools.listChanged, true);
});

test('both eras show the same tools', async () => {
  // Not as the client gives them: it leaves out members that its revision has no more.
  const handshake = await (await openSession()).send('tools/list', {});
  const stateless = await post(
    { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta() } },
    { headers: { 'mcp-protocol-version': modern, 'mcp-method': 'tools/list' } });
  assert.equal(slice(stateless.text, 'result', 'tools'), slice(handshake.text, 'result', 'tools'));
  assert.deepEqual(await names(pinned), await names(legacy));
});

test('a list for a key is private', async () => {
  const list = await pinned.listTools(undefined, { cacheMode: 'bypass' });
  assert.equal(list.cacheScope, 'private');
  assert.equal(typeof list.ttlMs, 'number');
});

test('handshake era: results of every kind', () => callKinds(legacy));

test('modern era: results of every kind', () => callKinds(pinned));

test('handshake era: progress arrives in order', () => followProgress(legacy));

test('modern era: progress arrives in order', () => followProgress(pinned));

test('handshake era: cancellation reaches the tool server', () => cancel(legacy));

test('modern era: cancellation reaches the tool server', () => cancel(pinned));

test('handshake era: errors keep their code', () => refuse(legacy));

test('modern era: errors keep their code', () => refuse(pinned));

test('handshake era: list_changed follows a manifest', () => watch('legacy', 'later'));

test('modern era: list_changed follows a manifest', () => watch({ pin: modern }, 'newer'));

test('modern era: no session is given out', async () => {
  const answer = await post(
    { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta() } },
    { headers: { 'mcp-protocol-version': modern, 'mcp-method': 'tools/list' } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers.get('mcp-session-id'), null);
  assert.equal(JSON.parse(answer.text).result.resultType, 'complete');
});

test('modern era: a header that contradicts the body is refused', async () => {
  const answer = await post(
    { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ev__echo', arguments: { message: 'x' }, _meta: meta() } },
    { headers: { 'mcp-protocol-version': modern, 'mcp-method': 'tools/call', 'mcp-name': 'ev__get-env' } });
  assert.equal(answer.status, 400, answer.text);
  assert.equal(JSON.parse(answer.text).error.code, -32020);
});

test('modern era: an unknown revision is refused with the known ones', async () => {
  const answer = await post(
    { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: { ...meta(), 'io.modelcontextprotocol/protocolVersion': '2099-01-01' } } },
    { headers: { 'mcp-protocol-version': '2099-01-01', 'mcp-method': 'tools/list' } });
  assert.equal(answer.status, 400, answer.text);
  const { error } = JSON.parse(answer.text);
  assert.equal(error.code, -32022);
  assert.ok(error.data.supported.includes(modern));
});

test('a wrong key is refused in both eras', async () => {
  for (const mode of ['legacy', 'auto', { pin: modern }]) {
    const error = await failure(connect(mode, { token: 'sk-gw-wrong' }));
    assert.ok(error instanceof SdkHttpError, `${JSON.stringify(mode)}: ${error?.constructor?.name} ${error}`);
    assert.equal(error.data?.status ?? error.status, 401);
  }
});

function meta() {
  return {
    'io.modelcontextprotocol/protocolVersion': modern,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'interop', version: '1' },
  };
}

await run(async () => {
  await Promise.allSettled(opened.map(client => client.close()));
});
