// The OAuth support of both official TypeScript clients, from the first 401 to a renewed token. The person is a loop that follows links.

import assert from 'node:assert/strict';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { run, setting, test } from './lib/suite.mjs';

const mcpUrl = new URL(`${setting('GATEWAY_URL')}/mcp`);
const documentUrl = setting('CLIENT_DOCUMENT');
const redirectUrl = 'http://127.0.0.1:53682/callback';

// Keeps what a client keeps, in memory.
class Provider {
  registrations = 0;
  redirectUrl = redirectUrl;
  clientMetadata = { client_name: 'Interop', redirect_uris: [redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' };

  constructor(clientMetadataUrl) {
    this.clientMetadataUrl = clientMetadataUrl;
  }

  state() { return 'state of the client'; }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.registrations++; this.client = client; }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; }
  redirectToAuthorization(url) { this.asked = url; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  saveDiscoveryState(state) { this.discovery = state; }
  discoveryState() { return this.discovery; }
}

// Follows links with cookies, and answers the consent page, until they lead to the client.
async function person(start) {
  const cookies = new Map();
  let url = start.href;
  let init = {};
  for (let i = 0; i < 10 && !url.startsWith(redirectUrl); i++) {
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { cookie: [...cookies].map(pair => pair.join('=')).join('; ') } });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split('=');
      cookies.set(name, value);
    }
    if (response.status === 302) {
      url = new URL(response.headers.get('location'), url).href;
      init = {};
    } else {
      const page = await response.text();
      const request = /name="request" value="([^"]+)"/.exec(page)?.[1];
      assert.ok(request, `${url} answered ${response.status} ${page}`);
      init = { method: 'POST', body: new URLSearchParams({ request, decision: 'allow' }) };
      url = new URL('/oauth/consent', url).href;
    }
  }
  return new URL(url).searchParams;
}

async function signIn(Client, Transport, provider, finish) {
  const first = new Transport(mcpUrl, { authProvider: provider });
  await assert.rejects(new Client({ name: 'interop', version: '1.0.0' }).connect(first), error => error.name === 'UnauthorizedError' || /unauthorized/i.test(String(error)));
  assert.equal(provider.asked.searchParams.get('resource'), mcpUrl.href);
  assert.equal(provider.asked.searchParams.get('code_challenge_method'), 'S256');
  const answer = await person(provider.asked);
  assert.equal(answer.get('state'), 'state of the client');
  assert.equal(answer.get('iss'), mcpUrl.origin);
  await finish(first, answer);
  const client = new Client({ name: 'interop', version: '1.0.0' });
  await client.connect(new Transport(mcpUrl, { authProvider: provider }));
  return client;
}

const kinds = [
  ['1.x', ClientV1, TransportV1, (transport, answer) => transport.finishAuth(answer.get('code'))],
  ['2.x', ClientV2, TransportV2, (transport, answer) => transport.finishAuth(answer)],
];

for (const [name, Client, Transport, finish] of kinds) {
  test(`the ${name} client registers, signs in and calls a tool`, async () => {
    const provider = new Provider();
    const client = await signIn(Client, Transport, provider, finish);
    assert.equal(provider.registrations, 1);
    assert.match(provider.client.client_id, /^dcr-/);
    const { content } = await client.callTool({ name: 'gateway__whoami', arguments: {} });
    assert.match(content[0].text, /ada@example\.com/);
    await client.close();
  });

  test(`the ${name} client signs in with its metadata document`, async () => {
    const provider = new Provider(documentUrl);
    const client = await signIn(Client, Transport, provider, finish);
    assert.equal(provider.asked.searchParams.get('client_id'), documentUrl);
    assert.ok((await client.listTools()).tools.some(tool => tool.name === 'gateway__whoami'));
    await client.close();
  });

  test(`the ${name} client renews a token that is refused`, async () => {
    const provider = new Provider();
    await (await signIn(Client, Transport, provider, finish)).close();
    const before = provider.kept;
    provider.kept = { ...before, access_token: `${before.access_token.slice(0, -4)}AAAA` };
    const client = new Client({ name: 'interop', version: '1.0.0' });
    await client.connect(new Transport(mcpUrl, { authProvider: provider }));
    assert.notEqual(provider.kept.refresh_token, before.refresh_token);
    assert.ok((await client.listTools()).tools.length > 0);
    await client.close();
  });
}

await run();
