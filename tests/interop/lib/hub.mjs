// The gateway under test, and the tool servers behind it. The caller starts both and says where they are.

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setting } from './suite.mjs';

export const baseUrl = setting('GATEWAY_URL');
export const key = setting('GATEWAY_KEY');
export const adminKey = setting('GATEWAY_ADMIN_KEY');
export const manifests = setting('GATEWAY_MANIFESTS');
export const files = setting('GATEWAY_FILES');
export const mcpUrl = new URL('/mcp', baseUrl);

const folder = fileURLToPath(new URL('..', import.meta.url));

/** The start files of the real tool servers, and of our own probe. */
export const servers = {
  everything: join(folder, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js'),
  probe: join(folder, 'servers/probe.mjs'),
};

/** Writes the manifest of a server, on stdio unless it is said how else it is reached (JSON is YAML), in one step, as an editor that saves safely does. */
export function writeManifest(id, prefix, args, upstream = { transport: 'stdio', command: process.execPath, args }) {
  mkdirSync(manifests, { recursive: true });
  const manifest = {
    apiVersion: 'hub/v1',
    kind: 'ToolManifest',
    metadata: { id, title: id },
    upstream,
    expose: { prefix },
  };
  const unfinished = join(manifests, `${id}.tmp`);
  writeFileSync(unfinished, JSON.stringify(manifest, null, 2));
  renameSync(unfinished, join(manifests, `${id}.yaml`));
}

/** Takes a manifest away. */
export function removeManifest(id) {
  rmSync(join(manifests, `${id}.yaml`), { force: true });
}

/** Creates a virtual key through the admin API and returns its token. */
export async function createKey(definition) {
  const response = await fetch(new URL('/admin/v1/keys', baseUrl), {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(definition),
  });
  const text = await response.text();
  const token = /sk-gw-[0-9a-z]{10}-[0-9A-Za-z]{38}/.exec(text)?.[0];
  if (!response.ok || !token) {
    throw new Error(`no key was created: ${response.status} ${text}`);
  }
  return token;
}
