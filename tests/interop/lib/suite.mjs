// A test is a name and a function. One line says how each ended, so that any caller can count them:
//   ok - <name> (<milliseconds> ms)
//   not ok - <name> (<milliseconds> ms): <first line of why>
// The last line is `# passed <n>, failed <n>`; the process ends with 1 if any test failed.

const tests = [];
const hangGuardMs = 60_000;

/** Declares a test. Names are written as literals: the .NET side reads them from the source to list them without running it. */
export function test(name, body) {
  tests.push({ name, body });
}

/** A setting that the caller passes through the environment. */
export function setting(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: start the suites through the .NET tests, or set it yourself.`);
  }
  return value;
}

/** Waits until `probe` gives something truthy, and returns that; the last error or value says why it did not. */
export async function eventually(what, probe, limitMs = 30_000) {
  const end = performance.now() + limitMs;
  let last;
  while (performance.now() < end) {
    try {
      last = await probe();
      if (last) {
        return last;
      }
    } catch (error) {
      last = error;
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${limitMs} ms; last: ${last}`);
}

/** What `promise` failed with; fails if it succeeds. */
export async function failure(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected a failure, got ${JSON.stringify(value)?.slice(0, 300)}`);
}

async function guarded(body) {
  let timer;
  const hung = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${hangGuardMs} ms`)), hangGuardMs);
  });
  try {
    await Promise.race([body(), hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs all declared tests in order, then `close`, and ends the process. */
export async function run(close = async () => {}) {
  let failed = 0;
  for (const { name, body } of tests) {
    const start = performance.now();
    try {
      await guarded(body);
      console.log(`ok - ${name} (${Math.round(performance.now() - start)} ms)`);
    } catch (error) {
      failed++;
      const text = String(error?.stack ?? error).replaceAll('\n', '\n#   ');
      console.log(`not ok - ${name} (${Math.round(performance.now() - start)} ms): ${String(error?.message ?? error).split('\n')[0]}`);
      console.log(`#   ${text}`);
    }
  }
  await close();
  console.log(`# passed ${tests.length - failed}, failed ${failed}`);
  process.exit(failed === 0 ? 0 : 1);
}
