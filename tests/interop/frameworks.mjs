// The frameworks that agents are built with, told only where the gateway is and given a virtual key, in front of a provider of each format: LangChain's model classes and its agent, and
// the Vercel AI SDK, each in the formats that it speaks.

import assert from 'node:assert/strict';
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage, SystemMessage } from '@langchain/core/messages';
import { tool as langChainTool } from '@langchain/core/tools';
import { ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings } from '@langchain/google-genai';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embedMany, generateText, Output, stepCountIs, streamText, tool as aiTool } from 'ai';
import { createAgent } from 'langchain';
import { z } from 'zod';
import { startGateway } from './lib/process.mjs';
import { failure, run, test } from './lib/suite.mjs';
import { startVendors, usage } from './lib/vendors.mjs';

// UPSTREAMS names fewer, for a quick look at one.
const upstreams = (process.env.UPSTREAMS ?? 'chat,responses,messages,gemini,bedrock').split(',');
const vendors = await startVendors();
const models = { chat: 'gpt-4o', responses: 'gpt-5.4', messages: 'claude-sonnet-4-5', gemini: 'gemini-2.5-pro', bedrock: 'anthropic.claude-sonnet-4-5-20250929-v1:0' };
const modelOf = upstream => `own-${upstream}/${models[upstream]}`;
const dialects = { chat: 'openai-chat', responses: 'openai-responses', messages: 'anthropic', gemini: 'gemini', bedrock: 'bedrock' };
const gateway = await startGateway({
  configuration: {
    // Ids of no known provider, so that each has the endpoints of its format alone.
    providers: Object.fromEntries(upstreams.map(format => [`own-${format}`, { dialect: dialects[format], baseUrl: `${vendors.address}/${format}`, apiKey: 'upstream-secret', maxRetries: 0 }])),
    // Images have a bound only where it is said; the first key has a hard budget.
    // LangChain's class for Google shows pictures to models of known names alone.
    routes: Object.fromEntries(upstreams.map(format => [`gemini-2-by-${format}`, { targets: [modelOf(format)] }])),
    prices: upstreams.map(format => ({ provider: `own-${format}`, model: '*', input: 1, output: 2, maxOutputTokens: 4096, maxImageTokens: 2000 })),
  },
});

const { url, key } = gateway;
const celsius = { Paris: '21 C', Rome: '28 C', Oslo: '-3 C' };
const City = z.object({ city: z.string() });
const Answer = z.object({ answer: z.number().int(), unit: z.string() });
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const pngBytes = Buffer.from(png, 'base64').length;
const words = 'Grüße 🧪 "quoted" \\ and 你好';

/** Does a thing with every upstream, and says of each how it went. */
async function withEach(action) {
  const problems = [];
  for (const upstream of upstreams) {
    try {
      await action(modelOf(upstream), upstream);
    } catch (error) {
      problems.push(`${upstream}: ${String(error?.stack ?? error).split('\n').slice(0, 14).join('\n')}`);
    }
  }
  assert.equal(problems.length, 0, problems.join('\n'));
}

function assertArrived(upstream) {
  const asked = vendors.requests.at(-1);
  assert.equal(asked.format, upstream);
  assert.equal(asked.system, 'Be brief.');
  assert.equal(asked.maxTokens, 500);
  assert.ok(!JSON.stringify(asked.headers).includes('sk-gw-'));
}

// ---- LangChain

const langChain = {
  openai: model => new ChatOpenAI({ model, apiKey: key, maxTokens: 500, maxRetries: 0, useResponsesApi: false, configuration: { baseURL: `${url}/openai/v1` } }),
  responses: model => new ChatOpenAI({ model, apiKey: key, maxTokens: 500, maxRetries: 0, useResponsesApi: true, configuration: { baseURL: `${url}/openai/v1` } }),
  anthropic: model => new ChatAnthropic({ model, apiKey: key, maxTokens: 500, maxRetries: 0, anthropicApiUrl: `${url}/anthropic` }),
  google: model => new ChatGoogleGenerativeAI({ model, apiKey: key, maxOutputTokens: 500, maxRetries: 0, baseUrl: `${url}/genai` }),
};

const weatherOfLangChain = langChainTool(({ city }) => celsius[city], { name: 'get_weather', description: 'Weather of a city', schema: City });
const saying = text => [new SystemMessage('Be brief.'), new HumanMessage(text)];

async function invokes(make) {
  await withEach(async (model, upstream) => {
    const answer = await make(model).invoke(saying(`say: ${words}`));
    assert.equal(answer.text, words);
    assert.deepEqual([answer.usage_metadata.input_tokens, answer.usage_metadata.output_tokens], [usage.input, usage.output]);
    assertArrived(upstream);
  });
}

async function streams(make) {
  await withEach(async (model, upstream) => {
    let whole;
    let chunks = 0;
    for await (const chunk of await make(model).stream(saying(`say: ${words}`))) {
      whole = whole ? whole.concat(chunk) : chunk;
      chunks++;
    }
    assert.equal(whole.text, words);
    assert.ok(chunks > 2, `${chunks} chunks`);
    // LangChain adds up what an Anthropic stream's first event says and the output of its last one. Where the provider's format tells the input at the end, the first can say nothing.
    const expected = make !== langChain.anthropic ? [usage.input, usage.output] : upstream === 'messages' ? [usage.input, 1 + usage.output] : [0, usage.output];
    assert.deepEqual([whole.usage_metadata.input_tokens, whole.usage_metadata.output_tokens], expected);
    assertArrived(upstream);
  });
}

async function bindsTools(make) {
  await withEach(async model => {
    const bound = make(model).bindTools([weatherOfLangChain]);
    const turns = saying('weather, please');
    const first = await bound.invoke(turns);
    assert.deepEqual(first.tool_calls.map(call => [call.name, call.args]), [['get_weather', { city: 'Paris' }], ['get_weather', { city: 'Rome' }]]);
    assert.equal(new Set(first.tool_calls.map(call => call.id)).size, 2);
    const results = await Promise.all(first.tool_calls.map(call => weatherOfLangChain.invoke(call)));
    const second = await bound.invoke([...turns, first, ...results]);
    assert.equal(second.text, 'It is 21 C and 28 C.');
  });
}

async function streamsTools(make) {
  await withEach(async model => {
    const bound = make(model).bindTools([weatherOfLangChain]);
    const turns = saying('weather, please');
    let first;
    for await (const chunk of await bound.stream(turns)) {
      first = first ? first.concat(chunk) : chunk;
    }
    assert.deepEqual(first.tool_calls.map(call => [call.name, call.args]), [['get_weather', { city: 'Paris' }], ['get_weather', { city: 'Rome' }]]);
    const results = await Promise.all(first.tool_calls.map(call => weatherOfLangChain.invoke(call)));
    const second = await bound.invoke([...turns, first, ...results]);
    assert.equal(second.text, 'It is 21 C and 28 C.');
  });
}

async function forcesATool(make) {
  await withEach(async model => {
    const forced = make(model).bindTools([weatherOfLangChain], { tool_choice: 'get_weather' });
    assert.deepEqual((await forced.invoke(saying('weather, please'))).tool_calls[0].args, { city: 'Paris' });
  });
}

async function structures(make, method) {
  await withEach(async model => {
    const structured = make(model).withStructuredOutput(Answer, { name: 'answer', ...(method ? { method } : {}) });
    assert.deepEqual(await structured.invoke(saying('schema')), { answer: 42, unit: 'km' });
  });
}

async function seesImages(make, nameOf = modelOf) {
  await withEach(async (_, upstream) => {
    const model = nameOf(upstream);
    const picture = { role: 'user', content: [{ type: 'text', text: 'picture' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }] };
    assert.equal((await make(model).invoke([picture])).text, `image/png of ${pngBytes} bytes`);
  });
}

async function seesStandardImages(make) {
  await withEach(async model => {
    const picture = new HumanMessage({ content: [{ type: 'text', text: 'picture' }, { type: 'image', source_type: 'base64', mime_type: 'image/png', data: png }] });
    assert.equal((await make(model).invoke([picture])).text, `image/png of ${pngBytes} bytes`);
  });
}

async function actsInSteps(make) {
  await withEach(async model => {
    const agent = createAgent({ model: make(model), tools: [weatherOfLangChain], systemPrompt: 'Be brief.' });
    const { messages } = await agent.invoke({ messages: [new HumanMessage('steps')] });
    assert.deepEqual(messages.map(message => message.type), ['human', 'ai', 'tool', 'ai', 'tool', 'ai']);
    assert.equal(messages.at(-1).text, 'It is 21 C and 28 C.');
  });
}

async function actsInStreamedSteps(make) {
  await withEach(async model => {
    const agent = createAgent({ model: make(model), tools: [weatherOfLangChain], systemPrompt: 'Be brief.' });
    let text = '';
    for await (const [chunk] of await agent.stream({ messages: [new HumanMessage('steps')] }, { streamMode: 'messages' })) {
      text += chunk.type === 'ai' ? chunk.text : '';
    }
    assert.equal(text, 'It is 21 C and 28 C.');
  });
}

async function carriesReasoning(make) {
  await withEach(async (model, upstream) => {
    if (upstream === 'chat') {
      return; // its format has no signatures
    }
    const bound = make(model).bindTools([weatherOfLangChain]);
    const turns = saying('think of Oslo');
    const first = await bound.invoke(turns);
    assert.deepEqual(first.tool_calls.map(call => call.args), [{ city: 'Oslo' }]);
    const second = await bound.invoke([...turns, first, await weatherOfLangChain.invoke(first.tool_calls[0])]);
    assert.equal(second.text, 'signed c2lnbmVk');
  });
}

async function meetsErrors(make) {
  await withEach(async model => {
    const error = await failure(make(model).invoke(saying('fail')));
    assert.match(String(error.message), /Slow down, please/);
    assert.match(`${error.status} ${error.statusCode} ${error.message} ${error.cause}`, /429/);
  });
}

test('langchain openai: invoke', () => invokes(langChain.openai));
test('langchain openai: stream', () => streams(langChain.openai));
test('langchain openai: tools', () => bindsTools(langChain.openai));
test('langchain openai: tools, streamed', () => streamsTools(langChain.openai));
test('langchain openai: a forced tool', () => forcesATool(langChain.openai));
test('langchain openai: structured output', () => structures(langChain.openai));
test('langchain openai: structured output by a tool', () => structures(langChain.openai, 'functionCalling'));
test('langchain openai: images', () => seesImages(langChain.openai));
test('langchain openai: images in the standard form', () => seesStandardImages(langChain.openai));
test('langchain openai: an agent', () => actsInSteps(langChain.openai));
test('langchain openai: an agent, streamed', () => actsInStreamedSteps(langChain.openai));
test('langchain openai: reasoning is signed over turns', () => carriesReasoning(langChain.openai));
test('langchain openai: errors', () => meetsErrors(langChain.openai));

test('langchain responses: invoke', () => invokes(langChain.responses));
test('langchain responses: stream', () => streams(langChain.responses));
test('langchain responses: tools', () => bindsTools(langChain.responses));
test('langchain responses: tools, streamed', () => streamsTools(langChain.responses));
test('langchain responses: structured output', () => structures(langChain.responses));
test('langchain responses: images', () => seesImages(langChain.responses));
test('langchain responses: an agent', () => actsInSteps(langChain.responses));
test('langchain responses: an agent, streamed', () => actsInStreamedSteps(langChain.responses));
test('langchain responses: reasoning is signed over turns', () => carriesReasoning(langChain.responses));
test('langchain responses: errors', () => meetsErrors(langChain.responses));

test('langchain anthropic: invoke', () => invokes(langChain.anthropic));
test('langchain anthropic: stream', () => streams(langChain.anthropic));
test('langchain anthropic: tools', () => bindsTools(langChain.anthropic));
test('langchain anthropic: tools, streamed', () => streamsTools(langChain.anthropic));
test('langchain anthropic: a forced tool', () => forcesATool(langChain.anthropic));
test('langchain anthropic: structured output', () => structures(langChain.anthropic));
test('langchain anthropic: structured output by a schema', () => structures(langChain.anthropic, 'jsonSchema'));
test('langchain anthropic: images', () => seesImages(langChain.anthropic));
test('langchain anthropic: images in the standard form', () => seesStandardImages(langChain.anthropic));
test('langchain anthropic: an agent', () => actsInSteps(langChain.anthropic));
test('langchain anthropic: an agent, streamed', () => actsInStreamedSteps(langChain.anthropic));
test('langchain anthropic: reasoning is signed over turns', () => carriesReasoning(langChain.anthropic));
test('langchain anthropic: errors', () => meetsErrors(langChain.anthropic));

test('langchain google: invoke', () => invokes(langChain.google));
test('langchain google: stream', () => streams(langChain.google));
test('langchain google: tools', () => bindsTools(langChain.google));
test('langchain google: tools, streamed', () => streamsTools(langChain.google));
test('langchain google: a forced tool', () => forcesATool(langChain.google));
test('langchain google: structured output', () => structures(langChain.google));
test('langchain google: structured output by a tool', () => structures(langChain.google, 'functionCalling'));
test('langchain google: images', () => seesImages(langChain.google, upstream => `gemini-2-by-${upstream}`));
test('langchain google: an agent', () => actsInSteps(langChain.google));
test('langchain google: an agent, streamed', () => actsInStreamedSteps(langChain.google));
test('langchain google: errors', () => meetsErrors(langChain.google));

test('langchain openai: embeddings of providers that have them', async () => {
  for (const upstream of upstreams.filter(upstream => upstream === 'chat' || upstream === 'gemini')) {
    const embeddings = new OpenAIEmbeddings({ model: `own-${upstream}/embed-1`, apiKey: key, maxRetries: 0, configuration: { baseURL: `${url}/openai/v1` } });
    assert.deepEqual(await embeddings.embedDocuments(['a', 'bcd']), [[1, 0.5], [3, 0.5]]);
    assert.deepEqual(await embeddings.embedQuery('ab'), [2, 0.5]);
  }
});

test('langchain google: embeddings of providers that have them', async () => {
  for (const upstream of upstreams.filter(upstream => upstream === 'chat' || upstream === 'gemini')) {
    const embeddings = new GoogleGenerativeAIEmbeddings({ model: `own-${upstream}/embed-1`, apiKey: key, maxRetries: 0, baseUrl: `${url}/genai` });
    assert.deepEqual(await embeddings.embedDocuments(['a', 'bcd']), [[1, 0.5], [3, 0.5]]);
    assert.deepEqual(await embeddings.embedQuery('ab'), [2, 0.5]);
  }
});

// ---- Vercel AI SDK: it wants the version segment in its base URL.

const aiSdk = {
  openai: model => createOpenAI({ baseURL: `${url}/openai/v1`, apiKey: key })(model),
  chat: model => createOpenAI({ baseURL: `${url}/openai/v1`, apiKey: key }).chat(model),
  compatible: model => createOpenAICompatible({ name: 'gateway', baseURL: `${url}/openai/v1`, apiKey: key, includeUsage: true, supportsStructuredOutputs: true })(model),
  anthropic: model => createAnthropic({ baseURL: `${url}/anthropic/v1`, apiKey: key })(model),
  google: model => createGoogleGenerativeAI({ baseURL: `${url}/genai/v1beta`, apiKey: key })(model),
  bedrock: model => createAmazonBedrock({ baseURL: `${url}/bedrock`, region: 'us-east-1', apiKey: key })(model),
};

const weatherOfAiSdk = { get_weather: aiTool({ description: 'Weather of a city', inputSchema: City, execute: ({ city }) => celsius[city] }) };
const usual = { instructions: 'Be brief.', maxOutputTokens: 500, maxRetries: 0 };

async function generates(make) {
  await withEach(async (model, upstream) => {
    const answer = await generateText({ model: make(model), prompt: `say: ${words}`, ...usual });
    assert.equal(answer.text, words);
    assert.equal(answer.finishReason, 'stop');
    assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [usage.input, usage.output]);
    assertArrived(upstream);
  });
}

/** The stream of an answer to its end; its errors are thrown. */
async function follow(options) {
  let thrown;
  const stream = streamText({ ...usual, ...options, onError: ({ error }) => { thrown = error; } });
  let text = '';
  for await (const piece of stream.textStream) {
    text += piece;
  }
  if (thrown) {
    throw thrown;
  }
  return { text, steps: await stream.steps, usage: await stream.totalUsage, reason: await stream.finishReason };
}

async function streamsText(make) {
  await withEach(async (model, upstream) => {
    const answer = await follow({ model: make(model), prompt: `say: ${words}` });
    assert.equal(answer.text, words);
    assert.equal(answer.reason, 'stop');
    assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [usage.input, usage.output]);
    assertArrived(upstream);
  });
}

async function takesSteps(make) {
  await withEach(async model => {
    const answer = await generateText({ model: make(model), prompt: 'steps', tools: weatherOfAiSdk, stopWhen: stepCountIs(5), ...usual });
    assert.equal(answer.text, 'It is 21 C and 28 C.');
    assert.deepEqual(answer.steps.map(step => step.finishReason), ['tool-calls', 'tool-calls', 'stop']);
    assert.equal(answer.totalUsage.outputTokens, 3 * usage.output);
  });
}

async function takesStreamedSteps(make) {
  await withEach(async model => {
    const answer = await follow({ model: make(model), prompt: 'steps', tools: weatherOfAiSdk, stopWhen: stepCountIs(5) });
    assert.equal(answer.text, 'It is 21 C and 28 C.');
    assert.deepEqual(answer.steps.map(step => step.finishReason), ['tool-calls', 'tool-calls', 'stop']);
    assert.deepEqual(answer.steps.flatMap(step => step.toolCalls.map(call => call.input.city)), ['Paris', 'Rome']);
  });
}

async function callsInParallel(make) {
  await withEach(async model => {
    const answer = await follow({ model: make(model), prompt: 'weather, please', tools: weatherOfAiSdk, toolChoice: 'auto', stopWhen: stepCountIs(5) });
    assert.equal(answer.text, 'It is 21 C and 28 C.');
    assert.equal(answer.steps[0].toolCalls.length, 2);
  });
}

async function generatesObjects(make) {
  await withEach(async model => {
    const whole = await generateText({ model: make(model), prompt: 'schema', output: Output.object({ schema: Answer }), ...usual });
    assert.deepEqual(whole.output, { answer: 42, unit: 'km' });
    const streamed = streamText({ model: make(model), prompt: 'schema', output: Output.object({ schema: Answer }), ...usual });
    assert.deepEqual(await streamed.output, { answer: 42, unit: 'km' });
  });
}

async function reasons(make) {
  await withEach(async (model, upstream) => {
    if (upstream === 'chat') {
      return; // its format has no signatures
    }
    // Items that the provider keeps have no bound, which a hard budget needs.
    const providerOptions = make === aiSdk.openai ? { openai: { store: false } } : undefined;
    for (const how of [generateText, follow]) {
      const answer = await how({ model: make(model), prompt: 'think of Oslo', tools: weatherOfAiSdk, stopWhen: stepCountIs(5), providerOptions, ...usual });
      assert.equal(answer.text, 'signed c2lnbmVk');
      if (make !== aiSdk.chat) { // this provider of the SDK reads no thoughts in this format
        assert.equal(answer.steps[0].reasoningText, 'Oslo is cold.');
      }
    }
  });
}

async function showsImages(make) {
  await withEach(async model => {
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'picture' }, { type: 'image', image: Buffer.from(png, 'base64'), mediaType: 'image/png' }] }];
    assert.equal((await generateText({ model: make(model), messages, ...usual })).text, `image/png of ${pngBytes} bytes`);
  });
}

async function tellsErrors(make) {
  await withEach(async model => {
    for (const how of [generateText, follow]) {
      const error = await failure(how({ model: make(model), prompt: 'fail', ...usual }));
      assert.equal(error.statusCode, 429, String(error));
      assert.match(error.message, /Slow down, please/);
    }
  });
}

test('ai sdk openai: text', () => generates(aiSdk.openai));
test('ai sdk openai: text, streamed', () => streamsText(aiSdk.openai));
test('ai sdk openai: tools in steps', () => takesSteps(aiSdk.openai));
test('ai sdk openai: tools in steps, streamed', () => takesStreamedSteps(aiSdk.openai));
test('ai sdk openai: parallel tools', () => callsInParallel(aiSdk.openai));
test('ai sdk openai: objects', () => generatesObjects(aiSdk.openai));
test('ai sdk openai: reasoning is signed over steps', () => reasons(aiSdk.openai));
test('ai sdk openai: images', () => showsImages(aiSdk.openai));
test('ai sdk openai: errors', () => tellsErrors(aiSdk.openai));

test('ai sdk openai chat: text', () => generates(aiSdk.chat));
test('ai sdk openai chat: text, streamed', () => streamsText(aiSdk.chat));
test('ai sdk openai chat: tools in steps', () => takesSteps(aiSdk.chat));
test('ai sdk openai chat: tools in steps, streamed', () => takesStreamedSteps(aiSdk.chat));
test('ai sdk openai chat: parallel tools', () => callsInParallel(aiSdk.chat));
test('ai sdk openai chat: objects', () => generatesObjects(aiSdk.chat));
test('ai sdk openai chat: reasoning is signed over steps', () => reasons(aiSdk.chat));
test('ai sdk openai chat: images', () => showsImages(aiSdk.chat));
test('ai sdk openai chat: errors', () => tellsErrors(aiSdk.chat));

test('ai sdk openai-compatible: text', () => generates(aiSdk.compatible));
test('ai sdk openai-compatible: text, streamed', () => streamsText(aiSdk.compatible));
test('ai sdk openai-compatible: tools in steps', () => takesSteps(aiSdk.compatible));
test('ai sdk openai-compatible: tools in steps, streamed', () => takesStreamedSteps(aiSdk.compatible));
test('ai sdk openai-compatible: parallel tools', () => callsInParallel(aiSdk.compatible));
test('ai sdk openai-compatible: objects', () => generatesObjects(aiSdk.compatible));
test('ai sdk openai-compatible: reasoning is signed over steps', () => reasons(aiSdk.compatible));
test('ai sdk openai-compatible: images', () => showsImages(aiSdk.compatible));
test('ai sdk openai-compatible: errors', () => tellsErrors(aiSdk.compatible));

test('ai sdk anthropic: text', () => generates(aiSdk.anthropic));
test('ai sdk anthropic: text, streamed', () => streamsText(aiSdk.anthropic));
test('ai sdk anthropic: tools in steps', () => takesSteps(aiSdk.anthropic));
test('ai sdk anthropic: tools in steps, streamed', () => takesStreamedSteps(aiSdk.anthropic));
test('ai sdk anthropic: parallel tools', () => callsInParallel(aiSdk.anthropic));
test('ai sdk anthropic: objects', () => generatesObjects(aiSdk.anthropic));
test('ai sdk anthropic: reasoning is signed over steps', () => reasons(aiSdk.anthropic));
test('ai sdk anthropic: images', () => showsImages(aiSdk.anthropic));
test('ai sdk anthropic: errors', () => tellsErrors(aiSdk.anthropic));

test('ai sdk google: text', () => generates(aiSdk.google));
test('ai sdk google: text, streamed', () => streamsText(aiSdk.google));
test('ai sdk google: tools in steps', () => takesSteps(aiSdk.google));
test('ai sdk google: tools in steps, streamed', () => takesStreamedSteps(aiSdk.google));
test('ai sdk google: parallel tools', () => callsInParallel(aiSdk.google));
test('ai sdk google: objects', () => generatesObjects(aiSdk.google));
test('ai sdk google: reasoning is signed over steps', () => reasons(aiSdk.google));
test('ai sdk google: images', () => showsImages(aiSdk.google));
test('ai sdk google: errors', () => tellsErrors(aiSdk.google));

test('ai sdk bedrock: text', () => generates(aiSdk.bedrock));
test('ai sdk bedrock: text, streamed', () => streamsText(aiSdk.bedrock));
test('ai sdk bedrock: tools in steps', () => takesSteps(aiSdk.bedrock));
test('ai sdk bedrock: tools in steps, streamed', () => takesStreamedSteps(aiSdk.bedrock));
test('ai sdk bedrock: parallel tools', () => callsInParallel(aiSdk.bedrock));
test('ai sdk bedrock: objects', () => generatesObjects(aiSdk.bedrock));
test('ai sdk bedrock: reasoning is signed over steps', () => reasons(aiSdk.bedrock));
test('ai sdk bedrock: images', () => showsImages(aiSdk.bedrock));
test('ai sdk bedrock: errors', () => tellsErrors(aiSdk.bedrock));

test('ai sdk: embeddings of providers that have them', async () => {
  for (const upstream of upstreams.filter(upstream => upstream === 'chat' || upstream === 'gemini')) {
    const openai = createOpenAI({ baseURL: `${url}/openai/v1`, apiKey: key }).embedding(`own-${upstream}/embed-1`);
    const google = createGoogleGenerativeAI({ baseURL: `${url}/genai/v1beta`, apiKey: key }).embedding(`own-${upstream}/embed-1`);
    for (const model of [openai, google]) {
      assert.deepEqual((await embedMany({ model, values: ['a', 'bcd'], maxRetries: 0 })).embeddings, [[1, 0.5], [3, 0.5]]);
    }
  }
});

await run(async () => {
  await gateway.stop();
  await vendors.close();
});
