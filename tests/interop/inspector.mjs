// MCP Inspector's command line, in two generations. The older one sends no headers of its user's to an address, so that it comes through the bridge.

import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { key, mcpUrl } from './lib/hub.mjs';
import { bridge, runProgram } from './lib/program.mjs';
import { eventually, run, test } from './lib/suite.mjs';

const modules = fileURLToPath(new URL('node_modules/', import.meta.url));
const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: process.env.HOME ?? '', ...(process.env.DOTNET_ROOT ? { DOTNET_ROOT: process.env.DOTNET_ROOT } : {}) };

const newer = (args, token = key) => runProgram(process.execPath,
  [join(modules, '@modelcontextprotocol/inspector/clients/launcher/build/index.js'), '--cli', mcpUrl.href, '--transport', 'http', '--header', `Authorization: Bearer ${token}`, ...args], { env });
const older = args => runProgram(process.execPath,
  [join(modules, 'inspector-of-the-old-api/cli/build/cli.js'), '--cli', '-e', `GATEWAY_KEY=${key}`, ...args, '--transport', 'stdio', bridge.command, ...bridge.args], { env });

async function listed(inspect) {
  const answer = await inspect(['--method', 'tools/list']);
  assert.equal(answer.code, 0, answer.stderr + answer.stdout);
  return JSON.parse(answer.stdout).tools.map(tool => tool.name);
}

async function called(inspect) {
  const answer = await inspect(['--method', 'tools/call', '--tool-name', 'ev__echo', '--tool-arg', 'message=hello']);
  assert.equal(answer.code, 0, answer.stderr + answer.stdout);
  assert.equal(JSON.parse(answer.stdout).content[0].text, 'Echo: hello');
}

await eventually('tools of all servers', async () => {
  const names = await listed(newer);
  return ['ev__echo', 'evh__echo', 'probe__odd'].every(name => names.includes(name));
});

test('Inspector 2.12 lists the tools', async () => {
  assert.ok((await listed(newer)).includes('gateway__whoami'));
});

test('Inspector 2.12 calls a tool', () => called(newer));

test('Inspector 2.12 with a wrong key fails', async () => {
  const answer = await newer(['--method', 'tools/list'], 'sk-gw-wrong');
  assert.notEqual(answer.code, 0);
  assert.ok(!answer.stdout.includes('gateway__whoami'));
});

test('Inspector 0.15 lists the tools through the bridge', async () => {
  assert.ok((await listed(older)).includes('gateway__whoami'));
});

test('Inspector 0.15 calls a tool through the bridge', () => called(older));

test('Inspector 0.15 without a key shows the words of the gateway', async () => {
  const answer = await runProgram(process.execPath,
    [join(modules, 'inspector-of-the-old-api/cli/build/cli.js'), '--cli', mcpUrl.href, '--transport', 'http', '--method', 'tools/list'], { env });
  assert.notEqual(answer.code, 0);
  assert.match(answer.stderr + answer.stdout, /No API key was sent/);
});

await run();
