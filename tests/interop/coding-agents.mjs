// Claude Code and Codex at work: each reads a file, edits it, runs a command and is done, with the gateway between it and a provider that speaks another format or its own. Each has a home
// folder of its own and a model that is not one. Nothing leaves this machine.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startGateway } from './lib/process.mjs';
import { runProgram } from './lib/program.mjs';
import { run, test } from './lib/suite.mjs';
import { startVendors } from './lib/vendors.mjs';

const programs = fileURLToPath(new URL('clients/node_modules/.bin', import.meta.url));
const formats = (process.env.UPSTREAMS ?? 'chat,responses,messages,gemini,bedrock').split(',');
const dialects = { chat: 'openai-chat', responses: 'openai-responses', messages: 'anthropic', gemini: 'gemini', bedrock: 'bedrock' };
const models = { chat: 'gpt-4o', responses: 'gpt-5.4', messages: 'claude-sonnet-4-5', gemini: 'gemini-2.5-pro', bedrock: 'anthropic.claude-sonnet-4-5-20250929-v1:0' };

const home = mkdtempSync(join(tmpdir(), 'gateway-coding-'));
let steps;
const vendors = await startVendors(asked => {
  if (!asked.text.includes('greeting') && asked.rounds === 0) {
    return { text: 'A title' }; // what agents ask beside the work: titles, topics
  }
  const step = steps[Math.min(asked.rounds, steps.length - 1)];
  return typeof step === 'string' ? { text: step } : { calls: [{ id: `call_step${asked.rounds}`, ...step }] };
});
const gateway = await startGateway({
  configuration: {
    providers: Object.fromEntries(formats.map(format => [`own-${format}`, { dialect: dialects[format], baseUrl: `${vendors.address}/${format}`, apiKey: 'upstream-secret', maxRetries: 0 }])),
    routes: Object.fromEntries(formats.map(format => [`claude-${format}`, { targets: [`own-${format}/${models[format]}`] }])),
    pricing: { unknown: 'allow' },
    prices: formats.map(format => ({ provider: `own-${format}`, model: '*', input: 0.001, output: 0.001, maxOutputTokens: 64000, maxImageTokens: 2000 })),
  },
});

function newProject() {
  const project = mkdtempSync(join(home, 'project-'));
  writeFileSync(join(project, 'greeting.txt'), 'Hello wrold\n');
  return project;
}

function assertWorked(project, format, before) {
  assert.equal(readFileSync(join(project, 'greeting.txt'), 'utf8'), 'Hello world\n');
  assert.ok(existsSync(join(project, 'ran')), 'the command did not run');
  const work = vendors.requests.slice(before).filter(request => request.tools.length > 0);
  assert.ok(work.length >= 4, `${work.length} requests`);
  assert.ok(work.every(request => request.format === format));
  assert.ok(!JSON.stringify(vendors.requests.slice(before).map(request => request.headers)).includes('sk-gw-'), 'the key went upstream');
}

async function claude(format) {
  const project = newProject();
  const before = vendors.requests.length;
  steps = [
    { name: 'Read', args: { file_path: join(project, 'greeting.txt') } },
    { name: 'Edit', args: { file_path: join(project, 'greeting.txt'), old_string: 'wrold', new_string: 'world' } },
    { name: 'Bash', args: { command: 'touch ran', description: 'Leaves a mark' } },
    'finished',
  ];
  const ended = await runProgram('/bin/sh', ['-c', `claude -p 'correct the greeting' --model claude-${format} --allowedTools Read,Edit,Bash --output-format json`], {
    cwd: project,
    env: {
      PATH: `${programs}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8', ANTHROPIC_BASE_URL: gateway.url, ANTHROPIC_API_KEY: gateway.key, ANTHROPIC_SMALL_FAST_MODEL: `claude-${format}`,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: `claude-${format}`, DISABLE_TELEMETRY: '1', DISABLE_ERROR_REPORTING: '1', DISABLE_AUTOUPDATER: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    },
  });
  assert.equal(ended.code, 0, `${ended.stdout}\n${ended.stderr}\n${gateway.output().slice(-3000)}`);
  assert.equal(JSON.parse(ended.stdout).result, 'finished', ended.stdout);
  assertWorked(project, format, before);
}

/** How many connections were opened for messages of their own: their requests are answered with 101. */
async function countSockets() {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const line = text.split('\n').find(line => line.startsWith('gateway_request_duration_seconds_count{') && line.includes('status_class="1xx"'));
  return line ? Number(line.split(' ')[1]) : 0;
}

async function codex(format, overSocket = false) {
  const project = newProject();
  const before = vendors.requests.length;
  const shell = command => ({ name: 'exec_command', args: { cmd: command } });
  steps = [shell('cat greeting.txt'), shell("sed -i s/wrold/world/ greeting.txt"), shell('touch ran'), 'finished'];
  const sockets = await countSockets();
  const codexHome = join(home, `codex-${format}-${overSocket}`);
  mkdirSync(codexHome);
  writeFileSync(join(codexHome, 'config.toml'), [
    `model = "claude-${format}"`, 'model_provider = "gateway"', 'check_for_update_on_startup = false',
    'web_search = "disabled"', // a tool that the provider runs has no bound under a hard budget
    '[analytics]', 'enabled = false',
    '[model_providers.gateway]', 'name = "gateway"', `base_url = "${gateway.url}/v1"`, 'wire_api = "responses"', 'env_key = "GATEWAY_KEY"', `supports_websockets = ${overSocket}`, ''].join('\n'));
  const ended = await runProgram('/bin/sh', ['-c', "codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox --json 'correct the greeting'"], {
    cwd: project,
    env: { PATH: `${programs}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8', CODEX_HOME: codexHome, GATEWAY_KEY: gateway.key },
  });
  assert.equal(ended.code, 0, `${ended.stdout}\n${ended.stderr}\n${gateway.output().slice(-3000)}`);
  const lines = ended.stdout.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line));
  assert.ok(lines.some(({ type, item }) => type === 'item.completed' && item.type === 'agent_message' && item.text === 'finished'), ended.stdout);
  assert.equal(await countSockets() > sockets, overSocket);
  assertWorked(project, format, before);
}

test('Claude Code works with a provider of chat completions', () => claude('chat'));
test('Claude Code works with a provider of responses', () => claude('responses'));
test('Claude Code works with a provider of messages', () => claude('messages'));
test('Claude Code works with a provider of Gemini', () => claude('gemini'));
test('Claude Code works with a provider of Bedrock', () => claude('bedrock'));
test('Codex works with a provider of chat completions', () => codex('chat'));
test('Codex works with a provider of responses', () => codex('responses'));
test('Codex works over WebSocket with a provider of responses', () => codex('responses', true));
test('Codex works over WebSocket with a provider of chat completions', () => codex('chat', true));
test('Codex works over WebSocket with a provider of messages', () => codex('messages', true));
test('Codex works over WebSocket with a provider of Gemini', () => codex('gemini', true));
test('Codex works over WebSocket with a provider of Bedrock', () => codex('bedrock', true));
test('Codex works with a provider of messages', () => codex('messages'));
test('Codex works with a provider of Gemini', () => codex('gemini'));
test('Codex works with a provider of Bedrock', () => codex('bedrock'));

await run(async () => {
  await gateway.stop();
  await vendors.close();
  rmSync(home, { recursive: true, force: true });
});
