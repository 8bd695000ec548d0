// An operation of the OpenAPI document as something that can be called, and an answer that is held against what the
// document says about it: status, content type, headers, body, error word.
import assert from 'node:assert/strict';
import { readDocument, Schemas } from './schema.mjs';

/** Headers of HTTP and of CORS that answers may always have; all others must be documented. */
const transport = /^(date|connection|keep-alive|content-length|content-type|transfer-encoding|vary|x-content-type-options|access-control-.*)$/;

export class OpenApi {
  static async load(base) {
    const served = await (await fetch(`${base}/openapi.json`)).json();
    assert.deepEqual(served, await readDocument('openapi.json'), 'what the gateway serves is what is in docs/api');
    return new OpenApi(served);
  }

  constructor(document) {
    this.document = document;
    this.schemas = new Schemas(document);
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, source]) => ({ ...source, method: method.toUpperCase(), path, parameters: source.parameters.map((p) => this.resolve(p)) })));
    this.byId = Object.fromEntries(this.operations.map((op) => [op.operationId, op]));
    this.seen = new Map(); // operationId -> Set of "status word"
  }

  resolve(part) {
    if (!part.$ref) return part;
    return part.$ref.slice(2).split('/').reduce((at, name) => at[name], this.document);
  }

  /** What a request is made of by the document's own examples; `use` replaces parts of it. */
  request(op, use = {}) {
    const path = op.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(use.path?.[name] ?? this.example(op, name)));
    const query = Object.fromEntries(op.parameters.filter((p) => p.in === 'query' && p.required).map((p) => [p.name, p.example]));
    const search = new URLSearchParams({ ...query, ...use.query });
    const headers = { ...use.headers };
    if (use.token) headers.Authorization = `Bearer ${use.token}`;
    if (use.key) headers['X-Fluxy-Api-Key'] = use.key;
    if (use.body !== undefined && !headers['Content-Type']) headers['Content-Type'] = 'application/json';
    const body = use.body === undefined || typeof use.body === 'string' || use.body instanceof Uint8Array ? use.body : JSON.stringify(use.body);
    return { url: path + (search.size ? `?${search}` : ''), method: use.method ?? op.method, headers, body };
  }

  example(op, name) {
    return op.parameters.find((p) => p.in === 'path' && p.name === name).example;
  }

  bodyExamples(op) {
    return Object.entries(op.requestBody?.content?.['application/json']?.examples ?? {}).map(([name, { value }]) => [name, value]);
  }

  async call(base, op, use) {
    const { url, ...init } = this.request(op, use);
    const answer = await fetch(base + url, { redirect: 'manual', ...init });
    const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream');
    const text = isStream ? '' : await answer.text();
    if (isStream) await answer.body.cancel();
    const got = { status: answer.status, headers: answer.headers, text, what: `${init.method} ${url}` };
    this.check(op, got);
    return got;
  }

  /** Fails unless the document says that this operation answers so. */
  check(op, got, response = this.resolve(op.responses[got.status] ?? {})) {
    const what = `${op.operationId}: ${got.what} -> ${got.status} ${got.text.slice(0, 400)}`;
    assert.ok(response.description, `undocumented status: ${what}`);
    this.checkHeaders(got, response, what);
    const type = got.headers.get('content-type')?.split(';')[0];
    const kinds = response.content ?? {};
    if (!type) {
      assert.deepEqual(Object.keys(kinds), [], `no body where the document has one: ${what}`);
    } else {
      const media = kinds[type] ?? kinds['*/*'];
      assert.ok(media, `undocumented content type ${type}: ${what}`);
      if (/json$/.test(type) && !type.includes('ndjson')) {
        got.json = JSON.parse(got.text);
        const fault = this.schemas.fault(media.schema, got.json);
        assert.equal(fault, undefined, `body: ${fault} in ${what}`);
      }
    }
    if (!this.seen.has(op.operationId)) this.seen.set(op.operationId, new Set());
    this.seen.get(op.operationId).add(`${got.status} ${got.json?.error ?? ''}`.trim());
  }

  checkHeaders(got, response, what) {
    const documented = Object.fromEntries(Object.entries(response.headers ?? {}).map(([name, header]) => [name.toLowerCase(), this.resolve(header)]));
    for (const name of got.headers.keys()) {
      if (!transport.test(name)) assert.ok(documented[name], `undocumented header ${name}: ${what}`);
    }
    for (const [name, header] of Object.entries(documented)) {
      const value = got.headers.get(name);
      if (value === null) assert.ok(!header.required, `no ${name}: ${what}`);
      else if (header.schema.type !== 'integer') assert.equal(this.schemas.fault(header.schema, value), undefined, `${name}: ${what}`);
      else assert.match(value, /^\d+$/, `${name}: ${what}`);
    }
  }
}
