// The official OpenAI client for Node, against the simulator.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { baseUrl, key } from './lib/hub.mjs';
import { failure, run, test } from './lib/suite.mjs';
import { openSession } from './lib/wire.mjs';

const client = new OpenAI({ apiKey: key, baseURL: `${baseUrl}/v1`, maxRetries: 0 });
const hello = [{ role: 'user', content: 'hello gateway' }];
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
};

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return chunks;
}

const text = chunks => chunks.map(chunk => chunk.choices[0]?.delta?.content ?? '').join('');

test('models.list names the simulator', async () => {
  const ids = [];
  for await (const model of client.models.list()) {
    assert.equal(model.object, 'model');
    ids.push(model.id);
  }
  assert.ok(ids.includes('simulator/echo'), ids.join());
  assert.ok(ids.includes('simulator/tools'), ids.join());
  assert.equal(new Set(ids).size, ids.length, 'an id is listed twice');
});

test('chat answers with a message and its usage', async () => {
  const completion = await client.chat.completions.create({ model: 'simulator/echo', messages: hello });
  assert.equal(completion.object, 'chat.completion');
  assert.equal(completion.choices[0].message.role, 'assistant');
  assert.match(completion.choices[0].message.content, /hello gateway/);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.ok(completion.usage.prompt_tokens > 0 && completion.usage.completion_tokens > 0);
  assert.equal(completion.usage.total_tokens, completion.usage.prompt_tokens + completion.usage.completion_tokens);
});

test('chat carries a request id', async () => {
  const { data, response } = await client.chat.completions.create({ model: 'simulator/echo', messages: hello }).withResponse();
  assert.ok(data._request_id);
  assert.equal(response.headers.get('x-request-id'), data._request_id);
});

test('chat keeps any script and emoji', async () => {
  const content = 'Grüße, 你好, שלום, 🧪 \u2028 "quoted" \\ back';
  const completion = await client.chat.completions.create({ model: 'simulator/echo', messages: [{ role: 'user', content }] });
  assert.ok(completion.choices[0].message.content.includes(content), completion.choices[0].message.content);
});

test('chat with n answers n choices', async () => {
  const completion = await client.chat.completions.create({ model: 'simulator/echo', messages: hello, n: 3 });
  assert.deepEqual(completion.choices.map(choice => choice.index), [0, 1, 2]);
});

test('chat stops at the output limit', async () => {
  const long = [{ role: 'user', content: 'word '.repeat(200) }];
  const completion = await client.chat.completions.create({ model: 'simulator/echo', messages: long, max_completion_tokens: 5 });
  assert.equal(completion.choices[0].finish_reason, 'length');
  assert.ok(completion.usage.completion_tokens <= 5, `${completion.usage.completion_tokens} tokens`);
});

test('a stream says the same as a plain answer, in order', async () => {
  const plain = await client.chat.completions.create({ model: 'simulator/echo', messages: hello });
  const chunks = await collect(await client.chat.completions.create({ model: 'simulator/echo', messages: hello, stream: true }));
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(text(chunks), plain.choices[0].message.content);
  assert.equal(new Set(chunks.map(chunk => chunk.id)).size, 1, 'one id for all chunks');
  assert.deepEqual(chunks.map(chunk => chunk.choices[0].finish_reason).filter(Boolean), ['stop']);
});

test('a stream shows no usage that nobody asked for', async () => {
  const chunks = await collect(await client.chat.completions.create({ model: 'simulator/echo', messages: hello, stream: true }));
  assert.ok(chunks.every(chunk => chunk.choices.length > 0 && !chunk.usage));
});

test('a stream ends with the usage when asked', async () => {
  const chunks = await collect(await client.chat.completions.create(
    { model: 'simulator/echo', messages: hello, stream: true, stream_options: { include_usage: true } }));
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, last.usage.prompt_tokens + last.usage.completion_tokens);
  assert.ok(chunks.slice(0, -1).every(chunk => chunk.usage == null));
});

test('a stream with n keeps the choices apart', async () => {
  const chunks = await collect(await client.chat.completions.create({ model: 'simulator/echo', messages: hello, stream: true, n: 2 }));
  const contents = [0, 1].map(index => chunks.flatMap(chunk => chunk.choices).filter(choice => choice.index === index)
    .map(choice => choice.delta.content ?? '').join(''));
  assert.ok(contents.every(content => content.includes('hello gateway')), contents.join('|'));
});

test('the stream helper assembles a completion', async () => {
  const completion = await client.chat.completions.stream({ model: 'simulator/echo', messages: hello }).finalChatCompletion();
  assert.match(completion.choices[0].message.content, /hello gateway/);
});

test('a tool call has parsable arguments', async () => {
  const completion = await client.chat.completions.create({ model: 'simulator/tools', messages: hello, tools: [weather] });
  const [choice] = completion.choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  const [call] = choice.message.tool_calls;
  assert.equal(call.type, 'function');
  assert.ok(call.id);
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments), 'object');
});

test('a streamed tool call assembles to the same', async () => {
  const plain = await client.chat.completions.create({ model: 'simulator/tools', messages: hello, tools: [weather] });
  const streamed = await client.chat.completions.stream({ model: 'simulator/tools', messages: hello, tools: [weather] }).finalChatCompletion();
  assert.equal(streamed.choices[0].finish_reason, 'tool_calls');
  const pick = completion => completion.choices[0].message.tool_calls.map(call => [call.function.name, call.function.arguments]);
  assert.deepEqual(pick(streamed), pick(plain));
});

test('a tool result leads to an answer', async () => {
  const first = await client.chat.completions.create({ model: 'simulator/tools', messages: hello, tools: [weather] });
  const [call] = first.choices[0].message.tool_calls;
  const second = await client.chat.completions.create({
    model: 'simulator/tools',
    tools: [weather],
    messages: [...hello, first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '21 degrees' }],
  });
  assert.equal(second.choices[0].finish_reason, 'stop');
  assert.equal(typeof second.choices[0].message.content, 'string');
});

test('runTools drives a whole loop', async () => {
  let calls = 0;
  const tool = { ...weather, function: { ...weather.function, parse: JSON.parse, function: () => { calls++; return '21 degrees'; } } };
  const answer = await client.chat.completions.runTools({ model: 'simulator/tools', messages: hello, tools: [tool] }).finalContent();
  assert.equal(calls, 1);
  assert.equal(typeof answer, 'string');
});

test('one key drives an agent loop over both planes', async () => {
  const session = await openSession();
  const { tools } = JSON.parse((await session.send('tools/list', {})).text).result;
  const whoami = tools.find(tool => tool.name === 'gateway__whoami');
  const functions = [{ type: 'function', function: { name: whoami.name, description: whoami.description, parameters: whoami.inputSchema } }];
  const first = await client.chat.completions.create({ model: 'simulator/tools', messages: hello, tools: functions });
  const [call] = first.choices[0].message.tool_calls;
  const called = JSON.parse((await session.send('tools/call', { name: call.function.name, arguments: JSON.parse(call.function.arguments) })).text);
  assert.ok(!called.result.isError, JSON.stringify(called));
  const second = await client.chat.completions.create({
    model: 'simulator/tools',
    tools: functions,
    messages: [...hello, first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: called.result.content[0].text }],
  });
  assert.equal(second.choices[0].finish_reason, 'stop');
});

test('a wrong key is an AuthenticationError', async () => {
  const wrong = client.withOptions({ apiKey: 'sk-gw-wrong' });
  const error = await failure(wrong.chat.completions.create({ model: 'simulator/echo', messages: hello }));
  assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
  assert.equal(error.status, 401);
  assert.match(error.code, /_api_key$/);   // which of the ways it is wrong, the code says
  assert.ok(error.requestID);
});

test('an unknown model is a NotFoundError', async () => {
  const error = await failure(client.chat.completions.create({ model: 'simulator/nowhere', messages: hello }));
  assert.ok(error instanceof OpenAI.NotFoundError, String(error));
  assert.equal(error.status, 404);
  assert.equal(error.code, 'model_not_found');
});

test('an unknown model is a NotFoundError for a stream too', async () => {
  const error = await failure(client.chat.completions.create({ model: 'nowhere', messages: hello, stream: true }));
  assert.ok(error instanceof OpenAI.NotFoundError, String(error));
});

test('messages of a wrong type are a BadRequestError', async () => {
  const error = await failure(client.chat.completions.create({ model: 'simulator/echo', messages: 'hello' }));
  assert.ok(error instanceof OpenAI.BadRequestError, String(error));
  assert.equal(error.type, 'invalid_request_error');
});

test('an aborted stream ends and the next request works', async () => {
  const content = 'word '.repeat(20_000);
  const stream = await client.chat.completions.create({ model: 'simulator/echo', messages: [{ role: 'user', content }], stream: true });
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.choices[0]?.delta?.content?.length ?? 0;
    if (seen > 0) {
      stream.controller.abort();
    }
  }
  assert.ok(seen > 0 && seen < content.length, `${seen} of ${content.length}`);
  const completion = await client.chat.completions.create({ model: 'simulator/echo', messages: hello });
  assert.match(completion.choices[0].message.content, /hello gateway/);
});

test('a request aborted before it starts is an APIUserAbortError', async () => {
  const error = await failure(client.chat.completions.create({ model: 'simulator/echo', messages: hello }, { signal: AbortSignal.abort() }));
  assert.ok(error instanceof OpenAI.APIUserAbortError, String(error));
});

test('fifty parallel chats get their own answers', async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, async (_, index) => {
    const content = `number <${index}>`;
    const completion = await client.chat.completions.create({ model: 'simulator/echo', messages: [{ role: 'user', content }] });
    return completion.choices[0].message.content.includes(content);
  }));
  assert.ok(answers.every(Boolean));
});

test('models.list names a model for each endpoint', async () => {
  const ids = [];
  for await (const model of client.models.list()) {
    ids.push(model.id);
  }
  assert.ok(ids.includes('simulator/embed') && ids.includes('simulator/moderation'), ids.join());
});

test('embeddings are vectors of length one', async () => {
  // This client asks for base64 and decodes it, unless told otherwise.
  const { data, usage, model } = await client.embeddings.create({ model: 'simulator/embed', input: ['the cat sat', 'the cat slept'] });
  assert.deepEqual(data.map(item => item.index), [0, 1]);
  for (const { embedding } of data) {
    assert.equal(embedding.length, 256);
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  }
  assert.equal(model, 'embed');
  assert.ok(usage.prompt_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens);
});

test('embeddings are the same as floats and as base64', async () => {
  const ask = { model: 'simulator/embed', input: [[1, 2, 3], [4]], dimensions: 12 };
  const decoded = await client.embeddings.create(ask);
  const floats = await client.embeddings.create({ ...ask, encoding_format: 'float' });
  assert.deepEqual(decoded.data.map(item => Array.from(item.embedding, Math.fround)), floats.data.map(item => item.embedding.map(Math.fround)));
  assert.equal(floats.data[0].embedding.length, 12);
});

test('an input of a wrong type is a BadRequestError', async () => {
  const error = await failure(client.embeddings.create({ model: 'simulator/embed', input: { text: 'x' } }));
  assert.ok(error instanceof OpenAI.BadRequestError, String(error));
  assert.equal(error.param, 'input');
});

test('a text completion continues its prompt', async () => {
  const completion = await client.completions.create({ model: 'simulator/echo', prompt: 'hello gateway', max_tokens: 50 });
  assert.equal(completion.object, 'text_completion');
  assert.match(completion.choices[0].text, /hello gateway/);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.equal(completion.usage.total_tokens, completion.usage.prompt_tokens + completion.usage.completion_tokens);
});

test('a text completion answers each prompt n times', async () => {
  const completion = await client.completions.create({ model: 'simulator/echo', prompt: ['one', 'two'], n: 2, max_tokens: 50, echo: true });
  assert.deepEqual(completion.choices.map(choice => [choice.index, choice.text.slice(0, 3)]), [[0, 'one'], [1, 'one'], [2, 'two'], [3, 'two']]);
});

test('a streamed text completion says the same, and no usage that nobody asked for', async () => {
  const ask = { model: 'simulator/echo', prompt: 'hello gateway', max_tokens: 50 };
  const plain = await client.completions.create(ask);
  const chunks = await collect(await client.completions.create({ ...ask, stream: true }));
  assert.equal(chunks.map(chunk => chunk.choices[0].text).join(''), plain.choices[0].text);
  assert.ok(chunks.every(chunk => chunk.choices.length > 0 && !chunk.usage));
  const asked = await collect(await client.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(asked.at(-1).usage, plain.usage);
});

test('a moderation flags what it names', async () => {
  const { results } = await client.moderations.create({ model: 'simulator/moderation', input: ['a calm day', 'an act of violence'] });
  assert.deepEqual(results.map(result => result.flagged), [false, true]);
  assert.equal(results[1].categories.violence, true);
  assert.ok(results[1].category_scores.violence > 0.5);
});

test('a moderation without a model is a BadRequestError that names it', async () => {
  const error = await failure(client.moderations.create({ input: 'x' }));
  assert.ok(error instanceof OpenAI.BadRequestError, String(error));
  assert.equal(error.param, 'model');
});

await run();
