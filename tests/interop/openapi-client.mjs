// What the 1.x SDK's client, which validates structured results, makes of the tools of web APIs. Arguments: address of /mcp, key, and a JSON list of
// {"name": tool, "arguments": {}}. Prints how many schemas compile strictly enough for a client, and what became of each call.
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, key, calls] = process.argv.slice(2);
const client = new Client({ name: 'interop-openapi', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }));
const { tools } = await client.listTools();
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, strictTuples: false, allowUnionTypes: true, keywords: ['discriminator'] });
addFormats(ajv);
for (const format of ['int32', 'int64', 'float', 'double', 'binary', 'password', 'byte']) ajv.addFormat(format, true);
const problems = [];
let schemas = 0;
for (const tool of tools) {
  for (const schema of [tool.inputSchema, tool.outputSchema].filter(Boolean)) {
    try {
      ajv.compile(schema);
      schemas++;
    } catch (error) {
      problems.push(`${tool.name}: ${error.message}`);
    }
  }
}
const results = [];
for (const call of JSON.parse(calls)) {
  try {
    const result = await client.callTool(call);
    results.push({ isError: result.isError ?? false, structured: result.structuredContent ?? null, text: result.content.map(block => block.text ?? '').join('\n') });
  } catch (error) {
    results.push({ thrown: error.message });
  }
}
await client.close();
console.log(JSON.stringify({ tools: tools.length, schemas, problems, results }));
