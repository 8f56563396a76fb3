// The official OpenAI client for Node: pictures, audio, files, batches and a realtime session, with an account of OpenAI's at the far end.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import OpenAI, { toFile } from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { WebSocketServer } from 'ws';
import { startGateway } from './lib/process.mjs';
import { failure, run, test } from './lib/suite.mjs';

const requests = [];
const files = new Map();
const batches = new Map();
const usage = { input_tokens: 50, input_tokens_details: { image_tokens: 40, text_tokens: 10 }, output_tokens: 272, total_tokens: 322 };

const field = (body, name) => new RegExp(`name="${name}"\\r\\n\\r\\n([^\\r]*)\\r\\n`).exec(body.toString('latin1'))?.[1];

function answer(request, path, body, response) {
  const json = (value, status = 200) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  const events = list => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(list.map(event => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''));
  const [, , kind, id, action] = path.split('/');
  const streams = request.headers['content-type']?.startsWith('multipart/') ? field(body, 'stream') === 'true' : kind === 'images' && JSON.parse(body).stream === true;
  if (kind === 'images') {
    const type = id === 'edits' ? 'image_edit' : 'image_generation';
    return streams
      ? events([{ type: `${type}.partial_image`, b64_json: 'AA==', partial_image_index: 0 }, { type: `${type}.completed`, b64_json: 'AAAA', usage }])
      : json({ created: 1, data: [{ b64_json: 'AAAA' }], size: '1024x1024', quality: 'low', usage });
  }
  if (path === '/v1/audio/speech') {
    return response.writeHead(200, { 'content-type': 'audio/mpeg' }).end(Buffer.from([1, 2, 3, 4]));
  }
  if (kind === 'audio') {
    const used = { type: 'tokens', input_tokens: 14, input_token_details: { text_tokens: 4, audio_tokens: 10 }, output_tokens: 45, total_tokens: 59 };
    if (field(body, 'response_format') === 'srt') {
      return response.writeHead(200, { 'content-type': 'text/plain' }).end('1\n00:00:00,000 --> 00:00:02,000\nhello\n');
    }
    return streams
      ? events([{ type: 'transcript.text.delta', delta: 'hel' }, { type: 'transcript.text.done', text: 'hello', usage: used }])
      : json({ text: 'hello', usage: used });
  }
  if (kind === 'files') {
    const show = key => ({ object: 'file', id: key, bytes: files.get(key).length, created_at: 1, filename: 'a.jsonl', purpose: 'batch', status: 'processed' });
    if (request.method === 'POST') {
      const key = `file-${requests.length}`;
      files.set(key, body);
      return json(show(key));
    }
    if (!files.has(id)) {
      return json({ error: { message: 'no such file', type: 'invalid_request_error', param: 'id', code: null } }, 404);
    }
    if (request.method === 'DELETE') {
      files.delete(id);
      return json({ object: 'file', id, deleted: true });
    }
    return action === 'content' ? response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(files.get(id)) : json(show(id));
  }
  if (request.method === 'POST' && !id) {
    const batch = { id: `batch_${requests.length}`, object: 'batch', status: 'validating', created_at: 1, output_file_id: null, ...JSON.parse(body) };
    batches.set(batch.id, batch);
    return json(batch);
  }
  if (action === 'cancel') {
    batches.get(id).status = 'cancelling';
  }
  return json(batches.get(id));
}

const account = createServer((request, response) => {
  const pieces = [];
  request.on('data', piece => pieces.push(piece)).on('end', () => {
    const body = Buffer.concat(pieces);
    requests.push({ path: request.url, headers: request.headers, body });
    answer(request, request.url, body, response);
  });
});
const sockets = new WebSocketServer({ server: account, handleProtocols: offered => (offered.has('realtime') ? 'realtime' : false) });
sockets.on('connection', (socket, request) => {
  requests.push({ path: request.url, headers: request.headers, body: Buffer.alloc(0) });
  socket.send(JSON.stringify({ type: 'session.created', event_id: 'e0', session: { id: 'sess_1', type: 'realtime' } }));
  socket.on('message', data => {
    if (JSON.parse(data).type === 'response.create') {
      socket.send(JSON.stringify({ type: 'response.created', event_id: 'e1', response: { id: 'resp_1', status: 'in_progress' } }));
      socket.send(JSON.stringify({ type: 'response.output_text.delta', event_id: 'e2', response_id: 'resp_1', delta: 'hello' }));
      socket.send(JSON.stringify({ type: 'response.done', event_id: 'e3', response: { id: 'resp_1', status: 'completed', usage: { total_tokens: 30, input_tokens: 10, output_tokens: 20 } } }));
    }
  });
});
await new Promise(resolve => account.listen(0, '127.0.0.1', resolve));
const gateway = await startGateway({
  configuration: {
    providers: { account: { baseUrl: `http://127.0.0.1:${account.address().port}/v1`, apiKey: 'upstream-secret', maxRetries: 0 } },
    routes: { painter: { targets: ['account/image-1'] } },
    prices: [{ provider: 'account', model: '*', input: 1, output: 2 }],
  },
});

async function newKey() {
  const response = await fetch(`${gateway.url}/admin/v1/keys`, {
    method: 'POST', headers: { authorization: `Bearer ${gateway.adminKey}`, 'content-type': 'application/json' }, body: JSON.stringify({ name: 'media', models: ['*'] }),
  });
  return (await response.json()).token;
}

const client = new OpenAI({ apiKey: await newKey(), baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const picture = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 31) % 256));
const last = () => requests[requests.length - 1];

async function typesOf(stream) {
  const types = [];
  for await (const event of await stream) {
    types.push(event.type);
  }
  return types;
}

test('images.generate answers with a picture and its usage', async () => {
  const made = await client.images.generate({ model: 'painter', prompt: 'a cat', n: 1 });
  assert.equal(made.data[0].b64_json, 'AAAA');
  assert.equal(made.usage.output_tokens, 272);
  assert.equal(JSON.parse(last().body).model, 'image-1');
  assert.equal(last().headers.authorization, 'Bearer upstream-secret');
});

test('images.generate streams partial pictures', async () => {
  const types = await typesOf(client.images.generate({ model: 'painter', prompt: 'a cat', stream: true, partial_images: 1 }));
  assert.deepEqual(types, ['image_generation.partial_image', 'image_generation.completed']);
});

test('images.edit sends several pictures to the byte', async () => {
  const made = await client.images.edit({
    image: [await toFile(picture, 'a.png', { type: 'image/png' }), await toFile(picture, 'b.png', { type: 'image/png' })], prompt: 'a hat, ein Hütchen', model: 'painter',
  });
  assert.equal(made.data[0].b64_json, 'AAAA');
  assert.equal(last().path, '/v1/images/edits');
  assert.equal(field(last().body, 'model'), 'image-1');
  const first = last().body.indexOf(picture);
  assert.ok(first > 0 && last().body.indexOf(picture, first + 1) > first, 'a picture is not there as it was sent');
});

test('images.edit streams', async () => {
  const types = await typesOf(client.images.edit({ image: await toFile(picture, 'a.png', { type: 'image/png' }), prompt: 'x', model: 'account/image-1', stream: true }));
  assert.deepEqual(types, ['image_edit.partial_image', 'image_edit.completed']);
});

test('images.createVariation sends the picture', async () => {
  await client.images.createVariation({ image: await toFile(picture, 'a.png', { type: 'image/png' }), model: 'painter' });
  assert.equal(last().path, '/v1/images/variations');
  assert.ok(last().body.includes(picture));
});

test('audio.speech.create gives the sound', async () => {
  const sound = await client.audio.speech.create({ model: 'account/tts', voice: 'alloy', input: 'hello' });
  assert.deepEqual([...Buffer.from(await sound.arrayBuffer())], [1, 2, 3, 4]);
});

test('audio.transcriptions.create takes a stream', async () => {
  const text = await client.audio.transcriptions.create({ model: 'account/scribe', file: await toFile(Readable.from([picture]), 'a.wav') });
  assert.equal(text.text, 'hello');
  assert.equal(text.usage.input_token_details.audio_tokens, 10);
  assert.ok(last().body.includes(picture));
});

test('audio.transcriptions.create streams', async () => {
  const types = await typesOf(client.audio.transcriptions.create({ model: 'account/scribe', file: await toFile(picture, 'a.wav'), stream: true }));
  assert.deepEqual(types, ['transcript.text.delta', 'transcript.text.done']);
});

test('audio.translations.create gives subtitles', async () => {
  const text = await client.audio.translations.create({ model: 'account/scribe', file: await toFile(picture, 'a.wav'), response_format: 'srt' });
  assert.match(String(text), /00:00:02,000/);
});

test('an unknown model fails as the client expects', async () => {
  const error = await failure(client.images.generate({ model: 'nobody/x', prompt: 'x' }));
  assert.ok(error instanceof OpenAI.NotFoundError, String(error));
  assert.equal(error.code, 'model_not_found');
});

test('files are made, listed, read and deleted', async () => {
  const made = await client.files.create({ file: await toFile(picture, 'a.jsonl'), purpose: 'batch' });
  const ids = [];
  for await (const file of client.files.list({ limit: 1 })) {
    ids.push(file.id);
  }
  assert.deepEqual(ids, [made.id]);
  assert.equal((await client.files.retrieve(made.id)).id, made.id);
  assert.ok(Buffer.from(await (await client.files.content(made.id)).arrayBuffer()).includes(picture));
  assert.equal((await client.files.delete(made.id)).deleted, true);
  assert.ok(await failure(client.files.retrieve(made.id)) instanceof OpenAI.NotFoundError);
});

test('a batch is made, listed and cancelled, and another key does not see it', async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from('{}'), 'a.jsonl'), purpose: 'batch' });
  const made = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  const ids = [];
  for await (const batch of client.batches.list()) {
    ids.push(batch.id);
  }
  assert.deepEqual(ids, [made.id]);
  assert.equal((await client.batches.cancel(made.id)).status, 'cancelling');
  const other = new OpenAI({ apiKey: await newKey(), baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  assert.ok(await failure(other.batches.retrieve(made.id)) instanceof OpenAI.NotFoundError);
  assert.ok(await failure(other.files.content(file.id)) instanceof OpenAI.NotFoundError);
});

test('a realtime session answers, and the key stays here', async () => {
  // It insists on wss; a gateway on loopback does without TLS.
  const session = new OpenAIRealtimeWS({ model: 'account/voice', options: { createConnection: ({ host, port }) => connect(port, host) } }, client);
  const heard = [];
  await new Promise((resolve, reject) => {
    session.on('event', event => {
      heard.push(event.type);
      if (event.type === 'session.created') {
        session.send({ type: 'response.create' });
      } else if (event.type === 'response.done') {
        resolve();
      }
    });
    session.on('error', reject);
  });
  session.close();
  assert.deepEqual(heard, ['session.created', 'response.created', 'response.output_text.delta', 'response.done']);
  assert.equal(last().path, '/v1/realtime?model=voice');
  assert.ok(!JSON.stringify(last().headers).includes('sk-gw-'), 'the key went up');
});

await run(async () => {
  console.log(gateway.output());
  await gateway.stop();
  sockets.clients.forEach(socket => socket.terminate());
  sockets.close();
  account.closeAllConnections();
  account.close();
});
