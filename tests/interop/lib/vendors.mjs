// Model vendors at the far end, one for each wire format: they read a request into one plain form, decide on an answer by what its last user message says, and write that in their own
// format. What they understood of each request is kept, so that a suite can see what arrived.
//
//   say: <text>       answers the text
//   weather           calls get_weather for Paris and Rome at once, if it is given tools; sums their results up when they come
//   think             thinks first, calls get_weather for Oslo, and wants its signature back with the result
//   steps             calls get_weather for Paris, then for Rome, and sums up
//   schema            answers {"answer":42,"unit":"km"} if a schema was asked for, else gives it to the first tool
//   picture           tells the type and the bytes of the first image
//   time              calls get_time without arguments, if it is given the tool
//   answer            calls the tool 'answer' with 42 km, if it is given that
//   fail              429
//   refuse            400
//   overload          503
//   hang              sends a first word and then nothing, until it is cancelled

import { createServer } from 'node:http';
import { crc32 } from 'node:zlib';

export const usage = { input: 21, output: 8 };

/** Starts the vendors of all formats on one port; gives its address, what they understood, and who hung up on them. `plan` decides instead, where it gives an answer. */
export async function startVendors(plan = () => undefined) {
  const formats = { chat, responses, messages, gemini, bedrock };
  const requests = [];
  let cancelled = 0;
  const waiting = [];
  const server = createServer((request, response) => {
    const pieces = [];
    request.on('data', piece => pieces.push(piece)).on('end', async () => {
      const url = new URL(request.url, 'http://vendors');
      const format = url.pathname.split('/')[1];
      const body = pieces.length > 0 ? JSON.parse(Buffer.concat(pieces).toString()) : {};
      if (/[:/](embeddings|embedContent|batchEmbedContents)$/.test(url.pathname)) {
        json(response, 200, embed(body));
        return;
      }
      const vendor = formats[format];
      const asked = { format, path: url.pathname, headers: request.headers, body, ...vendor.read(body, url.pathname) };
      asked.number = requests.push(asked);
      const answer = plan(asked) ?? decide(asked);
      if (answer.error) {
        vendor.fail(response, answer.error);
        return;
      }
      if (answer.hang) {
        response.on('close', () => {
          cancelled++;
          waiting.splice(0).forEach(resolve => resolve());
        });
        if (asked.stream) {
          vendor.stream(response, asked, { ...answer, unfinished: true });
        }
        return;
      }
      if (asked.stream) {
        vendor.stream(response, asked, answer);
      } else {
        json(response, 200, vendor.complete(asked, answer));
      }
    });
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    requests,
    cancelled: () => cancelled,
    nextCancelled: () => new Promise(resolve => waiting.push(resolve)),
    close: () => new Promise(resolve => { server.closeAllConnections(); server.close(resolve); }),
  };
}

function decide(asked) {
  const { text, results, tools, schema, image, signature } = asked;
  if (text.startsWith('steps') && results.length < 2) {
    const city = ['Paris', 'Rome'][results.length];
    return { calls: [{ id: `call_${city}1`, name: 'get_weather', args: { city } }] };
  }
  if (results.length > 0) {
    return text.startsWith('think') ? { text: signature ? `signed ${signature}` : 'unsigned' } : { text: `It is ${results.map(plain).join(' and ')}.` };
  }
  if (text.startsWith('say: ')) {
    return { text: text.slice(5) };
  }
  if (text.startsWith('weather') && tools.includes('get_weather')) {
    return { calls: [{ id: 'call_paris1', name: 'get_weather', args: { city: 'Paris' } }, { id: 'call_rome22', name: 'get_weather', args: { city: 'Rome' } }] };
  }
  if (text.startsWith('think') && tools.includes('get_weather')) {
    return { thoughts: 'Oslo is cold.', signature: 'c2lnbmVk', calls: [{ id: 'call_oslo333', name: 'get_weather', args: { city: 'Oslo' } }] };
  }
  if (text.startsWith('schema')) {
    const answer = { answer: 42, unit: 'km' };
    return schema || tools.length === 0 ? { text: schema ? JSON.stringify(answer) : 'no schema' } : { calls: [{ id: 'call_schema1', name: tools[0], args: answer }] };
  }
  if (text.startsWith('picture')) {
    return { text: image ? `${image.type} of ${image.bytes} bytes` : 'no image' };
  }
  if (text.startsWith('time') && tools.includes('get_time')) {
    return { calls: [{ id: 'call_time444', name: 'get_time', args: {} }] };
  }
  if (text.startsWith('answer') && tools.includes('answer')) {
    return { calls: [{ id: 'call_answer5', name: 'answer', args: { answer: 42, unit: 'km' } }] };
  }
  if (text.startsWith('refuse')) {
    return { error: { status: 400, message: 'That is wrong.' } };
  }
  if (text.startsWith('overload')) {
    return { error: { status: 503, message: 'Too many people here.' } };
  }
  if (text.startsWith('fail')) {
    return { error: { status: 429, message: 'Slow down, please.' } };
  }
  if (text.startsWith('hang')) {
    return { hang: true, text: 'First' };
  }
  return { text: `You said: ${text}` };
}

const of = (status, refused, slow, busy) => status === 400 ? refused : status === 429 ? slow : busy;

/** A result as a model would read it: frameworks that speak Google's format give it a name, and all formats have objects there as JSON. */
function plain(result) {
  const object = typeof result === 'string' && result.startsWith('{') ? JSON.parse(result) : {};
  return object.result ?? object.content ?? result;
}

/** Embeddings of texts, in OpenAI's form or Google's: how long each is, and one half. */
function embed(body) {
  const vector = text => [text.length, 0.5];
  const ofGoogle = ({ content }) => ({ values: vector(content.parts.map(part => part.text).join('')) });
  if (body.requests) {
    return { embeddings: body.requests.map(ofGoogle) };
  }
  if (body.content) {
    return { embedding: ofGoogle(body) };
  }
  const texts = [body.input].flat();
  const coded = vector => body.encoding_format === 'base64' ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector;
  return { object: 'list', data: texts.map((text, index) => ({ object: 'embedding', index, embedding: coded(vector(text)) })), model: body.model, usage: { prompt_tokens: texts.length, total_tokens: texts.length } };
}

const pieces = text => text.match(/.{1,7}/gsu) ?? [];
const image = (type, base64) => ({ type, bytes: Buffer.from(base64, 'base64').length });

function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function sse(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  return (data, event) => response.write(`${event ? `event: ${event}\n` : ''}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
}

// ---- OpenAI Chat Completions

const openAiError = (response, { status, message }) => json(response, status, { error: { message, type: of(status, 'invalid_request_error', 'rate_limit_error', 'server_error'), param: null, code: of(status, null, 'rate_limit_exceeded', null) } });
const dataUrl = url => { const [, type, base64] = /^data:([^;]+);base64,(.*)$/s.exec(url) ?? []; return type && image(type, base64); };

const chat = {
  read(body) {
    const last = body.messages.findLastIndex(message => message.role === 'user');
    const parts = message => typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content ?? [];
    return {
      stream: body.stream === true,
      system: body.messages.filter(message => message.role === 'system' || message.role === 'developer').flatMap(parts).map(part => part.text).join('\n'),
      text: parts(body.messages[last]).filter(part => part.type === 'text').map(part => part.text).join(''),
      results: body.messages.slice(last + 1).filter(message => message.role === 'tool').flatMap(parts).map(part => part.text),
      tools: (body.tools ?? []).map(tool => tool.function.name),
      schema: body.response_format?.json_schema?.schema,
      image: dataUrl(parts(body.messages[last]).find(part => part.type === 'image_url')?.image_url.url ?? ''),
      signature: undefined,
      rounds: body.messages.filter(message => message.role === 'tool').length,
      forced: body.tool_choice?.function && [body.tool_choice.function.name],
      maxTokens: body.max_completion_tokens ?? body.max_tokens,
    };
  },
  usage: { prompt_tokens: usage.input, completion_tokens: usage.output, total_tokens: usage.input + usage.output },
  calls: calls => calls?.map(({ id, name, args }, index) => ({ index, id, type: 'function', function: { name, arguments: JSON.stringify(args) } })),
  complete(asked, answer) {
    return {
      id: `chatcmpl-${asked.number}`, object: 'chat.completion', created: 1_750_000_000, model: asked.body.model,
      choices: [{ index: 0, message: { role: 'assistant', content: answer.text ?? null, refusal: null, ...(answer.calls ? { tool_calls: chat.calls(answer.calls).map(({ index, ...call }) => call) } : {}) },
        logprobs: null, finish_reason: answer.calls ? 'tool_calls' : 'stop' }],
      usage: chat.usage,
    };
  },
  stream(response, asked, answer) {
    const write = sse(response);
    const chunk = (delta, finish_reason = null) => write({ id: `chatcmpl-${asked.number}`, object: 'chat.completion.chunk', created: 1_750_000_000, model: asked.body.model, choices: [{ index: 0, delta, finish_reason }] });
    chunk({ role: 'assistant', content: answer.calls ? null : '' });
    for (const piece of pieces(answer.text ?? '')) {
      chunk({ content: piece });
    }
    if (answer.unfinished) {
      return;
    }
    for (const call of chat.calls(answer.calls) ?? []) {
      chunk({ tool_calls: [{ ...call, function: { ...call.function, arguments: '' } }] });
      for (const piece of pieces(call.function.arguments)) {
        chunk({ tool_calls: [{ index: call.index, function: { arguments: piece } }] });
      }
    }
    chunk({}, answer.calls ? 'tool_calls' : 'stop');
    if (asked.body.stream_options?.include_usage) {
      write({ id: `chatcmpl-${asked.number}`, object: 'chat.completion.chunk', created: 1_750_000_000, model: asked.body.model, choices: [], usage: chat.usage });
    }
    write('[DONE]');
    response.end();
  },
  fail: openAiError,
};

// ---- OpenAI Responses

const responses = {
  read(body) {
    const items = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : body.input;
    const parts = item => typeof item.content === 'string' ? [{ type: 'input_text', text: item.content }] : item.content ?? [];
    const last = items.findLastIndex(item => item.role === 'user');
    return {
      stream: body.stream === true,
      system: [body.instructions ?? '', ...items.filter(item => item.role === 'system' || item.role === 'developer').flatMap(parts).map(part => part.text)].filter(Boolean).join('\n'),
      text: parts(items[last]).filter(part => part.type === 'input_text').map(part => part.text).join(''),
      results: items.slice(last + 1).filter(item => item.type === 'function_call_output').map(item => typeof item.output === 'string' ? item.output : item.output.map(part => part.text ?? '').join('')),
      tools: (body.tools ?? []).map(tool => tool.name),
      schema: body.text?.format?.schema,
      image: dataUrl(parts(items[last]).find(part => part.type === 'input_image')?.image_url ?? ''),
      signature: items.slice(last + 1).find(item => item.type === 'reasoning')?.encrypted_content,
      rounds: items.filter(item => item.type?.endsWith('_call_output')).length,
      forced: body.tool_choice?.name && [body.tool_choice.name],
      maxTokens: body.max_output_tokens,
    };
  },
  usage: { input_tokens: usage.input, input_tokens_details: { cached_tokens: 0 }, output_tokens: usage.output, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: usage.input + usage.output },
  output(asked, answer) {
    const output = [];
    if (answer.thoughts) {
      output.push({ type: 'reasoning', id: `rs_${asked.number}`, summary: [{ type: 'summary_text', text: answer.thoughts }], encrypted_content: answer.signature });
    }
    if (answer.text !== undefined) {
      output.push({ type: 'message', id: `msg_${asked.number}`, role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: answer.text, annotations: [], logprobs: [] }] });
    }
    for (const { id, name, args } of answer.calls ?? []) {
      output.push({ type: 'function_call', id: `fc_${id}`, call_id: id, name, arguments: JSON.stringify(args), status: 'completed' });
    }
    return output;
  },
  response: (asked, status, output) => ({
    id: `resp_${asked.number}`, object: 'response', created_at: 1_750_000_000, status, error: null, incomplete_details: null, instructions: asked.body.instructions ?? null, max_output_tokens: null, model: asked.body.model,
    output, parallel_tool_calls: true, previous_response_id: null, reasoning: { effort: null, summary: null }, store: false, temperature: 1, text: { format: { type: 'text' } }, tool_choice: 'auto', tools: [],
    top_p: 1, truncation: 'disabled', usage: status === 'completed' ? responses.usage : null, user: null, metadata: {},
  }),
  complete: (asked, answer) => responses.response(asked, 'completed', responses.output(asked, answer)),
  stream(response, asked, answer) {
    const send = sse(response);
    let sequence_number = 0;
    const write = (type, data) => send({ type, sequence_number: sequence_number++, ...data }, type);
    write('response.created', { response: responses.response(asked, 'in_progress', []) });
    write('response.in_progress', { response: responses.response(asked, 'in_progress', []) });
    const output = responses.output(asked, answer);
    output.forEach((item, output_index) => {
      const item_id = item.id;
      if (item.type === 'message') {
        write('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } });
        write('response.content_part.added', { item_id, output_index, content_index: 0, part: { type: 'output_text', text: '', annotations: [], logprobs: [] } });
        for (const delta of pieces(answer.text)) {
          write('response.output_text.delta', { item_id, output_index, content_index: 0, delta, logprobs: [] });
        }
        if (answer.unfinished) {
          return;
        }
        write('response.output_text.done', { item_id, output_index, content_index: 0, text: answer.text, logprobs: [] });
        write('response.content_part.done', { item_id, output_index, content_index: 0, part: item.content[0] });
      } else if (item.type === 'reasoning') {
        write('response.output_item.added', { output_index, item: { ...item, summary: [], encrypted_content: '' } });
        write('response.reasoning_summary_part.added', { item_id, output_index, summary_index: 0, part: { type: 'summary_text', text: '' } });
        write('response.reasoning_summary_text.delta', { item_id, output_index, summary_index: 0, delta: answer.thoughts });
        write('response.reasoning_summary_text.done', { item_id, output_index, summary_index: 0, text: answer.thoughts });
        write('response.reasoning_summary_part.done', { item_id, output_index, summary_index: 0, part: item.summary[0] });
      } else {
        write('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', arguments: '' } });
        for (const delta of pieces(item.arguments)) {
          write('response.function_call_arguments.delta', { item_id, output_index, delta });
        }
        write('response.function_call_arguments.done', { item_id, output_index, arguments: item.arguments });
      }
      write('response.output_item.done', { output_index, item });
    });
    if (!answer.unfinished) {
      write('response.completed', { response: responses.response(asked, 'completed', output) });
      response.end();
    }
  },
  fail: openAiError,
};

// ---- Anthropic Messages

const messages = {
  read(body) {
    const blocks = message => typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
    const isResult = message => message.role === 'user' && blocks(message).some(block => block.type === 'tool_result');
    const last = body.messages.findLastIndex(message => message.role === 'user' && !isResult(message));
    const after = body.messages.slice(last + 1).flatMap(blocks);
    const source = blocks(body.messages[last]).find(block => block.type === 'image')?.source;
    const words = content => typeof content === 'string' ? content : content.map(block => block.text ?? '').join('');
    return {
      stream: body.stream === true,
      system: typeof body.system === 'string' ? body.system : (body.system ?? []).map(block => block.text).join('\n'),
      text: blocks(body.messages[last]).filter(block => block.type === 'text').map(block => block.text).join(''),
      results: after.filter(block => block.type === 'tool_result').map(block => words(block.content)),
      tools: (body.tools ?? []).map(tool => tool.name),
      schema: body.output_config?.format?.schema,
      image: source && image(source.media_type, source.data),
      signature: after.find(block => block.type === 'thinking')?.signature,
      rounds: body.messages.flatMap(blocks).filter(block => block.type === 'tool_result').length,
      forced: body.tool_choice?.type === 'tool' ? [body.tool_choice.name] : undefined,
      maxTokens: body.max_tokens,
    };
  },
  content(answer) {
    const content = [];
    if (answer.thoughts) {
      content.push({ type: 'thinking', thinking: answer.thoughts, signature: answer.signature });
    }
    if (answer.text !== undefined) {
      content.push({ type: 'text', text: answer.text });
    }
    return [...content, ...(answer.calls ?? []).map(({ id, name, args }) => ({ type: 'tool_use', id, name, input: args }))];
  },
  complete: (asked, answer) => ({
    id: `msg_${asked.number}`, type: 'message', role: 'assistant', model: asked.body.model, content: messages.content(answer), stop_reason: answer.calls ? 'tool_use' : 'end_turn', stop_sequence: null,
    usage: { input_tokens: usage.input, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: usage.output },
  }),
  stream(response, asked, answer) {
    const send = sse(response);
    messages.send((type, data) => send({ type, ...data }, type), asked, answer);
    if (!answer.unfinished) {
      response.end();
    }
  },
  send(write, asked, answer) {
    const whole = messages.complete(asked, answer);
    write('message_start', { message: { ...whole, content: [], stop_reason: null, usage: { ...whole.usage, output_tokens: 1 } } });
    write('ping', {});
    whole.content.forEach((block, index) => {
      if (block.type === 'text') {
        write('content_block_start', { index, content_block: { type: 'text', text: '' } });
        for (const text of pieces(block.text)) {
          write('content_block_delta', { index, delta: { type: 'text_delta', text } });
        }
      } else if (block.type === 'thinking') {
        write('content_block_start', { index, content_block: { type: 'thinking', thinking: '', signature: '' } });
        write('content_block_delta', { index, delta: { type: 'thinking_delta', thinking: block.thinking } });
        write('content_block_delta', { index, delta: { type: 'signature_delta', signature: block.signature } });
      } else {
        write('content_block_start', { index, content_block: { ...block, input: {} } });
        for (const partial_json of pieces(JSON.stringify(block.input))) {
          write('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json } });
        }
      }
      if (!answer.unfinished) {
        write('content_block_stop', { index });
      }
    });
    if (!answer.unfinished) {
      write('message_delta', { delta: { stop_reason: whole.stop_reason, stop_sequence: null }, usage: { output_tokens: usage.output } });
      write('message_stop', {});
    }
  },
  fail: (response, { status, message }) => json(response, status, { type: 'error', error: { type: of(status, 'invalid_request_error', 'rate_limit_error', 'overloaded_error'), message }, request_id: 'req_1' }),
};

// ---- Gemini

const gemini = {
  read(body, path) {
    const isResult = content => content.parts.some(part => part.functionResponse);
    const last = body.contents.findLastIndex(content => content.role !== 'model' && !isResult(content));
    const after = body.contents.slice(last + 1).flatMap(content => content.parts);
    const data = body.contents[last].parts.find(part => part.inlineData)?.inlineData;
    const config = body.generationConfig ?? {};
    return {
      stream: path.includes(':stream'),
      system: (body.systemInstruction?.parts ?? []).map(part => part.text).join('\n'),
      text: body.contents[last].parts.map(part => part.text ?? '').join(''),
      results: after.filter(part => part.functionResponse).map(({ functionResponse: { response } }) => response.output ?? response.result ?? JSON.stringify(response)),
      tools: (body.tools ?? []).flatMap(tool => tool.functionDeclarations ?? []).map(tool => tool.name),
      schema: config.responseJsonSchema ?? config.responseSchema,
      image: data && image(data.mimeType, data.data),
      signature: after.find(part => part.thoughtSignature)?.thoughtSignature,
      rounds: body.contents.flatMap(content => content.parts).filter(part => part.functionResponse).length,
      forced: body.toolConfig?.functionCallingConfig?.allowedFunctionNames,
      maxTokens: config.maxOutputTokens,
    };
  },
  answer(asked, parts, finishReason) {
    return {
      candidates: [{ content: { role: 'model', parts }, ...(finishReason ? { finishReason } : {}), index: 0 }],
      usageMetadata: { promptTokenCount: usage.input, candidatesTokenCount: usage.output, totalTokenCount: usage.input + usage.output },
      modelVersion: 'gemini-real', responseId: `resp-g${asked.number}`,
    };
  },
  parts: answer => [
    ...(answer.thoughts ? [{ text: answer.thoughts, thought: true }] : []),
    ...(answer.text !== undefined ? [{ text: answer.text }] : []),
    ...(answer.calls ?? []).map(({ name, args }, i) => ({ functionCall: { name, args }, ...(i === 0 && answer.signature ? { thoughtSignature: answer.signature } : {}) })),
  ],
  complete: (asked, answer) => gemini.answer(asked, gemini.parts(answer), 'STOP'),
  stream(response, asked, answer) {
    const write = sse(response);
    for (const part of gemini.parts(answer)) {
      for (const one of part.text && !part.thought ? pieces(part.text).map(text => ({ text })) : [part]) {
        write(gemini.answer(asked, [one]));
      }
    }
    if (!answer.unfinished) {
      write(gemini.answer(asked, [{ text: '' }], 'STOP'));
      response.end();
    }
  },
  fail: (response, { status, message }) => json(response, status, { error: { code: status, message, status: of(status, 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE') } }),
};

// ---- Amazon Bedrock

const isInvoked = path => path.includes('/invoke');

const bedrock = {
  read(body, path) {
    if (isInvoked(path)) {
      return { ...messages.read(body), stream: path.endsWith('/invoke-with-response-stream') };
    }
    const isResult = message => message.content.some(block => block.toolResult);
    const last = body.messages.findLastIndex(message => message.role === 'user' && !isResult(message));
    const after = body.messages.slice(last + 1).flatMap(message => message.content);
    const picture = body.messages[last].content.find(block => block.image)?.image;
    return {
      stream: path.endsWith('/converse-stream'),
      system: (body.system ?? []).map(block => block.text).filter(Boolean).join('\n'),
      text: body.messages[last].content.map(block => block.text ?? '').join(''),
      results: after.filter(block => block.toolResult).map(block => block.toolResult.content.map(part => part.text ?? (part.json ? JSON.stringify(part.json) : '')).join('')),
      tools: (body.toolConfig?.tools ?? []).filter(tool => tool.toolSpec).map(tool => tool.toolSpec.name),
      schema: body.outputConfig?.textFormat?.structure?.jsonSchema?.schema ?? body.additionalModelRequestFields?.output_config?.format?.schema,
      image: picture && image(`image/${picture.format}`, picture.source.bytes),
      signature: after.find(block => block.reasoningContent?.reasoningText)?.reasoningContent.reasoningText.signature,
      rounds: body.messages.flatMap(message => message.content).filter(block => block.toolResult).length,
      forced: body.toolConfig?.toolChoice?.tool && [body.toolConfig.toolChoice.tool.name],
      maxTokens: body.inferenceConfig?.maxTokens,
    };
  },
  content: answer => [
    ...(answer.thoughts ? [{ reasoningContent: { reasoningText: { text: answer.thoughts, signature: answer.signature } } }] : []),
    ...(answer.text !== undefined ? [{ text: answer.text }] : []),
    ...(answer.calls ?? []).map(({ id, name, args }) => ({ toolUse: { toolUseId: id, name, input: args } })),
  ],
  usage: { inputTokens: usage.input, outputTokens: usage.output, totalTokens: usage.input + usage.output },
  complete: (asked, answer) => isInvoked(asked.path) ? messages.complete(asked, answer) : ({
    output: { message: { role: 'assistant', content: bedrock.content(answer) } }, stopReason: answer.calls ? 'tool_use' : 'end_turn', usage: bedrock.usage, metrics: { latencyMs: 5 },
  }),
  stream(response, asked, answer) {
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
    if (isInvoked(asked.path)) {
      messages.send((type, data) => response.write(frame('chunk', { bytes: Buffer.from(JSON.stringify({ type, ...data })).toString('base64') })), asked, answer);
      response.end();
      return;
    }
    const write = (type, data) => response.write(frame(type, data));
    write('messageStart', { role: 'assistant' });
    bedrock.content(answer).forEach((block, contentBlockIndex) => {
      if (block.toolUse) {
        const { input, ...start } = block.toolUse;
        write('contentBlockStart', { contentBlockIndex, start: { toolUse: start } });
        for (const piece of pieces(JSON.stringify(input))) {
          write('contentBlockDelta', { contentBlockIndex, delta: { toolUse: { input: piece } } });
        }
      } else if (block.reasoningContent) {
        write('contentBlockDelta', { contentBlockIndex, delta: { reasoningContent: { text: answer.thoughts } } });
        write('contentBlockDelta', { contentBlockIndex, delta: { reasoningContent: { signature: answer.signature } } });
      } else {
        for (const text of pieces(block.text)) {
          write('contentBlockDelta', { contentBlockIndex, delta: { text } });
        }
      }
      if (!answer.unfinished) {
        write('contentBlockStop', { contentBlockIndex });
      }
    });
    if (!answer.unfinished) {
      write('messageStop', { stopReason: answer.calls ? 'tool_use' : 'end_turn' });
      write('metadata', { usage: bedrock.usage, metrics: { latencyMs: 5 } });
      response.end();
    }
  },
  fail: (response, { status, message }) => json(response, status, { message }, { 'x-amzn-errortype': of(status, 'ValidationException', 'ThrottlingException', 'ServiceUnavailableException') }),
};

// A message of AWS's event streams: lengths, their checksum, headers, payload, checksum.
function frame(type, data) {
  const header = (name, value) => Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7, value.length >> 8, value.length & 255]), Buffer.from(value)]);
  const headers = Buffer.concat([header(':event-type', type), header(':content-type', 'application/json'), header(':message-type', 'event')]);
  const payload = Buffer.from(JSON.stringify(data));
  const message = Buffer.alloc(16 + headers.length + payload.length);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(headers.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  headers.copy(message, 12);
  payload.copy(message, 12 + headers.length);
  message.writeUInt32BE(crc32(message.subarray(0, message.length - 4)), message.length - 4);
  return message;
}
