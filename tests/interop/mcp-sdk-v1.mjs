// The 1.x SDK's client: handshakes, sessions, a GET stream for what the server says on its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LATEST_PROTOCOL_VERSION, McpError, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { createKey, files, key, mcpUrl, removeManifest, servers, writeManifest } from './lib/hub.mjs';
import { eventually, failure, run, test } from './lib/suite.mjs';
import { openSession, post } from './lib/wire.mjs';

const opened = [];

async function connect(token = key) {
  const transport = new StreamableHTTPClientTransport(mcpUrl, { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
  const client = new Client({ name: 'interop-v1', version: '1.0.0' });
  await client.connect(transport);
  opened.push(client);
  return { client, transport };
}

const { client } = await connect();
const names = async (of = client) => (await of.listTools()).tools.map(tool => tool.name);
const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options);
const textOf = result => result.content.map(block => block.text ?? '').join('\n');
const has = (...wanted) => eventually(`tools ${wanted}`, async () => {
  const shown = await names();
  return wanted.every(name => shown.includes(name));
});

await has('ev__echo', 'evh__echo', 'fs__read_text_file', 'mem__read_graph', 'probe__odd');

test('initialize agrees on the newest handshake revision', async () => {
  const { client, transport } = await connect();
  assert.equal(transport.protocolVersion, LATEST_PROTOCOL_VERSION);
  assert.ok(transport.sessionId);
  assert.ok(client.getServerVersion().name);
  assert.equal(client.getServerCapabilities().tools.listChanged, true);
});

test('every handshake revision is answered in kind', async () => {
  for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
    const session = await openSession(version);
    assert.equal(session.result.protocolVersion, version);
    const { result } = JSON.parse((await session.send('tools/call', { name: 'ev__echo', arguments: { message: version } })).text);
    assert.equal(result.content[0].text, `Echo: ${version}`);
  }
});

test('ping is answered', async () => {
  await client.ping();
});

test('the list joins all servers and the built-in tools', async () => {
  const shown = await names();
  for (const name of ['gateway__whoami', 'gateway__list_allowed', 'gateway__spend', 'gateway__current_time', 'fs__write_file', 'mem__create_entities']) {
    assert.ok(shown.includes(name), `${name} is missing in ${shown}`);
  }
});

test('names fit the limits of clients', async () => {
  const shown = await names();
  assert.ok(shown.every(name => /^[A-Za-z0-9_-]{1,45}$/.test(name)), shown.join());
  assert.equal(new Set(shown).size, shown.length);
});

test('the list has the same order each time', async () => {
  assert.deepEqual(await names(), await names());
});

test('the built-in tools answer', async () => {
  for (const name of ['gateway__whoami', 'gateway__list_allowed', 'gateway__spend', 'gateway__current_time']) {
    const result = await call(name);
    assert.ok(!result.isError && textOf(result).length > 0, `${name}: ${JSON.stringify(result)}`);
  }
});

test('a built-in tool never shows the key', async () => {
  assert.ok(!JSON.stringify(await call('gateway__whoami')).includes(key));
});

test('everything: text over stdio', async () => {
  assert.equal(textOf(await call('ev__echo', { message: 'hé 🧪' })), 'Echo: hé 🧪');
  assert.equal(textOf(await call('ev__get-sum', { a: 2, b: 3 })), 'The sum of 2 and 3 is 5.');
});

test('everything: text over Streamable HTTP', async () => {
  assert.equal(textOf(await call('evh__echo', { message: 'over http' })), 'Echo: over http');
});

test('everything: an image', async () => {
  const result = await call('ev__get-tiny-image');
  const image = result.content.find(block => block.type === 'image');
  assert.equal(image.mimeType, 'image/png');
  assert.deepEqual([...Buffer.from(image.data, 'base64').subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
});

test('everything: resource links', async () => {
  const result = await call('ev__get-resource-links', { count: 4 });
  const links = result.content.filter(block => block.type === 'resource_link');
  assert.equal(links.length, 4);
  assert.ok(links.every(link => link.uri && link.name && link.mimeType));
});

test('everything: an embedded resource', async () => {
  const result = await call('ev__get-resource-reference', { resourceType: 'Text', resourceId: 1 });
  const { resource } = result.content.find(block => block.type === 'resource');
  assert.ok(resource.uri && resource.text);
});

test('everything: structured content fits its schema', async () => {
  await client.listTools();   // from here on the client checks results against the output schemas
  const result = await call('ev__get-structured-content', { location: 'Chicago' });
  assert.deepEqual(result.structuredContent, { temperature: 36, conditions: 'Light rain / drizzle', humidity: 82 });
});

test('everything: annotations of content', async () => {
  const result = await call('ev__get-annotated-message', { messageType: 'error', includeImage: true });
  assert.deepEqual(result.content[0].annotations, { priority: 1, audience: ['user', 'assistant'] });
});

async function followProgress(name) {
  const seen = [];
  const result = await call(name, { duration: 0.5, steps: 5 }, { onprogress: ({ progress, total }) => seen.push([progress, total]) });
  assert.deepEqual(seen, [[1, 5], [2, 5], [3, 5], [4, 5], [5, 5]]);
  assert.match(textOf(result), /completed/);
}

test('progress arrives in order, over stdio', () => followProgress('ev__trigger-long-running-operation'));

test('progress arrives in order, over Streamable HTTP', () => followProgress('evh__trigger-long-running-operation'));

test('cancellation reaches the tool server', async () => {
  const before = Number(textOf(await call('probe__cancellations')));
  const stop = new AbortController();
  const waiting = failure(call('probe__wait', {}, { signal: stop.signal }));
  await call('probe__cancellations');   // the server reads in order: the wait is with it
  stop.abort('enough');
  assert.ok(await waiting);
  await eventually('the server heard', async () => Number(textOf(await call('probe__cancellations'))) === before + 1);
});

test('a call that the client gives up does not hold up others', async () => {
  const error = await failure(call('probe__wait', {}, { timeout: 200 }));
  assert.ok(error instanceof McpError, String(error));
  assert.equal(textOf(await call('probe__grow')), 'grow');
  assert.equal(textOf(await call('probe__shrink')), 'shrink');
});

test('an error of the tool server keeps its code and data', async () => {
  const error = await failure(call('probe__fail', { code: -31999, message: 'no such thing' }));
  assert.ok(error instanceof McpError, String(error));
  assert.equal(error.code, -31999);
  assert.match(error.message, /no such thing/);
  assert.deepEqual(error.data, { hint: 'as sent' });
});

test('an unknown tool is an invalid parameter', async () => {
  const error = await failure(call('ev__nowhere'));
  assert.ok(error instanceof McpError, String(error));
  assert.equal(error.code, -32602);
});

test('filesystem: write, read, list', async () => {
  const path = join(files, 'note.txt');
  await call('fs__write_file', { path, content: 'one\ntwo ✓\n' });
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo ✓\n');
  assert.match(textOf(await call('fs__read_text_file', { path })), /two ✓/);
  assert.match(textOf(await call('fs__list_directory', { path: files })), /note\.txt/);
});

test('filesystem: a forbidden path is an error of the tool', async () => {
  const result = await call('fs__read_text_file', { path: '/etc/hostname' });
  assert.equal(result.isError, true);
  assert.match(textOf(result), /denied|outside/i);
});

test('filesystem: a file of 2 MB comes through whole', async () => {
  mkdirSync(files, { recursive: true });
  const content = 'line of the large file\n'.repeat(90_000);
  writeFileSync(join(files, 'large.txt'), content);
  const result = await call('fs__read_text_file', { path: join(files, 'large.txt') });
  assert.equal(result.content[0].text, content);
});

test('memory: what is stored is found', async () => {
  await call('mem__create_entities', { entities: [{ name: 'hub', entityType: 'service', observations: ['has two planes'] }] });
  const graph = await call('mem__search_nodes', { query: 'planes' });
  assert.equal(graph.structuredContent.entities[0].name, 'hub');
});

test('a tool server does not inherit the environment', async () => {
  const environment = textOf(await call('ev__get-env'));
  assert.ok(!environment.includes('GATEWAY_CANARY'), 'the canary of the gateway is visible');
  assert.ok(environment.includes('PATH'));
});

test('list_changed follows a manifest that comes and goes', async () => {
  const { client: watcher } = await connect();
  let changes = 0;
  watcher.setNotificationHandler(ToolListChangedNotificationSchema, () => { changes++; });
  writeManifest('extra', 'extra', [servers.everything, 'stdio']);
  try {
    await eventually('the tools appear', async () => (await names(watcher)).includes('extra__echo'));
    await eventually('a notification', () => changes > 0);
    assert.equal(textOf(await watcher.callTool({ name: 'extra__echo', arguments: { message: 'new' } })), 'Echo: new');
  } finally {
    removeManifest('extra');
  }
  const seen = changes;
  await eventually('the tools disappear', async () => !(await names(watcher)).includes('extra__echo'));
  await eventually('another notification', () => changes > seen);
  assert.equal((await failure(watcher.callTool({ name: 'extra__echo', arguments: { message: 'x' } }))).code, -32602);
});

test('list_changed follows a tool server that changes its tools', async () => {
  const { client: watcher } = await connect();
  let changes = 0;
  watcher.setNotificationHandler(ToolListChangedNotificationSchema, () => { changes++; });
  await call('probe__grow');
  await eventually('a notification', () => changes > 0);
  await eventually('the tool appears', async () => (await names(watcher)).includes('probe__grown'));
  await call('probe__shrink');
  await eventually('the tool disappears', async () => !(await names(watcher)).includes('probe__grown'));
});

test('a tool server that exits comes back', async () => {
  const result = await call('probe__exit').catch(error => error);
  assert.ok(result instanceof McpError || result.isError, JSON.stringify(result));
  assert.equal(textOf(await call('ev__echo', { message: 'others go on' })), 'Echo: others go on');
  await eventually('it answers again', async () => textOf(await call('probe__cancellations')) === '0');
});

test('a key sees and calls what it is granted, and nothing else', async () => {
  const token = await createKey({ name: 'interop', tools: ['everything/get-*', '!everything/get-env'], models: [] });
  const { client: limited } = await connect(token);
  const shown = await names(limited);
  assert.ok(shown.includes('ev__get-sum'), shown.join());
  assert.ok(shown.every(name => name.startsWith('ev__get-') && name !== 'ev__get-env'), shown.join());
  assert.equal(textOf(await limited.callTool({ name: 'ev__get-sum', arguments: { a: 1, b: 1 } })), 'The sum of 1 and 1 is 2.');
  const refused = await failure(limited.callTool({ name: 'ev__get-env', arguments: {} }));
  const unknown = await failure(limited.callTool({ name: 'ev__nowhere', arguments: {} }));
  assert.equal(refused.code, unknown.code);
  assert.equal(refused.message.replace('get-env', ''), unknown.message.replace('nowhere', ''));
});

test('many sessions and calls at once get their own answers', async () => {
  const many = await Promise.all(Array.from({ length: 8 }, () => connect()));
  const answers = await Promise.all(many.flatMap(({ client: one }, session) => Array.from({ length: 25 }, async (_, index) => {
    const message = `${session}/${index}`;
    return textOf(await one.callTool({ name: 'ev__echo', arguments: { message } })) === `Echo: ${message}`;
  })));
  assert.equal(answers.filter(Boolean).length, 200);
});

test('a terminated session is gone', async () => {
  const { transport } = await connect();
  const sessionId = transport.sessionId;
  await transport.terminateSession();
  const answer = await post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { headers: { 'mcp-session-id': sessionId } });
  assert.equal(answer.status, 404);
});

test('a session belongs to the key that opened it', async () => {
  const { transport } = await connect();
  const token = await createKey({ name: 'stranger', tools: ['*'], models: [] });
  const answer = await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, { token, headers: { 'mcp-session-id': transport.sessionId } });
  assert.equal(answer.status, 404);
});

test('a call whose connection is cut is taken up again', async () => {
  let cuts = 0;
  const resumed = [];
  const cutting = async (url, init) => {
    const response = await fetch(url, init);
    const last = new Headers(init?.headers).get('last-event-id');
    if (last) {
      resumed.push(last);
    }
    if (init?.method !== 'POST' || !String(init.body).includes('tools/call') || !response.body || cuts > 0) {
      return response;
    }
    cuts++;
    // The first event that holds a message comes through, then the connection is gone.
    const reader = response.body.getReader();
    let text = '';
    const body = new ReadableStream({
      async pull(controller) {
        const { value, done } = await reader.read();
        text += new TextDecoder().decode(value ?? new Uint8Array());
        if (value) {
          controller.enqueue(value);
        }
        if (done || text.includes('notifications/progress')) {
          await reader.cancel();
          controller.error(new Error('the connection was cut'));
        }
      },
    });
    return new Response(body, { status: response.status, headers: response.headers });
  };
  const transport = new StreamableHTTPClientTransport(mcpUrl, { requestInit: { headers: { Authorization: `Bearer ${key}` } }, fetch: cutting });
  const cut = new Client({ name: 'interop-cut', version: '1.0.0' });
  await cut.connect(transport);
  opened.push(cut);
  const seen = [];
  const result = await cut.callTool({ name: 'ev__trigger-long-running-operation', arguments: { duration: 2, steps: 4 } }, undefined, { onprogress: ({ progress }) => seen.push(progress) });
  assert.equal(cuts, 1);
  assert.ok(resumed.length > 0, 'nothing was taken up');
  assert.match(result.content[0].text, /completed/i);
  assert.deepEqual(seen, [1, 2, 3, 4]);
});

test('a server on the older HTTP+SSE is listed and called', async () => {
  const port = 20000 + Math.floor(Math.random() * 20000);
  const child = spawn(process.execPath, [servers.everything, 'sse'], { env: { ...process.env, PORT: String(port) }, stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    let said = '';
    child.stderr.on('data', data => said += data);
    await eventually('the server', () => said.includes('running on port'));
    writeManifest('older', 'old', [], { transport: 'sse', url: `http://127.0.0.1:${port}/sse` });
    writeManifest('older-found', 'oldf', [], { url: `http://127.0.0.1:${port}/sse` });
    await has('old__echo', 'oldf__echo');
    assert.match(textOf(await call('old__echo', { message: 'over SSE' })), /over SSE/);
    assert.match(textOf(await call('oldf__echo', { message: 'found out' })), /found out/);
  } finally {
    removeManifest('older');
    removeManifest('older-found');
    child.kill();
  }
});

test('a wrong key is refused with 401', async () => {
  const error = await failure(connect('sk-gw-wrong'));
  assert.equal(error.code, 401, String(error));
});

await run(async () => {
  await Promise.allSettled(opened.map(one => one.close()));
});
