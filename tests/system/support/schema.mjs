// Bodies and frames against the schemas of docs/api: ours are checked strictly, that is, a member that the document does
// not name is a fault, although the document tells clients to ignore such members.
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

export const top = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

export const readDocument = async (name) => JSON.parse(await readFile(join(top, 'docs', 'api', name), 'utf8'));

/** The schema with its references into `root`, and objects closed. Parts of an `allOf` stay open: the whole is closed by the type they refer to. */
function prepared(schema, root, closed) {
  if (Array.isArray(schema)) return schema.map((part) => prepared(part, root, closed));
  if (typeof schema !== 'object' || schema === null) return schema;
  const out = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$ref') out.$ref = value.replace(/^#/, `${root}#`);
    else if (key === 'enum' || key === 'const' || key === 'example' || key === 'examples' || key === 'default') out[key] = value;
    else if (key === 'allOf') out[key] = value.map((part) => (part.$ref ? prepared(part, root, closed) : { ...part, properties: prepared(part.properties, root, closed) }));
    else if (key === 'properties') out[key] = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, prepared(part, root, closed)]));
    else out[key] = prepared(value, root, closed);
  }
  if (closed && out.type === 'object' && out.properties && out.additionalProperties === undefined) out.additionalProperties = false;
  return out;
}

export class Schemas {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(this.ajv);
    for (const [root, closed] of [['strict', true], ['open', false]]) {
      const schemas = Object.fromEntries(Object.entries(document.components.schemas).map(([name, schema]) => [name, prepared(schema, root, closed)]));
      this.ajv.addSchema({ $id: root, components: { schemas } });
    }
    this.compiled = new Map();
  }

  /** What is wrong with a value, as text; undefined when nothing is. */
  fault(schema, value, { closed = true } = {}) {
    const key = `${closed} ${JSON.stringify(schema)}`;
    if (!this.compiled.has(key)) this.compiled.set(key, this.ajv.compile(prepared(schema, closed ? 'strict' : 'open', closed)));
    const validate = this.compiled.get(key);
    return validate(value) ? undefined : validate.errors.map((e) => `${e.instancePath || '/'} ${e.message} ${JSON.stringify(e.params)}`).join('; ');
  }
}
