// mcp-remote, which many people use for clients that can only start a program.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { key, mcpUrl } from './lib/hub.mjs';
import { eventually, failure, run, test } from './lib/suite.mjs';

const program = fileURLToPath(new URL('node_modules/mcp-remote/dist/proxy.js', import.meta.url));
const settings = mkdtempSync(join(tmpdir(), 'gateway-mcp-remote-'));

async function connect(header) {
  const client = new Client({ name: 'interop-mcp-remote', version: '1.0.0' });
  await client.connect(new StdioClientTransport({
    command: process.execPath,
    args: [program, mcpUrl.href, '--header', 'Authorization:${AUTH_HEADER}'],
    env: { PATH: process.env.PATH, HOME: settings, MCP_REMOTE_CONFIG_DIR: settings, AUTH_HEADER: header },
    stderr: 'ignore',
  }));
  return client;
}

const client = await connect(`Bearer ${key}`);
const names = async () => (await client.listTools()).tools.map(tool => tool.name);
const textOf = result => result.content.map(block => block.text ?? '').join('\n');

await eventually('tools of all servers', async () => {
  const shown = await names();
  return ['ev__echo', 'evh__echo', 'probe__odd'].every(name => shown.includes(name));
});

test('mcp-remote lists the tools', async () => {
  assert.ok((await names()).includes('gateway__whoami'));
  assert.equal(client.getServerVersion().name, 'agent-gateway');
});

test('mcp-remote calls tools', async () => {
  assert.equal(textOf(await client.callTool({ name: 'ev__echo', arguments: { message: 'hé 🧪' } })), 'Echo: hé 🧪');
  assert.match(textOf(await client.callTool({ name: 'gateway__whoami', arguments: {} })), /first key/);
});

test('mcp-remote relays progress', async () => {
  const seen = [];
  await client.callTool({ name: 'ev__trigger-long-running-operation', arguments: { duration: 0.5, steps: 5 } }, undefined,
    { onprogress: ({ progress }) => seen.push(progress) });
  // The SDK takes a step longer for a notification than for an answer, and so may forget the last one when both arrive in one piece.
  assert.ok(seen.length >= 4, `${seen}`);
  assert.deepEqual(seen, [1, 2, 3, 4, 5].slice(0, seen.length));
});

test('mcp-remote relays errors', async () => {
  assert.equal((await failure(client.callTool({ name: 'probe__fail', arguments: { code: -31999, message: 'no' } }))).code, -31999);
});

await run(async () => {
  await client.close();
  rmSync(settings, { recursive: true, force: true });
});
