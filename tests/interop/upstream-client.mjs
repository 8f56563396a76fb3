// The gateway as the client that a conformance suite tests, without sign-in: it is given the suite's server as an upstream, and an official client behind it asks for what the
// scenario wants to see done. Run by the suite, which appends the server's address. GATEWAY_PROGRAM names the gateway's gateway.dll; UPSTREAM_PROTOCOL pins the revision spoken upstream.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { startGateway } from './lib/process.mjs';

const address = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const patience = Date.now() + 24_000;
const protocol = process.env.UPSTREAM_PROTOCOL;
const gateway = await startGateway({
  manifests: { suite: { apiVersion: 'hub/v1', kind: 'ToolManifest', metadata: { id: 'suite' }, upstream: { url: address, ...(protocol ? { protocol } : {}) } } },
});
let code = 1;
try {
  await run();
  code = 0;
} catch (error) {
  console.error(error);
} finally {
  await gateway.stop();
  console.error(gateway.output());
}
process.exit(code);

async function run() {
  const { url: base, key, adminKey } = gateway;
  await until(async () => (await (await fetch(`${base}/admin/v1/toolservers/suite`, { headers: { authorization: `Bearer ${adminKey}` } })).json()).state === 'connected');

  const transport = new StreamableHTTPClientTransport(new URL(`${base}/mcp/suite`), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
  const mode = scenario.includes('elicitation') || scenario === 'sse-retry' ? 'legacy' : { pin: '2026-07-28' };
  const client = new Client({ name: 'suite', version: '1' }, { versionNegotiation: { mode }, capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} } });
  client.setRequestHandler('elicitation/create', request => ({ action: 'accept', content: contentFor(request.params.requestedSchema) }));
  await client.connect(transport);
  const tools = (await client.listTools()).tools;
  console.error(`tools: ${tools.map(tool => tool.name)}`);
  const call = async (name, args = {}) => {
    const result = await client.callTool({ name, arguments: args });
    console.error(`${name}: ${JSON.stringify(result).slice(0, 300)}`);
    return result;
  };
  if (scenario === 'json-schema-2020-12-preservation') {
    const focal = tools.find(tool => tool.name !== 'json_schema_echo');
    // As the wire has it: the client's own types leave members out.
    const raw = await rawTools(base, key);
    await call('json_schema_echo', { schema: raw.find(tool => tool.name === focal.name).inputSchema });
  } else if (scenario === 'json-schema-ref-no-deref') {
    // That the list was asked for is all: the suite's server has nothing that could be called.
  } else if (context.toolCalls) {
    for (const { name, arguments: args } of context.toolCalls) {
      await call(name, args);
    }
  } else if (scenario === 'sep-2322-client-request-state') {
    // The last one asks for nothing; the others ask first. Two at once must not be mixed up.
    await Promise.all(tools.map(tool => call(tool.name)));
  } else {
    for (const tool of tools) {
      await call(tool.name, argumentsFor(tool.inputSchema));
    }
    for (const prompt of await list(() => client.listPrompts(), 'prompts')) {
      await client.getPrompt({ name: prompt.name, arguments: {} });
    }
    for (const resource of await list(() => client.listResources(), 'resources')) {
      await client.readResource({ uri: resource.uri });
    }
  }
  await client.close();
}

async function list(ask, member) {
  try {
    return (await ask())[member];
  } catch (error) {
    console.error(`${member}: ${error.message}`); // the suite's server has none
    return [];
  }
}

async function rawTools(base, key) {
  const answer = await fetch(`${base}/mcp/suite`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
    body: JSON.stringify({
      jsonrpc: '2.0', id: 1, method: 'tools/list',
      params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': { name: 'suite', version: '1' } } },
    }),
  });
  return (await answer.json()).result.tools;
}

function argumentsFor(schema) {
  return Object.fromEntries((schema.required ?? []).map((name, i) => [name, valueFor(schema.properties?.[name], i)]));
}

function valueFor(schema, i = 0) {
  switch (schema?.type) {
    case 'number': case 'integer': return i + 2;
    case 'boolean': return true;
    case 'array': return [];
    case 'object': return {};
    default: return 'text';
  }
}

function contentFor(schema) {
  // Defaults are left to the client, as a person leaves a filled form as it is.
  return Object.fromEntries((schema.required ?? []).filter(name => !('default' in (schema.properties?.[name] ?? {}))).map(name => [name, valueFor(schema.properties?.[name])]));
}

async function until(condition) {
  while (!await condition()) {
    if (Date.now() > patience) {
      throw new Error('It took too long.');
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
