// What the gateway signs for Amazon Bedrock, signed again by AWS's own signer: model ids with colons and slashes, inference profiles by their ARN, temporary keys, both endpoints.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { SignatureV4 } from '@smithy/signature-v4';
import { startGateway } from './lib/process.mjs';
import { run, test } from './lib/suite.mjs';

// The signer wants its hash as a class, of both kinds.
class Sha256 {
  constructor(secret) { this.hash = secret ? createHmac('sha256', secret) : createHash('sha256'); }
  update(data) { this.hash.update(data); }
  async digest() { return new Uint8Array(this.hash.digest()); }
}

const requests = [];
const server = createServer((request, response) => {
  const pieces = [];
  request.on('data', piece => pieces.push(piece)).on('end', () => {
    requests.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(pieces) });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(request.url.endsWith('/invoke')
      ? JSON.stringify({ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'ok' }], stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } })
      : JSON.stringify({ output: { message: { role: 'assistant', content: [{ text: 'ok' }] } }, stopReason: 'end_turn', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 }, metrics: { latencyMs: 1 } }));
  });
});
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
const address = `http://127.0.0.1:${server.address().port}`;
const lasting = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const temporary = { ...lasting, sessionToken: 'AQoDYXdzEPT//////////wEXAMPLE+token==' };
const gateway = await startGateway({
  configuration: {
    providers: {
      lasting: { dialect: 'bedrock', baseUrl: address, auth: 'aws', region: 'eu-west-3', credentials: lasting },
      china: { dialect: 'bedrock', baseUrl: address, auth: 'aws', region: 'cn-north-1', credentials: lasting },
      passed: { dialect: 'bedrock', baseUrl: address, auth: 'aws', region: 'eu-central-1', credentials: temporary, passthrough: 'bedrock' },
      temporary: { dialect: 'bedrock', baseUrl: `${address}/below/a%20path`, auth: 'aws', region: 'ap-southeast-2', credentials: temporary },
      invoked: { dialect: 'anthropic-bedrock', baseUrl: address, auth: 'aws', region: 'us-west-2', credentials: temporary },
    },
    prices: ['lasting', 'temporary', 'invoked', 'china', 'passed'].map(provider => ({ provider, model: '*', input: 0.001, output: 0.001 })),
  },
});
const regions = { lasting: 'eu-west-3', temporary: 'ap-southeast-2', invoked: 'us-west-2', china: 'cn-north-1', passed: 'eu-central-1' };

const models = [
  'amazon.nova-lite-v1:0',
  'eu.anthropic.claude-sonnet-4-5-20250929-v1:0',
  'arn:aws:bedrock:eu-west-3:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0',
  'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6',
  'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0',
  "odd ~name_with-.!*'()$&+,;=@ signs",
  'größe/模型',
  'already%2Fencoded%20%25',
  'arn:aws-cn:bedrock:cn-north-1:123456789012:provisioned-model/abc',
  'dots/./and/../dots',
];

async function ask(provider, model) {
  const response = await fetch(`${gateway.url}/v1/messages`, {
    method: 'POST', headers: { 'x-api-key': gateway.key, 'content-type': 'application/json' },
    body: JSON.stringify({ model: `${provider}/${model}`, max_tokens: 5, messages: [{ role: 'user', content: 'Grüße' }] }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return requests.at(-1);
}

/** Whether AWS's signer signs what was received in the same way. */
async function checkSigned({ method, url, headers, body }, region, credentials) {
  const { 'x-amz-date': stamp, authorization } = headers;
  const date = new Date(stamp.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3:$4:$5Z'));
  const named = /SignedHeaders=([^,]+)/.exec(authorization)[1].split(';');
  const [path, search = ''] = url.split('?');
  const query = {};
  for (const pair of search.split('&').filter(Boolean)) {
    const [name, ...rest] = pair.split('=').map(decodeURIComponent);
    const value = rest.join('=');
    query[name] = name in query ? [query[name], value].flat() : value;
  }
  const signer = new SignatureV4({ service: 'bedrock', region, credentials, sha256: Sha256, applyChecksum: true });
  const signed = await signer.sign({
    method, protocol: 'http:', hostname: '127.0.0.1', path, query, body,
    headers: Object.fromEntries(named.filter(name => name !== 'x-amz-security-token').map(name => [name, headers[name]])),
  }, { signingDate: date });
  assert.equal(authorization, signed.headers.authorization, `${method} ${url}`);
  assert.equal(headers['x-amz-content-sha256'], createHash('sha256').update(body).digest('hex'));
  assert.equal(headers['x-amz-security-token'], credentials.sessionToken);
}

async function checks(provider, credentials) {
  for (const model of models) {
    const request = await ask(provider, model);
    await checkSigned(request, regions[provider], credentials);
    const { url } = request;
    assert.ok(url.includes(encodeURIComponent(model).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)), url);
  }
}

/** A call that is passed on as it is, with a key that may use all of the provider. */
async function pass(method, path, body) {
  const before = requests.length;
  const response = await fetch(`${gateway.url}/bedrock${path}`, { method, body, headers: { 'x-api-key': await everything(), ...(body && { 'content-type': 'application/json' }) } });
  assert.equal(response.status, 200, `${method} ${path}: ${await response.text()}`);
  assert.equal(requests.length, before + 1);
  await checkSigned(requests.at(-1), regions.passed, temporary);
  return requests.at(-1);
}

let passKey;
async function everything() {
  passKey ??= fetch(`${gateway.url}/admin/v1/keys`, {
    method: 'POST', headers: { 'x-api-key': gateway.adminKey, 'content-type': 'application/json' }, body: JSON.stringify({ name: 'all', models: ['passed/*'] }),
  }).then(response => response.json()).then(made => made.token);
  return passKey;
}

test('bedrock signing: query strings, whatever their order and signs', async () => {
  for (const query of ['b=2&a=1&B=3', 'a=2&a=1&a=10', 'empty&other=', 'space=a%20b&slash=%2F&percent=%2525', 'signs=~-._!%27()*', 'gr%C3%B6%C3%9Fe=%E6%A8%A1', 'a=b=c&a-=1&a=1', 'lower=%2f']) {
    const { url } = await pass('GET', `/async-invoke?${query}`);
    assert.equal(url, `/async-invoke?${query}`);
  }
});

test('bedrock signing: paths with colons and dots, without a body', async () => {
  for (const path of ['/guardrail/abc:1/version/DRAFT', '/async-invoke/arn:aws:bedrock:us-east-1:123456789012:async-invoke', '/a%20b/c+d,e;f=g@h', '/gr%C3%B6%C3%9Fe', '/end/']) {
    const { url, body } = await pass('GET', path);
    assert.equal(url, path);
    assert.equal(body.length, 0);
  }
  await pass('DELETE', '/async-invoke/one');
});

test('bedrock signing: a large body, and China', async () => {
  const text = 'ü€'.repeat(2_000_000);
  const response = await fetch(`${gateway.url}/v1/messages`, {
    method: 'POST', headers: { 'x-api-key': gateway.key, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'china/amazon.nova-lite-v1:0', max_tokens: 5, messages: [{ role: 'user', content: text }] }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  assert.ok(requests.at(-1).body.length > 10_000_000);
  await checkSigned(requests.at(-1), regions.china, lasting);
});

test('bedrock signing: a lasting key', () => checks('lasting', lasting));
test('bedrock signing: a temporary key, below a path', () => checks('temporary', temporary));
test('bedrock signing: InvokeModel, its body edited', () => checks('invoked', temporary));

await run(async () => {
  await gateway.stop();
  server.close();
});
