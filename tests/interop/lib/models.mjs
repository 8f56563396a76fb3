// A model provider at the far end of an agent: it asks for one tool, takes its result, and is done.

import { createServer } from 'node:http';

/** Starts a provider that speaks Anthropic Messages and OpenAI Responses; gives its address and the requests that it got. */
export async function startModels({ messagesTool, responsesTool }) {
  const requests = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', text => { body += text; }).on('end', () => {
      const path = new URL(request.url, 'http://models').pathname;
      requests.push({ method: request.method, path, body });
      const events = path.endsWith('/v1/messages') ? messages(body, messagesTool) : path.endsWith('/v1/responses') ? responses(body, responsesTool) : undefined;
      if (!events) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(events.map(event => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''));
    });
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => server.close() };
}

function messages(body, tool) {
  const isDone = body.includes('"tool_result"');
  return [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'fake', content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: isDone ? { type: 'text', text: '' } : { type: 'tool_use', id: 'toolu_1', name: tool, input: {} } },
    { type: 'content_block_delta', index: 0, delta: isDone ? { type: 'text_delta', text: 'finished' } : { type: 'input_json_delta', partial_json: '{}' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: isDone ? 'end_turn' : 'tool_use', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ];
}

function responses(body, tool) {
  const isDone = body.includes('"function_call_output"');
  return [
    { type: 'response.created', response: { id: 'resp_1' } },
    {
      type: 'response.output_item.done',
      item: isDone
        ? { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: 'finished' }] }
        : { type: 'function_call', id: 'fc_1', call_id: 'call_1', ...tool, arguments: '{}' },
    },
    { type: 'response.completed', response: { id: 'resp_1', usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } } },
  ];
}
