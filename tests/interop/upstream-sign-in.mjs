// The gateway as the client that a conformance suite tests: it is given the suite's server as an upstream, somebody signs in where that is wanted, and a tool is called.
// Run by the suite, which appends the server's address: conformance client --suite auth --command "node upstream-sign-in.mjs". GATEWAY_PROGRAM names the gateway's gateway.dll.
import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const address = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const patience = Date.now() + 24_000;
const folder = await mkdtemp(join(tmpdir(), 'gateway-suite-'));

const auth = await authOf();
const manifest = { apiVersion: 'hub/v1', kind: 'ToolManifest', metadata: { id: 'suite' }, upstream: { url: address, auth } };
await mkdir(join(folder, 'tool-manifests'));
await writeFile(join(folder, 'tool-manifests', 'suite.yaml'), JSON.stringify(manifest));

const gateway = spawn('dotnet', [process.env.GATEWAY_PROGRAM, '--urls', 'http://127.0.0.1:0'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
let output = '';
gateway.stdout.on('data', data => output += data);
gateway.stderr.on('data', data => output += data);
let ended = false;
const end = new Promise(resolve => gateway.on('close', () => { ended = true; resolve(); }));
let code = 1;
try {
  code = await run();
} catch (error) {
  console.error(error);
} finally {
  gateway.kill('SIGTERM');
  await end;
  await rm(folder, { recursive: true, force: true });
  console.error(output.replace(/[sa]k-gw-[0-9A-Za-z-]+/g, '[key]'));
}
process.exit(code);

async function authOf() {
  if (scenario === 'auth/client-credentials-jwt') {
    return { mode: 'clientCredentials', clientId: context.client_id, privateKey: context.private_key_pem, algorithm: context.signing_algorithm };
  }
  if (scenario === 'auth/client-credentials-basic') {
    return { mode: 'clientCredentials', clientId: context.client_id, clientSecret: context.client_secret };
  }
  if (scenario === 'auth/wif-jwt-bearer') {
    await writeFile(join(folder, 'token'), context.valid_jwt);
    return { mode: 'jwtBearer', clientId: context.client_id, assertionFile: join(folder, 'token') };
  }
  if (scenario === 'auth/pre-registration') {
    return { mode: 'oauth', clientId: context.client_id, clientSecret: context.client_secret };
  }
  return { mode: 'oauth', clientMetadataUrl: 'https://conformance-test.local/client-metadata.json' };
}

async function run() {
  const base = await printed(/listens on (http:\/\/\S+)/);
  const key = await printed(/GATEWAY_KEY=(\S+)/);
  const adminKey = await printed(/GATEWAY_ADMIN_KEY=(\S+)/);
  const admin = async (method, path) => {
    const answer = await fetch(`${base}/admin/v1/toolservers/suite${path}`, { method, headers: { authorization: `Bearer ${adminKey}` } });
    return { status: answer.status, body: await answer.json() };
  };

  let signIns = 0;
  const signIn = async () => {
    const link = await admin('POST', '/sign-in');
    console.error(`sign-in: ${link.status} ${JSON.stringify(link.body)}`);
    signIns++;
    return link.status === 200 && await browse(link.body.url);
  };

  while (true) {
    const { body } = await admin('GET', '');
    if (body.state === 'connected') {
      break;
    }
    if (body.lastError === 'sign_in_required' && (signIns >= 3 || !await signIn())) {
      return 1;
    }
    if (body.lastError && body.lastError !== 'sign_in_required' && body.lastError !== 'reconnect') {
      console.error(`not connected: ${body.lastError}`);
      return 1;
    }
    await soon();
  }
  for (let attempt = 0; attempt < 4; attempt++) {
    const answer = await call(base, key);
    console.error(`call: ${JSON.stringify(answer)}`);
    if (answer.result && !answer.result.isError) {
      return 0;
    }
    // A sign-in that is done may have the server connected anew just now.
    if (answer.error?.message.includes('is not connected') || answer.error?.message.startsWith('Unknown tool')) {
      attempt--;
      await soon();
      continue;
    }
    if (!answer.error?.message.includes('wants the gateway to sign in') || signIns >= 4 || !await signIn()) {
      return 1;
    }
  }
  return 1;
}

async function call(base, key) {
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': { name: 'suite', version: '1' } };
  const answer = await fetch(`${base}/mcp`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'suite__test-tool' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'suite__test-tool', arguments: {}, _meta: meta } }),
  });
  const text = await answer.text();
  return JSON.parse(text.startsWith('{') ? text : text.split('\n').find(line => line.startsWith('data: {')).slice(6));
}

// What a person's browser does: opens the link, presses the button, and follows where it leads, with the cookies of each host.
async function browse(link) {
  const cookies = new Map();
  const visit = async (url, method) => {
    const answer = await fetch(url, { method, redirect: 'manual', headers: { cookie: cookies.get(new URL(url).host) ?? '' } });
    const set = answer.headers.getSetCookie().map(cookie => cookie.split(';')[0]);
    if (set.length > 0) {
      cookies.set(new URL(url).host, set.join('; '));
    }
    return answer;
  };
  const page = await visit(link, 'GET');
  if (page.status !== 200) {
    return false;
  }
  let [url, answer] = [link, await visit(link, 'POST')];
  for (let hops = 0; hops < 10 && answer.status >= 300 && answer.status < 400; hops++) {
    url = new URL(answer.headers.get('location'), url).href;
    answer = await visit(url, 'GET');
  }
  console.error(`back: ${answer.status} ${(await answer.text()).replace(/<[^>]+>/g, ' ').trim().slice(0, 300)}`);
  return answer.status === 200;
}

async function printed(pattern) {
  while (true) {
    const found = pattern.exec(output);
    if (found) {
      return found[1];
    }
    if (ended) {
      throw new Error('The gateway ended.');
    }
    await soon();
  }
}

async function soon() {
  if (Date.now() > patience) {
    throw new Error('It took too long.');
  }
  await new Promise(resolve => setTimeout(resolve, 50));
}
