// Validates documents against JSON Schemas of draft 2020-12. Reads {"schemas": {name: schema}, "documents": [{"schema": name, "document": any}]} from
// the file named on the command line and prints a list with null for each document that fits, or the reasons why it does not.
import Ajv2020 from 'ajv/dist/2020.js';
import { readFile } from 'node:fs/promises';

const { schemas, documents } = JSON.parse(await readFile(process.argv[2], 'utf8'));
const ajv = new Ajv2020({ strict: true, strictTypes: false, allowUnionTypes: true, strictRequired: false, allErrors: true });
const validators = Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, ajv.compile(schema)]));
console.log(JSON.stringify(documents.map(({ schema, document }) => {
  const validate = validators[schema];
  return validate(document) ? null : ajv.errorsText(validate.errors, { separator: '\n' });
})));
