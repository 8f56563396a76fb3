// A tool server that speaks JSON-RPC by hand, so that it can say what no SDK would, and tell afterwards what it was told.

import { createInterface } from 'node:readline';

const schema = { type: 'object', properties: {} };
const tools = ['wait', 'cancellations', 'grow', 'shrink', 'fail', 'exit'].map(name => ({ name, inputSchema: schema }));
// Written as text: key order, escapes, a number's digits and unknown members are what a relay tends to lose.
const oddTool = '{"x-vendor":{"z":1,"a":1.50},"name":"odd","description":"caf\\u00e9 \\/ \\ud83d\\ude00 é","inputSchema":{"type":"object","properties":{"n":{"type":"number","default":1.0e2}},"x-order":["b","a"]},"annotations":{"readOnlyHint":true,"x-risk":"low"},"_meta":{"vendor.example/k":[1,2.0]}}';
const oddResult = '{"x-trace":{"b":1,"a":2.50},"content":[{"type":"text","text":"caf\\u00e9 \\/ é 😀","x-extra":null},{"type":"x-unknown","payload":[1.0,{"k":"v"}]}],"structuredContent":{"big":12345678901234567890,"exp":1E+2},"_meta":{"vendor.example/cost":0.10}}';

const waiting = new Map();
let cancellations = 0;
let grown = false;

const write = text => process.stdout.write(`${text}\n`);
const notify = method => write(JSON.stringify({ jsonrpc: '2.0', method }));
const reply = (id, raw) => write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${raw}}`);
const text = value => JSON.stringify({ content: [{ type: 'text', text: value }] });

function list() {
  const all = tools.map(tool => JSON.stringify(tool)).concat(oddTool);
  if (grown) {
    all.push(JSON.stringify({ name: 'grown', inputSchema: schema }));
  }
  return `{"tools":[${all.join(',')}]}`;
}

function call(id, { name, arguments: args = {} }) {
  switch (name) {
    case 'wait':
      waiting.set(id, true);
      return;
    case 'cancellations':
      return reply(id, text(String(cancellations)));
    case 'grow':
    case 'shrink':
      grown = name === 'grow';
      reply(id, text(name));
      return notify('notifications/tools/list_changed');
    case 'grown':
      return reply(id, text('grown'));
    case 'fail':
      return write(JSON.stringify({ jsonrpc: '2.0', id, error: { code: args.code ?? -32603, message: args.message ?? 'broken', data: { hint: 'as sent' } } }));
    case 'exit':
      return process.exit(3);
    case 'odd':
      return reply(id, oddResult);
    default:
      return write(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32602, message: `no tool ${name}` } }));
  }
}

createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') {
    reply(id, JSON.stringify({ protocolVersion: '2025-11-25', capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'probe', version: '1' } }));
  } else if (method === 'tools/list') {
    reply(id, list());
  } else if (method === 'tools/call') {
    call(id, params);
  } else if (method === 'notifications/cancelled') {
    if (waiting.delete(params.requestId)) {
      cancellations++;
    }
  } else if (method === 'ping') {
    reply(id, '{}');
  } else if (id !== undefined) {
    write(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } }));
  }
}).on('close', () => process.exit(0));
