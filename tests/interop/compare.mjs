// What a tool server says to a client of its own, and what comes through the gateway: the same bytes, but for the names.

import assert from 'node:assert/strict';
import { servers } from './lib/hub.mjs';
import { entries, slice } from './lib/json-slice.mjs';
import { eventually, run, test } from './lib/suite.mjs';
import { openProcess, openSession } from './lib/wire.mjs';

const everything = await openProcess([servers.everything, 'stdio']);
const probe = await openProcess([servers.probe]);
const hub = await openSession();

const definitions = (text, prefix = '') => new Map(entries(slice(text, 'result', 'tools'))
  .map(([, raw]) => [JSON.parse(raw).name, raw])
  .filter(([name]) => name.startsWith(prefix)));

/** The definition as the gateway should show it: the value of `name` replaced, nothing else touched. */
const renamed = (raw, prefix) => {
  const name = slice(raw, 'name');
  return raw.replace(`"name":${name}`, `"name":${JSON.stringify(prefix + JSON.parse(name))}`);
};

async function sameDefinitions(direct, prefix) {
  let own;
  let shown;
  await eventually('the same set of tools', async () => {
    own = definitions(await direct.send('tools/list', {}));
    shown = definitions((await hub.send('tools/list', {})).text, prefix);
    return own.size > 0 && shown.size === own.size;
  }).catch(error => {
    assert.fail(`${error.message}: direct ${[...own.keys()]}; through the gateway ${[...shown.keys()]}`);
  });
  for (const [name, raw] of own) {
    assert.equal(shown.get(prefix + name), renamed(raw, prefix));
  }
}

async function sameResult(direct, prefix, name, args = {}) {
  const own = slice(await direct.send('tools/call', { name, arguments: args }), 'result');
  const { text } = await hub.send('tools/call', { name: prefix + name, arguments: args });
  // Addresses of resources lead through the gateway, too; nothing else is touched.
  assert.equal(slice(text, 'result'), own.replaceAll('"uri":"', `"uri":"${prefix.replace('__', '+')}`));
}

async function sameError(direct, prefix, name, args = {}) {
  const own = slice(await direct.send('tools/call', { name, arguments: args }), 'error');
  const { text } = await hub.send('tools/call', { name: prefix + name, arguments: args });
  assert.ok(own, 'the tool server answers with an error');
  assert.equal(slice(text, 'error'), own);
}

test('definitions of everything, over stdio', () => sameDefinitions(everything, 'ev__'));

test('definitions of everything, over Streamable HTTP', () => sameDefinitions(everything, 'evh__'));

test('definitions with unknown members, escapes and number forms', () => sameDefinitions(probe, 'probe__'));

test('a text result', () => sameResult(everything, 'ev__', 'echo', { message: 'hé "x" \\ 🧪 \u2028' }));

test('a text result over Streamable HTTP', () => sameResult(everything, 'evh__', 'echo', { message: 'hé "x" \\ 🧪 \u2028' }));

test('an image result', () => sameResult(everything, 'ev__', 'get-tiny-image'));

test('resource links', () => sameResult(everything, 'ev__', 'get-resource-links', { count: 5 }));

test('structured content', () => sameResult(everything, 'ev__', 'get-structured-content', { location: 'New York' }));

test('annotated content', () => sameResult(everything, 'ev__', 'get-annotated-message', { messageType: 'success', includeImage: true }));

test('arguments that the tool refuses', () => sameResult(everything, 'ev__', 'get-sum', { a: 'one', b: 2 }));

test('missing arguments', () => sameResult(everything, 'ev__', 'echo'));

test('a result with unknown members, blocks and number forms', () => sameResult(probe, 'probe__', 'odd'));

test('an error with data', () => sameError(probe, 'probe__', 'fail', { code: -31998, message: 'é "quoted"' }));

await run(async () => {
  everything.close();
  probe.close();
});
