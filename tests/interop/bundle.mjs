// The bundle for Claude Desktop, checked with the tools of its format, and started as its manifest says.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { baseUrl, key } from './lib/hub.mjs';
import { bridge, gateway, runProgram } from './lib/program.mjs';
import { run, test } from './lib/suite.mjs';

const mcpb = fileURLToPath(new URL('node_modules/@anthropic-ai/mcpb/dist/cli/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gateway-bundle-'));
const bundle = join(folder, 'gateway.mcpb');
const unpacked = join(folder, 'unpacked');

async function succeed(program) {
  const ended = await program;
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  return ended.stdout;
}

await succeed(gateway(['connect', 'claude-desktop', '--url', baseUrl, '--mcpb', bundle]));
await succeed(runProgram(process.execPath, [mcpb, 'unpack', bundle, unpacked]));
const manifest = JSON.parse(readFileSync(join(unpacked, 'manifest.json'), 'utf8'));

test('the manifest passes the validation of its format', async () => {
  assert.match(await succeed(runProgram(process.execPath, [mcpb, 'validate', join(unpacked, 'manifest.json')])), /validation passes/);
  assert.match(await succeed(runProgram(process.execPath, [mcpb, 'info', bundle])), /gateway.mcpb/);
});

test('the bundle asks for the key and keeps it secret', async () => {
  assert.equal(manifest.manifest_version, '0.3');
  assert.equal(manifest.server.type, 'binary');
  assert.equal(manifest.user_config.api_key.sensitive, true);
  assert.equal(manifest.user_config.api_key.required, true);
  assert.equal(manifest.user_config.url.default, baseUrl);
});

test('the unpacked bundle serves the tools', async () => {
  const filled = text => text.replaceAll('${__dirname}', unpacked).replaceAll('${user_config.url}', manifest.user_config.url.default).replaceAll('${user_config.api_key}', key);
  const { command, args, env } = manifest.server.mcp_config;
  const client = new Client({ name: 'interop-bundle', version: '1.0.0' });
  await client.connect(new StdioClientTransport({
    command: filled(command),
    args: args.map(filled),
    env: { ...bridge.env, GATEWAY_KEY: '', ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, filled(value)])) },
    stderr: 'ignore',
  }));
  const answer = await client.callTool({ name: 'gateway__whoami', arguments: {} });
  assert.match(answer.content[0].text, /first key/);
  await client.close();
});

await run(async () => rmSync(folder, { recursive: true, force: true }));
