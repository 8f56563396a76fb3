// JSON-RPC by hand, over HTTP to the gateway and over the pipes of a tool server, for what the SDKs do not show: the very bytes.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { key, mcpUrl } from './hub.mjs';

/** POSTs one message; gives the status, the headers, and the raw text of the answer to it. */
export async function post(message, { headers = {}, token = key } = {}) {
  const response = await fetch(mcpUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      ...headers,
    },
    body: JSON.stringify(message),
  });
  const body = await response.text();
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
  const texts = isStream ? body.split(/\r?\n/).filter(line => line.startsWith('data:')).map(line => line.slice(5).trimStart()) : [body];
  const text = texts.find(candidate => candidate !== '' && JSON.parse(candidate).id === message.id && !('method' in JSON.parse(candidate)));
  return { status: response.status, headers: response.headers, text };
}

/** A session of a handshake client, with nothing of an SDK in between. */
export async function openSession(protocolVersion = '2025-11-25', token = key) {
  const opened = await post(
    { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion, capabilities: {}, clientInfo: { name: 'interop', version: '1' } } },
    { token });
  if (opened.status !== 200) {
    throw new Error(`initialize answered ${opened.status}: ${opened.text}`);
  }
  const result = JSON.parse(opened.text).result;
  const headers = { 'mcp-protocol-version': result.protocolVersion };
  const sessionId = opened.headers.get('mcp-session-id');
  if (sessionId) {
    headers['mcp-session-id'] = sessionId;
  }
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { headers, token });
  let id = 0;
  return {
    result,
    sessionId,
    send: (method, params) => post({ jsonrpc: '2.0', id: ++id, method, params }, { headers, token }),
  };
}

/** A tool server of our own, or any other program that speaks MCP, spoken to directly. `seen` gets each line that it writes. */
export async function openProcess(args, { command = process.execPath, env, seen = () => {} } = {}) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env });
  const waiting = new Map();
  createInterface({ input: child.stdout }).on('line', line => {
    const { id, method } = JSON.parse(line);
    seen(line);
    if (method === undefined) {
      waiting.get(id)?.(line);
    }
  });
  let last = 0;
  const write = message => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const send = (method, params) => new Promise(resolve => {
    const id = ++last;
    waiting.set(id, resolve);
    write({ id, method, params });
  });
  const initialized = await send('initialize', { protocolVersion: '2025-11-25', capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } }, clientInfo: { name: 'interop', version: '1' } });
  write({ method: 'notifications/initialized' });
  return {
    initialized,
    send,
    close: () => child.kill(),
  };
}
