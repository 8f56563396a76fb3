// The vendors of lib/vendors.mjs for suites of other languages: prints their address, and a line for each answer that was given up on, and serves until its input ends.

import { startVendors } from './lib/vendors.mjs';

const vendors = await startVendors();
console.log(`vendors: ${vendors.address}`);
const watch = async () => {
  for (;;) {
    await vendors.nextCancelled();
    console.log('hung up');
  }
};
watch();
process.stdin.resume().on('end', () => vendors.close());
