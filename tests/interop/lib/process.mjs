// A gateway of the suite's own, in an empty folder, with the configuration that it gives.

import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Starts `gateway.dll`; GATEWAY_PROGRAM says where it is. Configuration and manifests are objects, as JSON is YAML. */
export async function startGateway({ configuration, manifests = {}, environment = {} }) {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-suite-'));
  if (configuration) {
    await writeFile(join(folder, 'gateway.yaml'), JSON.stringify(configuration));
  }
  await mkdir(join(folder, 'tool-manifests'));
  for (const [name, manifest] of Object.entries(manifests)) {
    await writeFile(join(folder, 'tool-manifests', `${name}.yaml`), JSON.stringify(manifest));
  }
  const child = spawn('dotnet', [process.env.GATEWAY_PROGRAM, '--urls', 'http://127.0.0.1:0'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let output = '';
  child.stdout.on('data', data => { output += data; });
  child.stderr.on('data', data => { output += data; });
  let ended = false;
  const end = new Promise(resolve => child.on('close', () => { ended = true; resolve(); }));
  const patience = Date.now() + 30_000;
  const printed = async pattern => {
    for (;;) {
      const found = pattern.exec(output);
      if (found) {
        return found[1];
      }
      if (ended || Date.now() > patience) {
        throw new Error(`The gateway did not print ${pattern}: ${output}`);
      }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await end;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return {
      url: await printed(/listens on (http:\/\/\S+)/),
      key: await printed(/GATEWAY_KEY=(\S+)/),
      adminKey: await printed(/GATEWAY_ADMIN_KEY=(\S+)/),
      folder,
      output: () => output.replace(/[sa]k-gw-[0-9A-Za-z-]+/g, '[key]'),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
