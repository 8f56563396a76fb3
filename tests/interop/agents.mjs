// Claude Code and Codex, connected as `gateway connect` says, each with a home folder of its own and a model that is not one. Nothing leaves this machine.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseUrl, key, mcpUrl } from './lib/hub.mjs';
import { startModels } from './lib/models.mjs';
import { gateway, runProgram } from './lib/program.mjs';
import { run, test } from './lib/suite.mjs';

const programs = fileURLToPath(new URL('clients/node_modules/.bin', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'gateway-agents-'));
const project = join(home, 'project');
mkdirSync(join(home, '.codex'), { recursive: true });
mkdirSync(project);
const models = await startModels({ messagesTool: 'mcp__hub__gateway__whoami', responsesTool: { namespace: 'mcp__hub', name: 'gateway__whoami' } });

const env = {
  PATH: `${programs}:${process.env.PATH}`,
  HOME: home,
  LANG: 'C.UTF-8',
  CODEX_HOME: join(home, '.codex'),
  GATEWAY_KEY: key,
  ANTHROPIC_BASE_URL: models.url,
  ANTHROPIC_API_KEY: 'none',
  DISABLE_TELEMETRY: '1',
  DISABLE_ERROR_REPORTING: '1',
  DISABLE_AUTOUPDATER: '1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
};

/** Runs a line as somebody does who pasted it. */
const shell = (line, variables = env) => runProgram('/bin/sh', ['-c', line], { env: variables, cwd: project });

async function connect(...args) {
  const printed = await gateway(['connect', ...args, '--url', baseUrl]);
  assert.equal(printed.code, 0, printed.stderr);
  assert.ok(!printed.stdout.includes(key) && !printed.stderr.includes(key), 'a key is printed that nobody gave');
  return printed.stdout.trimEnd();
}

async function succeed(line, variables) {
  const ended = await shell(line, variables);
  assert.equal(ended.code, 0, `${line}\n${ended.stdout}\n${ended.stderr}`);
  return ended.stdout;
}

test('Claude Code takes the printed command', async () => {
  await succeed(await connect('claude-code', '--command'));
  assert.ok(readFileSync(join(home, '.claude.json'), 'utf8').includes('Bearer ${GATEWAY_KEY}'), 'the entry refers to the variable');
});

test('Claude Code connects', async () => {
  assert.match(await succeed('claude mcp list'), /hub: .*Connected/);
  assert.match(await succeed('claude mcp get hub'), /Status: .*Connected/);
});

test('Claude Code without the key does not connect', async () => {
  const { stdout } = await shell('claude mcp list', { ...env, GATEWAY_KEY: 'sk-gw-wrong' });
  assert.match(stdout, /hub: /);
  assert.doesNotMatch(stdout, /✔ Connected/);
});

test('Claude Code calls a tool', async () => {
  const before = models.requests.length;
  const answer = JSON.parse(await succeed("claude -p 'who am I' --allowedTools mcp__hub__gateway__whoami --output-format json"));
  assert.equal(answer.result, 'finished');
  const last = models.requests.slice(before).at(-1);
  assert.equal(last.path, '/v1/messages');
  assert.match(last.body, /first key/);
});

test('Claude Code takes the file that is written', async () => {
  await succeed('claude mcp remove hub');
  const written = await gateway(['connect', 'claude-code', '--url', baseUrl, '--write'], { cwd: project });
  assert.equal(written.code, 0, written.stderr);
  writeFileSync(join(home, 'settings.json'), JSON.stringify({ enableAllProjectMcpServers: true }));
  const before = models.requests.length;
  const answer = JSON.parse(await succeed(`claude -p 'who am I' --settings '${join(home, 'settings.json')}' --allowedTools mcp__hub__gateway__whoami --output-format json`));
  assert.equal(answer.result, 'finished');
  assert.match(models.requests.slice(before).at(-1).body, /first key/);
});

test('Codex takes the printed command', async () => {
  await succeed(await connect('codex', '--command'));
  assert.equal(readFileSync(join(home, '.codex/config.toml'), 'utf8').trimEnd(), await connect('codex'));
});

test('Codex lists the entry', async () => {
  const [entry] = JSON.parse(await succeed('codex mcp list --json'));
  assert.equal(entry.name, 'hub');
  assert.equal(entry.enabled, true);
  assert.ok(JSON.stringify(entry).includes(mcpUrl.href));
});

test('Codex calls a tool', async () => {
  writeFileSync(join(home, '.codex/config.toml'), [
    'model = "fake"', 'model_provider = "fake"', 'check_for_update_on_startup = false',
    '[analytics]', 'enabled = false',
    '[model_providers.fake]', 'name = "fake"', `base_url = "${models.url}/v1"`, 'wire_api = "responses"',
    await connect('codex'), ''].join('\n'));
  const lines = (await succeed('codex exec --skip-git-repo-check --json "who am I"')).split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line));
  const call = lines.find(({ type, item }) => type === 'item.completed' && item.type === 'mcp_tool_call')?.item;
  assert.equal(call?.status, 'completed', JSON.stringify(lines));
  assert.equal(call.result.structured_content.name, 'first key');
  assert.match(models.requests.at(-1).body, /first key/);
});

await run(async () => {
  models.close();
  rmSync(home, { recursive: true, force: true });
});
