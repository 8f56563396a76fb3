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

await run();
