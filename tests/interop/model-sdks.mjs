// The official SDKs of four vendors, each in its own format, in front of a provider of each format: what the formats have in common works from any to any.

import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand, InvokeModelCommand, InvokeModelWithResponseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { GoogleGenAI } from '@google/genai';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import OpenAI from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { startGateway } from './lib/process.mjs';
import { failure, run, test } from './lib/suite.mjs';
import { startVendors, usage } from './lib/vendors.mjs';

// UPSTREAMS names fewer, for a quick look at one.
const upstreams = (process.env.UPSTREAMS ?? 'chat,responses,messages,gemini,bedrock').split(',');
const vendors = await startVendors();
const dialects = { chat: 'openai-chat', responses: 'openai-responses', messages: 'anthropic', gemini: 'gemini', bedrock: 'bedrock' };
const gateway = await startGateway({
  configuration: {
    // Ids of no known provider, so that each has the endpoints of its format alone.
    providers: Object.fromEntries(upstreams.map(format => [`own-${format}`, { dialect: dialects[format], baseUrl: `${vendors.address}/${format}`, apiKey: 'upstream-secret', maxRetries: 0 }])),
    // What has no bound, such as the pages of a document, needs a reservation.
    routes: Object.fromEntries(upstreams.map(format => [`documents-${format}`, { targets: [`own-${format}/some-model`], reservation: 0.1 }])),
    // Images have a bound only where it is said; the first key has a hard budget.
    prices: upstreams.map(format => ({ provider: `own-${format}`, model: '*', input: 1, output: 2, maxOutputTokens: 4096, maxImageTokens: 2000 })),
  },
});

const weather = { name: 'get_weather', description: 'Weather of a city', schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false } };
const answerSchema = { type: 'object', properties: { answer: { type: 'integer' }, unit: { type: 'string' } }, required: ['answer', 'unit'], additionalProperties: false };
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const pngBytes = Buffer.from(png, 'base64').length;
const celsius = { Paris: '21 C', Rome: '28 C', Oslo: '-3 C' };

// What each SDK does in its own words: all give { text, calls, usage } of an answer, and keep the turns of a conversation in their own form.
const openai = new OpenAI({ apiKey: gateway.key, baseURL: `${gateway.url}/openai/v1`, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: gateway.key, baseURL: `${gateway.url}/anthropic`, maxRetries: 0 });
// By itself this SDK speaks HTTP/2, which without TLS nobody can be asked for beforehand.
const awsClient = options => new BedrockRuntimeClient({ region: 'us-east-1', endpoint: `${gateway.url}/bedrock`, requestHandler: new NodeHttpHandler(), maxAttempts: 1, ...options });
const aws = awsClient({ token: { token: gateway.key }, authSchemePreference: ['httpBearerAuth'] });
const genai = new GoogleGenAI({ apiKey: gateway.key, httpOptions: { baseUrl: `${gateway.url}/genai` } });

const chatSdk = {
  name: 'openai chat',
  start: (text, image) => [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: image ? [{ type: 'text', text }, { type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } }] : text },
  ],
  body: (model, turns, { tools, schema } = {}) => ({
    model, messages: turns, max_completion_tokens: 500,
    ...(tools ? { tools: [{ type: 'function', function: { name: weather.name, description: weather.description, parameters: weather.schema, strict: true } }] } : {}),
    ...(schema ? { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: answerSchema, strict: true } } } : {}),
  }),
  async ask(model, turns, options) {
    const { choices: [{ message, finish_reason }], usage: used } = await openai.chat.completions.create(this.body(model, turns, options));
    return this.read(message, finish_reason, used);
  },
  async stream(model, turns, options) {
    const stream = openai.chat.completions.stream({ ...this.body(model, turns, options), stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    return this.read(final.choices[0].message, final.choices[0].finish_reason, final.usage);
  },
  read: (message, reason, used) => ({
    text: message.content ?? '', turn: [message], calls: (message.tool_calls ?? []).map(call => ({ id: call.id, name: call.function.name, args: JSON.parse(call.function.arguments) })),
    wantsTools: reason === 'tool_calls', input: used.prompt_tokens, output: used.completion_tokens,
  }),
  results: calls => calls.map(call => ({ role: 'tool', tool_call_id: call.id, content: celsius[call.args.city] })),
  async cancel(model, turns) {
    const stream = await openai.chat.completions.create({ ...this.body(model, turns), stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) {
        stream.controller.abort();
        break;
      }
    }
  },
  status: error => error.status,
};

const responsesSdk = {
  name: 'openai responses',
  start: (text, image) => [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: image ? [{ type: 'input_text', text }, { type: 'input_image', image_url: `data:image/png;base64,${image}`, detail: 'auto' }] : text },
  ],
  body: (model, turns, { tools, schema } = {}) => ({
    model, input: turns, max_output_tokens: 500, store: false, include: ['reasoning.encrypted_content'],
    ...(tools ? { tools: [{ type: 'function', name: weather.name, description: weather.description, parameters: weather.schema, strict: true }] } : {}),
    ...(schema ? { text: { format: { type: 'json_schema', name: 'answer', schema: answerSchema, strict: true } } } : {}),
  }),
  async ask(model, turns, options) {
    return this.read(await openai.responses.create(this.body(model, turns, options)));
  },
  async stream(model, turns, options) {
    return this.read(await openai.responses.stream(this.body(model, turns, options)).finalResponse());
  },
  read: response => {
    const calls = response.output.filter(item => item.type === 'function_call').map(item => ({ id: item.call_id, name: item.name, args: JSON.parse(item.arguments) }));
    return {
      text: response.output_text ?? response.output.flatMap(item => item.content ?? []).map(part => part.text ?? '').join(''), turn: response.output, calls, wantsTools: calls.length > 0,
      input: response.usage.input_tokens, output: response.usage.output_tokens,
    };
  },
  results: calls => calls.map(call => ({ type: 'function_call_output', call_id: call.id, output: celsius[call.args.city] })),
  async cancel(model, turns) {
    const stream = await openai.responses.create({ ...this.body(model, turns), stream: true });
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') {
        stream.controller.abort();
        break;
      }
    }
  },
  status: error => error.status,
};

/** The events of one response, over a connection that is open. */
async function respond(socket, body) {
  socket.send({ type: 'response.create', ...body });
  for await (const event of socket.stream()) {
    if (event.type === 'error') {
      throw event.error;
    }
    if (event.type === 'message' && ['response.completed', 'response.incomplete', 'response.failed'].includes(event.message.type)) {
      return event.message.response;
    }
  }
  throw new Error('The connection was closed.');
}

async function withSocket(use) {
  const socket = new ResponsesWS(openai);
  try {
    return await use(socket);
  } finally {
    socket.close();
  }
}

const socketSdk = {
  ...responsesSdk,
  name: 'openai responses over WebSocket',
  ask(model, turns, options) {
    return withSocket(async socket => this.read(await respond(socket, this.body(model, turns, options))));
  },
  async cancel(model, turns) {
    const socket = new ResponsesWS(openai);
    socket.send({ type: 'response.create', ...this.body(model, turns) });
    for await (const event of socket.stream()) {
      if (event.message?.type === 'response.output_text.delta') {
        socket.close();
        break;
      }
    }
  },
  status: error => error.status ?? error.error?.status,
};

const anthropicSdk = {
  name: 'anthropic',
  start: (text, image) => [{ role: 'user', content: image ? [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: image } }, { type: 'text', text }] : text }],
  body: (model, turns, { tools, schema } = {}) => ({
    model, messages: turns, system: 'Be brief.', max_tokens: 500,
    ...(tools ? { tools: [{ name: weather.name, description: weather.description, input_schema: weather.schema }] } : {}),
    ...(schema ? { output_config: { format: { type: 'json_schema', schema: answerSchema } } } : {}),
  }),
  async ask(model, turns, options) {
    return this.read(await anthropic.messages.create(this.body(model, turns, options)));
  },
  async stream(model, turns, options) {
    return this.read(await anthropic.messages.stream(this.body(model, turns, options)).finalMessage());
  },
  read: message => ({
    text: message.content.filter(block => block.type === 'text').map(block => block.text).join(''), turn: [{ role: 'assistant', content: message.content }],
    calls: message.content.filter(block => block.type === 'tool_use').map(({ id, name, input }) => ({ id, name, args: input })), wantsTools: message.stop_reason === 'tool_use',
    input: message.usage.input_tokens, output: message.usage.output_tokens,
  }),
  results: calls => [{ role: 'user', content: calls.map(call => ({ type: 'tool_result', tool_use_id: call.id, content: celsius[call.args.city] })) }],
  async cancel(model, turns) {
    const stream = await anthropic.messages.create({ ...this.body(model, turns), stream: true });
    for await (const event of stream) {
      if (event.type === 'content_block_delta') {
        stream.controller.abort();
        break;
      }
    }
  },
  status: error => error.status,
};

const genaiSdk = {
  name: 'genai',
  start: (text, image) => [{ role: 'user', parts: [{ text }, ...(image ? [{ inlineData: { mimeType: 'image/png', data: image } }] : [])] }],
  body: (model, turns, { tools, schema } = {}, abortSignal = undefined) => ({
    model, contents: turns,
    config: {
      systemInstruction: 'Be brief.', maxOutputTokens: 500, abortSignal,
      ...(tools ? { tools: [{ functionDeclarations: [{ name: weather.name, description: weather.description, parametersJsonSchema: weather.schema }] }] } : {}),
      ...(schema ? { responseMimeType: 'application/json', responseJsonSchema: answerSchema } : {}),
    },
  }),
  async ask(model, turns, options) {
    return this.read([await genai.models.generateContent(this.body(model, turns, options))]);
  },
  async stream(model, turns, options) {
    const chunks = [];
    for await (const chunk of await genai.models.generateContentStream(this.body(model, turns, options))) {
      chunks.push(chunk);
    }
    return this.read(chunks);
  },
  read: chunks => {
    const parts = chunks.flatMap(chunk => chunk.candidates?.[0]?.content?.parts ?? []);
    const { promptTokenCount, candidatesTokenCount = 0, thoughtsTokenCount = 0 } = chunks.findLast(chunk => chunk.usageMetadata).usageMetadata;
    const calls = parts.filter(part => part.functionCall).map(({ functionCall: { id, name, args } }) => ({ id, name, args }));
    return {
      text: parts.filter(part => part.text && !part.thought).map(part => part.text).join(''), turn: [{ role: 'model', parts }], calls, wantsTools: calls.length > 0,
      input: promptTokenCount, output: candidatesTokenCount + thoughtsTokenCount,
    };
  },
  results: calls => [{ role: 'user', parts: calls.map(({ id, name, args }) => ({ functionResponse: { ...(id ? { id } : {}), name, response: { output: celsius[args.city] } } })) }],
  async cancel(model, turns) {
    const stop = new AbortController();
    try {
      for await (const chunk of await genai.models.generateContentStream(this.body(model, turns, {}, stop.signal))) {
        if (chunk.text) {
          stop.abort();
        }
      }
    } catch (error) {
      assert.match(String(error), /abort/i);
    }
  },
  status: error => error.status,
};

const awsSdk = {
  name: 'aws bedrock',
  start: (text, image) => [{ role: 'user', content: [{ text }, ...(image ? [{ image: { format: 'png', source: { bytes: Buffer.from(image, 'base64') } } }] : [])] }],
  body: (model, turns, { tools, schema, choice } = {}) => ({
    modelId: model, messages: turns, system: [{ text: 'Be brief.' }], inferenceConfig: { maxTokens: 500 },
    ...(tools ? { toolConfig: { tools: (Array.isArray(tools) ? tools : [weather]).map(({ name, description, schema: json }) => ({ toolSpec: { name, description, inputSchema: { json } } })), ...(choice ? { toolChoice: choice } : {}) } } : {}),
    ...(schema ? { outputConfig: { textFormat: { type: 'json_schema', structure: { jsonSchema: { name: 'answer', schema: JSON.stringify(answerSchema) } } } } } : {}),
  }),
  async ask(model, turns, options) {
    const { output: { message }, stopReason, usage: used } = await aws.send(new ConverseCommand(this.body(model, turns, options)));
    return this.read(message.content, stopReason, used);
  },
  async stream(model, turns, options) {
    const { stream } = await aws.send(new ConverseStreamCommand(this.body(model, turns, options)));
    const content = [];
    let stop;
    let used;
    for await (const event of stream) {
      if (event.contentBlockStart) {
        content[event.contentBlockStart.contentBlockIndex] = { toolUse: { ...event.contentBlockStart.start.toolUse, input: '' } };
      } else if (event.contentBlockDelta) {
        const { contentBlockIndex: at, delta } = event.contentBlockDelta;
        if (delta.text !== undefined) {
          content[at] = { text: (content[at]?.text ?? '') + delta.text };
        } else if (delta.toolUse) {
          content[at].toolUse.input += delta.toolUse.input;
        } else if (delta.reasoningContent) {
          const { text = '', signature } = content[at]?.reasoningContent.reasoningText ?? {};
          content[at] = { reasoningContent: { reasoningText: { text: text + (delta.reasoningContent.text ?? ''), signature: delta.reasoningContent.signature ?? signature } } };
        }
      }
      stop = event.messageStop?.stopReason ?? stop;
      used = event.metadata?.usage ?? used;
    }
    return this.read(content.map(block => block.toolUse ? { toolUse: { ...block.toolUse, input: JSON.parse(block.toolUse.input) } } : block), stop, used);
  },
  read: (content, reason, used) => ({
    text: content.map(block => block.text ?? '').join(''), turn: [{ role: 'assistant', content }],
    calls: content.filter(block => block.toolUse).map(({ toolUse: { toolUseId, name, input } }) => ({ id: toolUseId, name, args: input })), wantsTools: reason === 'tool_use',
    input: used.inputTokens, output: used.outputTokens,
  }),
  results: calls => [{ role: 'user', content: calls.map(call => ({ toolResult: { toolUseId: call.id, content: [{ text: celsius[call.args.city] }] } })) }],
  async cancel(model, turns) {
    const stop = new AbortController();
    const { stream } = await aws.send(new ConverseStreamCommand(this.body(model, turns)), { abortSignal: stop.signal });
    try {
      for await (const event of stream) {
        if (event.contentBlockDelta) {
          stop.abort();
        }
      }
    } catch (error) {
      assert.match(String(error), /abort/i);
    }
  },
  status: error => error.$metadata.httpStatusCode,
};

const models = { chat: 'gpt-4o', responses: 'gpt-5.4', messages: 'claude-sonnet-4-5', gemini: 'gemini-2.5-pro', bedrock: 'anthropic.claude-sonnet-4-5-20250929-v1:0' };
const model = upstream => `own-${upstream}/${models[upstream]}`;

/** Does a thing with every upstream, and says of each how it went. */
async function withEach(action) {
  const problems = [];
  for (const upstream of upstreams) {
    try {
      await action(upstream);
    } catch (error) {
      problems.push(`${upstream}: ${String(error?.stack ?? error).split('\n').slice(0, 12).join('\n')}`);
    }
  }
  assert.equal(problems.length, 0, problems.join('\n'));
}

async function chats(sdk, how) {
  await withEach(async upstream => {
    const answer = await sdk[how](model(upstream), sdk.start('say: Grüße 🧪 "quoted" \\ and 你好'));
    assert.equal(answer.text, 'Grüße 🧪 "quoted" \\ and 你好');
    assert.deepEqual([answer.input, answer.output], [usage.input, usage.output]);
    const asked = vendors.requests.at(-1);
    assert.equal(asked.format, upstream);
    assert.equal(asked.system, 'Be brief.');
    assert.equal(asked.maxTokens, 500);
    assert.ok(!JSON.stringify(asked.headers).includes('sk-gw-'));
  });
}

async function callsTools(sdk, how) {
  await withEach(async upstream => {
    const turns = sdk.start('weather, please');
    const first = await sdk[how](model(upstream), turns, { tools: true });
    assert.ok(first.wantsTools);
    assert.deepEqual(first.calls.map(call => [call.name, call.args.city]), [['get_weather', 'Paris'], ['get_weather', 'Rome']]);
    const second = await sdk[how](model(upstream), [...turns, ...first.turn, ...sdk.results(first.calls)], { tools: true });
    assert.equal(second.text, 'It is 21 C and 28 C.');
  });
}

async function remembersReasoning(sdk, how) {
  await withEach(async upstream => {
    if (upstream === 'chat') {
      return; // its format has no signatures
    }
    const turns = sdk.start('think of Oslo');
    const first = await sdk[how](model(upstream), turns, { tools: true });
    assert.deepEqual(first.calls.map(call => call.args.city), ['Oslo']);
    const second = await sdk[how](model(upstream), [...turns, ...first.turn, ...sdk.results(first.calls)], { tools: true });
    assert.equal(second.text, 'signed c2lnbmVk');
  });
}

async function keepsToASchema(sdk, how) {
  await withEach(async upstream => {
    const answer = await sdk[how](model(upstream), sdk.start('schema'), { schema: true });
    assert.deepEqual(JSON.parse(answer.text), { answer: 42, unit: 'km' });
  });
}

async function shows(sdk, how) {
  await withEach(async upstream => {
    const answer = await sdk[how](model(upstream), sdk.start('picture', png));
    assert.equal(answer.text, `image/png of ${pngBytes} bytes`);
  });
}

async function fails(sdk, how) {
  await withEach(async upstream => {
    const error = await failure(sdk[how](model(upstream), sdk.start('fail')));
    assert.equal(sdk.status(error), 429, String(error));
    assert.match(error.message, /Slow down, please/);
  });
}

async function cancels(sdk) {
  await withEach(async upstream => {
    const left = vendors.nextCancelled();
    await sdk.cancel(model(upstream), sdk.start('hang'));
    await left;
  });
}

test('openai chat: answers of each provider', () => chats(chatSdk, 'ask'));
test('openai chat: streams of each provider', () => chats(chatSdk, 'stream'));
test('openai chat: tools', () => callsTools(chatSdk, 'ask'));
test('openai chat: tools, streamed', () => callsTools(chatSdk, 'stream'));
test('openai chat: reasoning is signed over turns', () => remembersReasoning(chatSdk, 'ask'));
test('openai chat: reasoning is signed over turns, streamed', () => remembersReasoning(chatSdk, 'stream'));
test('openai chat: structured output', () => keepsToASchema(chatSdk, 'ask'));
test('openai chat: structured output, streamed', () => keepsToASchema(chatSdk, 'stream'));
test('openai chat: images', () => shows(chatSdk, 'ask'));
test('openai chat: errors', () => fails(chatSdk, 'ask'));
test('openai chat: errors, streamed', () => fails(chatSdk, 'stream'));
test('openai chat: a cancelled stream ends upstream', () => cancels(chatSdk));

test('openai responses: answers of each provider', () => chats(responsesSdk, 'ask'));
test('openai responses: streams of each provider', () => chats(responsesSdk, 'stream'));
test('openai responses: tools', () => callsTools(responsesSdk, 'ask'));
test('openai responses: tools, streamed', () => callsTools(responsesSdk, 'stream'));
test('openai responses: reasoning is signed over turns', () => remembersReasoning(responsesSdk, 'ask'));
test('openai responses: reasoning is signed over turns, streamed', () => remembersReasoning(responsesSdk, 'stream'));
test('openai responses: structured output', () => keepsToASchema(responsesSdk, 'ask'));
test('openai responses: structured output, streamed', () => keepsToASchema(responsesSdk, 'stream'));
test('openai responses: images', () => shows(responsesSdk, 'ask'));
test('openai responses: errors', () => fails(responsesSdk, 'ask'));
test('openai responses: errors, streamed', () => fails(responsesSdk, 'stream'));
test('openai responses: a cancelled stream ends upstream', () => cancels(responsesSdk));

test('openai responses over WebSocket: streams of each provider', () => chats(socketSdk, 'ask'));
test('openai responses over WebSocket: tools', () => callsTools(socketSdk, 'ask'));
test('openai responses over WebSocket: reasoning is signed over turns', () => remembersReasoning(socketSdk, 'ask'));
test('openai responses over WebSocket: structured output', () => keepsToASchema(socketSdk, 'ask'));
test('openai responses over WebSocket: images', () => shows(socketSdk, 'ask'));
test('openai responses over WebSocket: errors', () => fails(socketSdk, 'ask'));
test('openai responses over WebSocket: a client that leaves ends upstream', () => cancels(socketSdk));
test('openai responses over WebSocket: a turn goes on from the last with what is new alone', () => withEach(upstream => withSocket(async socket => {
  const body = items => socketSdk.body(model(upstream), items, { tools: true });
  const prepared = await respond(socket, { ...body([]), generate: false });
  assert.deepEqual(prepared.output, []);
  const first = await respond(socket, { ...body(socketSdk.start('weather')), previous_response_id: prepared.id });
  const { calls } = socketSdk.read(first);
  assert.equal(calls.length, 2);
  const second = await respond(socket, { ...body(socketSdk.results(calls)), previous_response_id: first.id });
  assert.match(socketSdk.read(second).text, /21 C.*28 C/);
  if (upstream !== 'responses') { // whose provider is asked
    const lost = await failure(withSocket(other => respond(other, { ...body(socketSdk.results(calls)), previous_response_id: second.id })));
    assert.match(String(lost), /previous_response_not_found|not found/, `${lost} ${JSON.stringify(lost.error)}`);
  }
})));
test('openai responses over WebSocket: lanes are served side by side', () => withEach(upstream => withSocket(async socket => {
  const left = vendors.nextCancelled();
  const done = {};
  socket.send({ type: 'response.create', stream_id: 'slow', ...socketSdk.body(model(upstream), socketSdk.start('hang')) });
  socket.send({ type: 'response.create', stream_id: 'quick', ...socketSdk.body(model(upstream), socketSdk.start('say: one')) });
  socket.send({ type: 'response.create', stream_id: 'quick', ...socketSdk.body(model(upstream), socketSdk.start('say: two')) });
  const said = [];
  for await (const { type, message, error } of socket.stream()) {
    assert.notEqual(type, 'error', String(error));
    if (message?.type === 'response.completed') {
      assert.equal(message.stream_id, 'quick');
      said.push(socketSdk.read(message.response).text);
      if (said.length === 2) {
        break;
      }
    }
  }
  assert.deepEqual(said, ['one', 'two']);
  socket.close();
  await left;
})));
test('openai responses over WebSocket: steering is refused in its own words', () => withSocket(async socket => {
  socket.send({ type: 'response.steer', previous_response_id: 'resp_1', input: 'Stop' });
  for await (const { message } of socket.stream()) {
    if (message) {
      assert.equal(message.type, 'response.steer.failed');
      assert.equal(message.error.code, 'steering_not_supported');
      assert.deepEqual(message.steer, { previous_response_id: 'resp_1', input: 'Stop' });
      break;
    }
  }
}));

test('anthropic: answers of each provider', () => chats(anthropicSdk, 'ask'));
test('anthropic: streams of each provider', () => chats(anthropicSdk, 'stream'));
test('anthropic: tools', () => callsTools(anthropicSdk, 'ask'));
test('anthropic: tools, streamed', () => callsTools(anthropicSdk, 'stream'));
test('anthropic: reasoning is signed over turns', () => remembersReasoning(anthropicSdk, 'ask'));
test('anthropic: reasoning is signed over turns, streamed', () => remembersReasoning(anthropicSdk, 'stream'));
test('anthropic: structured output', () => keepsToASchema(anthropicSdk, 'ask'));
test('anthropic: structured output, streamed', () => keepsToASchema(anthropicSdk, 'stream'));
test('anthropic: images', () => shows(anthropicSdk, 'ask'));
test('anthropic: errors', () => fails(anthropicSdk, 'ask'));
test('anthropic: errors, streamed', () => fails(anthropicSdk, 'stream'));
test('anthropic: a cancelled stream ends upstream', () => cancels(anthropicSdk));

test('genai: answers of each provider', () => chats(genaiSdk, 'ask'));
test('genai: streams of each provider', () => chats(genaiSdk, 'stream'));
test('genai: tools', () => callsTools(genaiSdk, 'ask'));
test('genai: tools, streamed', () => callsTools(genaiSdk, 'stream'));
test('genai: reasoning is signed over turns', () => remembersReasoning(genaiSdk, 'ask'));
test('genai: reasoning is signed over turns, streamed', () => remembersReasoning(genaiSdk, 'stream'));
test('genai: structured output', () => keepsToASchema(genaiSdk, 'ask'));
test('genai: structured output, streamed', () => keepsToASchema(genaiSdk, 'stream'));
test('genai: images', () => shows(genaiSdk, 'ask'));
test('genai: errors', () => fails(genaiSdk, 'ask'));
test('genai: errors, streamed', () => fails(genaiSdk, 'stream'));
test('genai: a cancelled stream ends upstream', () => cancels(genaiSdk));

test('aws bedrock: answers of each provider', () => chats(awsSdk, 'ask'));
test('aws bedrock: streams of each provider', () => chats(awsSdk, 'stream'));
test('aws bedrock: tools', () => callsTools(awsSdk, 'ask'));
test('aws bedrock: tools, streamed', () => callsTools(awsSdk, 'stream'));
test('aws bedrock: reasoning is signed over turns', () => remembersReasoning(awsSdk, 'ask'));
test('aws bedrock: reasoning is signed over turns, streamed', () => remembersReasoning(awsSdk, 'stream'));
test('aws bedrock: structured output', () => keepsToASchema(awsSdk, 'ask'));
test('aws bedrock: structured output, streamed', () => keepsToASchema(awsSdk, 'stream'));
test('aws bedrock: images', () => shows(awsSdk, 'ask'));
test('aws bedrock: errors', () => fails(awsSdk, 'ask'));
test('aws bedrock: errors, streamed', () => fails(awsSdk, 'stream'));
test('aws bedrock: a cancelled stream ends upstream', () => cancels(awsSdk));

const noArguments = { name: 'get_time', description: 'The time', schema: { type: 'object', properties: {} } };
const answerTool = { name: 'answer', description: 'Gives the answer', schema: answerSchema };

async function callsWithoutArguments(how) {
  await withEach(async upstream => {
    const turns = awsSdk.start('time, please');
    const first = await awsSdk[how](model(upstream), turns, { tools: [noArguments] });
    assert.deepEqual(first.calls.map(call => [call.name, call.args]), [['get_time', {}]]);
    const results = [{ role: 'user', content: first.calls.map(call => ({ toolResult: { toolUseId: call.id, content: [{ json: { time: 'noon' } }] } })) }];
    const second = await awsSdk[how](model(upstream), [...turns, ...first.turn, ...results], { tools: [noArguments] });
    assert.match(second.text, /^It is .*noon/);
  });
}

/** A tool that the model must call holds it to a form. */
async function forcesATool(how) {
  await withEach(async upstream => {
    const answer = await awsSdk[how](model(upstream), awsSdk.start('answer, please'), { tools: [answerTool, weather], choice: { tool: { name: 'answer' } } });
    assert.deepEqual(answer.calls.map(call => [call.name, call.args]), [['answer', { answer: 42, unit: 'km' }]]);
    assert.deepEqual(vendors.requests.at(-1).forced, ['answer']);
  });
}

async function sendsMedia(content, held) {
  await withEach(async upstream => {
    const answer = await awsSdk.ask(`documents-${upstream}`, [{ role: 'user', content: [...content, { text: 'say: seen' }] }]);
    assert.equal(answer.text, 'seen');
    assert.ok(JSON.stringify(vendors.requests.at(-1).body).includes(held), 'the bytes did not arrive');
  });
}

test('aws bedrock: tools without arguments', () => callsWithoutArguments('ask'));
test('aws bedrock: tools without arguments, streamed', () => callsWithoutArguments('stream'));
test('aws bedrock: a tool that must be called', () => forcesATool('ask'));
test('aws bedrock: a tool that must be called, streamed', () => forcesATool('stream'));

test('aws bedrock: documents', () => {
  const pdf = Buffer.from('%PDF-1.4 no pages');
  return sendsMedia([{ document: { format: 'pdf', name: 'report', source: { bytes: pdf } } }], pdf.toString('base64'));
});

test('aws bedrock: images in results of tools', () => withEach(async upstream => {
  const turns = awsSdk.start('weather, please');
  const first = await awsSdk.ask(model(upstream), turns, { tools: true });
  const results = [{ role: 'user', content: first.calls.map(call => ({ toolResult: { toolUseId: call.id, content: [{ text: celsius[call.args.city] }, { image: { format: 'png', source: { bytes: Buffer.from(png, 'base64') } } }] } })) }];
  const second = await awsSdk.ask(model(upstream), [...turns, ...first.turn, ...results], { tools: true });
  // Chat has text alone there: an image follows as the user's, so that it is the user who spoke last.
  assert.match(second.text, upstream === 'chat' ? /^You said: From the result of tool call/ : /21 C.* and .*28 C/);
  assert.ok(JSON.stringify(vendors.requests.at(-1).body).includes(png), 'the image did not arrive');
}));

test('aws bedrock: exceptions have their types', async () => {
  await withEach(async upstream => {
    const slow = await failure(awsSdk.ask(model(upstream), awsSdk.start('fail')));
    assert.equal(slow.name, 'ThrottlingException');
    const wrong = await failure(awsSdk.ask(model(upstream), awsSdk.start('refuse')));
    assert.deepEqual([wrong.name, wrong.$metadata.httpStatusCode], ['ValidationException', 400]);
    assert.match(wrong.message, /That is wrong/);
    const busy = await failure(awsSdk.stream(model(upstream), awsSdk.start('overload')));
    assert.deepEqual([busy.name, busy.$metadata.httpStatusCode], ['ServiceUnavailableException', 503]);
    assert.ok(busy.$metadata.requestId, 'it has no id');
  });
  const bad = await failure(awsSdk.ask(model(upstreams[0]), [{ role: 'oracle', content: [{ text: 'x' }] }]));
  assert.deepEqual([bad.name, bad.$metadata.httpStatusCode], ['ValidationException', 400]);
});

test('aws bedrock: a key in the id of an access key', async () => {
  const credentials = { accessKeyId: gateway.key, secretAccessKey: 'any' };
  const signing = awsClient({ region: 'eu-central-1', credentials, authSchemePreference: ['aws.auth#sigv4'] });
  await withEach(async upstream => {
    const { output } = await signing.send(new ConverseCommand(awsSdk.body(model(upstream), awsSdk.start('say: signed'))));
    assert.equal(output.message.content[0].text, 'signed');
    assert.ok(!JSON.stringify(vendors.requests.at(-1).headers).includes(gateway.key));
  });
  const stranger = awsClient({ credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'any' }, authSchemePreference: ['aws.auth#sigv4'] });
  const refused = await failure(stranger.send(new ConverseCommand(awsSdk.body(model(upstreams[0]), awsSdk.start('say: x')))));
  assert.deepEqual([refused.name, refused.$metadata.httpStatusCode], ['AccessDeniedException', 401]);
});

test('aws bedrock: endpoint and token in the environment', async () => {
  process.env.AWS_BEARER_TOKEN_BEDROCK = gateway.key;
  process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME = `${gateway.url}/bedrock`;
  try {
    const client = new BedrockRuntimeClient({ region: 'us-east-1', requestHandler: new NodeHttpHandler(), maxAttempts: 1 });
    const { output } = await client.send(new ConverseCommand(awsSdk.body(model(upstreams[0]), awsSdk.start('say: from the environment'))));
    assert.equal(output.message.content[0].text, 'from the environment');
  } finally {
    delete process.env.AWS_BEARER_TOKEN_BEDROCK;
    delete process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME;
  }
});

const invoked = text => JSON.stringify({ anthropic_version: 'bedrock-2023-05-31', max_tokens: 500, system: 'Be brief.', messages: [{ role: 'user', content: text }] });

test('aws bedrock: InvokeModel with a body in the Anthropic format', () => withEach(async upstream => {
  const { body } = await aws.send(new InvokeModelCommand({ modelId: model(upstream), body: invoked('say: Grüße') }));
  const message = JSON.parse(Buffer.from(body).toString());
  assert.deepEqual([message.type, message.content[0].text, message.usage.input_tokens, message.usage.output_tokens], ['message', 'Grüße', usage.input, usage.output]);
  const asked = vendors.requests.at(-1);
  assert.deepEqual([asked.format, asked.system, asked.maxTokens], [upstream, 'Be brief.', 500]);
}));

test('aws bedrock: InvokeModelWithResponseStream with a body in the Anthropic format', () => withEach(async upstream => {
  const { body } = await aws.send(new InvokeModelWithResponseStreamCommand({ modelId: model(upstream), body: invoked('say: Grüße aus Köln') }));
  const events = [];
  for await (const event of body) {
    events.push(JSON.parse(Buffer.from(event.chunk.bytes).toString()));
  }
  assert.deepEqual([events[0].type, events.at(-1).type], ['message_start', 'message_stop']);
  assert.equal(events.map(event => event.delta?.text ?? '').join(''), 'Grüße aus Köln');
  assert.equal(events.find(event => event.type === 'message_delta').usage.output_tokens, usage.output);
}));

await run(async () => {
  console.log(gateway.output());
  await gateway.stop();
  await vendors.close();
});
