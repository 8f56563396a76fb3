// Everything beside tools, asked by the clients of both SDK lines and of every way to connect, of the protocol's own reference server.

import assert from 'node:assert/strict';
import { Client as ModernClient, SSEClientTransport as ModernSse, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { baseUrl, key, mcpUrl, servers, writeManifest } from './lib/hub.mjs';
import { eventually, failure, run, test } from './lib/suite.mjs';

const modern = '2026-07-28';
const sseUrl = new URL('/mcp/sse', baseUrl);
const auth = { requestInit: { headers: { Authorization: `Bearer ${key}` } } };
const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
const root = { uri: 'file:///interop/root', name: 'interop' };
const opened = [];

// It shows different tools to clients that can be asked and to others, so that each session has its own.
writeManifest('asking', 'ask', [], { transport: 'stdio', command: process.execPath, args: [servers.everything, 'stdio'], session: 'perSession' });

/** A client, and what was asked and told of it. */
async function connect(name, client, transport, handle) {
  const one = { name, client, asked: [], updated: [], logged: [], elicit: () => ({ action: 'decline' }) };
  handle(one);
  await client.connect(transport);
  opened.push(client);
  return one;
}

const sample = (one, { params }) => {
  one.asked.push(params);
  return { model: 'interop-model', role: 'assistant', content: { type: 'text', text: `heard: ${params.messages[0].content.text}` }, stopReason: 'endTurn' };
};
const elicit = (one, { params }) => {
  one.asked.push(params);
  return one.elicit(params);
};

function older(name, transport) {
  const client = new Client({ name: 'interop-v1', version: '1.0.0' }, { capabilities });
  return connect(name, client, transport, one => {
    client.setRequestHandler(CreateMessageRequestSchema, request => sample(one, request));
    client.setRequestHandler(ElicitRequestSchema, request => elicit(one, request));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [root] }));
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => { one.updated.push(params.uri); });
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => { one.logged.push(params); });
  });
}

function newer(name, mode, transport) {
  const client = new ModernClient({ name: 'interop-v2', version: '1.0.0' }, { capabilities, versionNegotiation: { mode } });
  return connect(name, client, transport, one => {
    client.setRequestHandler('sampling/createMessage', request => sample(one, request));
    client.setRequestHandler('elicitation/create', request => elicit(one, request));
    client.setRequestHandler('roots/list', () => ({ roots: [root] }));
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => { one.updated.push(params.uri); });
    client.setNotificationHandler('notifications/message', ({ params }) => { one.logged.push(params); });
  });
}

const clients = [
  await older('1.x', new StreamableHTTPClientTransport(mcpUrl, auth)),
  await older('1.x over HTTP+SSE', new SSEClientTransport(sseUrl, auth)),
  await newer('2.x with a handshake', 'legacy', new ModernHttp(mcpUrl, auth)),
  await newer('2.x over HTTP+SSE', 'legacy', new ModernSse(sseUrl, auth)),
  await newer('2.x without sessions', { pin: modern }, new ModernHttp(mcpUrl, auth)),
];
const [, , , , stateless] = clients;
const withSessions = clients.filter(one => one !== stateless);

/** Does the same with each client, one after the other, and says which one it failed with. */
async function each(body, of = clients) {
  for (const one of of) {
    try {
      await body(one);
    } catch (error) {
      error.message = `${one.name}: ${error.message}`;
      throw error;
    }
  }
}

const call = (one, name, args = {}) => one.client.callTool({ name, arguments: args });
const textOf = result => result.content.map(block => block.text ?? '').join('\n');

await each(one => eventually(`the prompts, for ${one.name}`, async () => {
  const { prompts } = await one.client.listPrompts();
  return ['ev__simple-prompt', 'ask__simple-prompt'].every(name => prompts.some(prompt => prompt.name === name));
}));

test('prompts are listed and got, with arguments and an embedded resource', () => each(async ({ client }) => {
  const { prompts } = await client.listPrompts();
  const described = prompts.find(prompt => prompt.name === 'ev__args-prompt');
  assert.deepEqual(described.arguments.map(argument => [argument.name, argument.required]), [['city', true], ['state', false]]);
  const got = await client.getPrompt({ name: 'ev__args-prompt', arguments: { city: 'Köln' } });
  assert.match(got.messages[0].content.text, /Köln/);
  const embedded = await client.getPrompt({ name: 'evh__resource-prompt', arguments: { resourceType: 'Text', resourceId: '7' } });
  const { resource } = embedded.messages.map(message => message.content).find(content => content.type === 'resource');
  assert.equal(resource.uri, 'evh+demo://resource/dynamic/text/7');
  const read = await client.readResource({ uri: resource.uri });
  assert.equal(read.contents[0].uri, resource.uri);
}));

test('an unknown prompt is an invalid parameter', () => each(async ({ client }) => {
  assert.equal((await failure(client.getPrompt({ name: 'ev__nowhere' }))).code, -32602);
}));

test('resources of two servers with the same addresses are told apart', () => each(async ({ client }) => {
  const { resources } = await client.listResources();
  const [mine, its] = ['ev+', 'evh+'].map(prefix => resources.filter(resource => resource.uri.startsWith(`${prefix}demo://resource/static/`)));
  assert.ok(mine.length > 0);
  assert.deepEqual(mine.map(resource => resource.uri.slice('ev+'.length)).sort(), its.map(resource => resource.uri.slice('evh+'.length)).sort());
  for (const { uri } of [mine[0], its[0]]) {
    const { contents } = await client.readResource({ uri });
    assert.equal(contents[0].uri, uri);
    assert.ok(contents[0].text.length > 0);
  }
}));

test('templates are listed, filled in and read, as text and as bytes', () => each(async ({ client }) => {
  const { resourceTemplates } = await client.listResourceTemplates();
  const templates = resourceTemplates.map(template => template.uriTemplate);
  assert.ok(templates.includes('ev+demo://resource/dynamic/text/{resourceId}'), templates.join());
  const blob = await client.readResource({ uri: 'ev+demo://resource/dynamic/blob/3' });
  assert.match(Buffer.from(blob.contents[0].blob, 'base64').toString(), /Resource 3/);
}));

test('a resource that is not there is refused', () => each(async ({ client }) => {
  assert.ok(await failure(client.readResource({ uri: 'ev+demo://nowhere' })));
  assert.ok(await failure(client.readResource({ uri: 'demo://resource/dynamic/text/1' })));
}));

test('arguments of prompts and templates are completed, with the context of the others', () => each(async ({ client }) => {
  const ref = { type: 'ref/prompt', name: 'ev__completable-prompt' };
  const departments = await client.complete({ ref, argument: { name: 'department', value: 'S' } });
  assert.deepEqual(departments.completion.values, ['Sales', 'Support']);
  const names = await client.complete({ ref, argument: { name: 'name', value: '' }, context: { arguments: { department: 'Sales' } } });
  assert.deepEqual(names.completion.values, ['David', 'Eve', 'Frank']);
  const ids = await client.complete({ ref: { type: 'ref/resource', uri: 'ev+demo://resource/dynamic/text/{resourceId}' }, argument: { name: 'resourceId', value: '5' } });
  assert.deepEqual(ids.completion.values, ['5']);
}));

test('an update of a resource reaches who subscribed to it', () => each(async one => {
  const uri = 'ask+demo://resource/dynamic/text/1';
  const other = 'ask+demo://resource/dynamic/text/2';
  const subscription = one === stateless ? await one.client.listen({ resourceSubscriptions: [uri] }) : await one.client.subscribeResource({ uri });
  await call(one, 'ask__toggle-subscriber-updates');
  await eventually('an update', () => one.updated.length > 0);
  await call(one, 'ask__toggle-subscriber-updates');
  assert.ok(one.updated.every(each => each === uri), one.updated.join());
  assert.ok(!one.updated.includes(other));
  await (one === stateless ? subscription.close() : one.client.unsubscribeResource({ uri }));
}));

test('log messages arrive from the level on that was set', () => each(async one => {
  await one.client.setLoggingLevel('info');
  await one.client.subscribeResource({ uri: 'ask+demo://resource/dynamic/text/9' });   // it says so in its log
  await eventually('a message', () => one.logged.some(({ level, data }) => level === 'info' && data.includes('demo://resource/dynamic/text/9')));
  await one.client.setLoggingLevel('emergency');
  one.logged.length = 0;
  await one.client.unsubscribeResource({ uri: 'ask+demo://resource/dynamic/text/9' });
  await call(one, 'ask__echo', { message: 'after it' });
  assert.deepEqual(one.logged, []);
}, withSessions));

test('a tool server samples the model of the client that called it', () => each(async one => {
  one.asked.length = 0;
  const result = await call(one, 'ask__trigger-sampling-request', { prompt: `of ${one.name}`, maxTokens: 17 });
  assert.equal(one.asked.length, 1);
  assert.equal(one.asked[0].maxTokens, 17);
  assert.equal(one.asked[0].systemPrompt, 'You are a helpful test server.');
  assert.match(textOf(result), /interop-model/);
  assert.match(textOf(result), new RegExp(`heard: Resource trigger-sampling-request context: of ${one.name.replace(/[.+]/g, '\\$&')}`));
}));

test('a tool server asks the person behind the client, who answers or declines', () => each(async one => {
  one.asked.length = 0;
  one.elicit = () => ({ action: 'accept', content: { name: 'Ann', check: true, integer: 7 } });
  assert.match(textOf(await call(one, 'ask__trigger-elicitation-request')), /Name: Ann\n- Agreed to terms: true[^]*Favorite Integer: 7/);
  assert.deepEqual(one.asked[0].requestedSchema.required, ['name']);
  one.elicit = () => ({ action: 'decline' });
  assert.match(textOf(await call(one, 'ask__trigger-elicitation-request')), /declined/);
}));

test('a tool server sends the person to an address', () => each(async one => {
  one.asked.length = 0;
  one.elicit = () => ({ action: 'accept' });
  const result = await call(one, 'ask__trigger-url-elicitation', { url: 'https://example.com/sign-here', message: 'Sign here.' });
  assert.equal(one.asked[0].mode, 'url');
  assert.equal(one.asked[0].url, 'https://example.com/sign-here');
  assert.match(textOf(result), /completed the URL elicitation/);
}));

test('a tool server hears the roots of the client that called it', () => each(async one => {
  assert.match(textOf(await call(one, 'ask__get-roots-list')), /file:\/\/\/interop\/root/);
}));

test('clients that are asked at once get their own questions', async () => {
  const answers = await Promise.all(clients.map(one => call(one, 'ask__trigger-sampling-request', { prompt: `at once, ${one.name}` })));
  answers.forEach((result, index) => assert.ok(textOf(result).includes(`at once, ${clients[index].name}`), `${clients[index].name}: ${textOf(result)}`));
});

await run(async () => {
  await Promise.allSettled(opened.map(client => client.close()));
});
