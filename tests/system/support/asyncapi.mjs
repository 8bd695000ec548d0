// Frames against the AsyncAPI document: which types a channel has, and what each must look like.
import assert from 'node:assert/strict';
import { readDocument, Schemas } from './schema.mjs';

export class AsyncApi {
  static async load(base) {
    const served = await (await fetch(`${base}/asyncapi.json`)).json();
    assert.deepEqual(served, await readDocument('asyncapi.json'), 'what the gateway serves is what is in docs/api');
    return new AsyncApi(served);
  }

  constructor(document) {
    this.document = document;
    this.schemas = new Schemas(document);
    this.seen = new Set(); // "channel type" of server frames
    this.faults = [];
  }

  /** The messages of a channel by type. side: client or server. */
  messages(channel, side) {
    return Object.entries(this.document.channels[channel].messages)
      .filter(([key]) => key.startsWith(`${side}.`))
      .map(([key]) => this.document.components.messages[key]);
  }

  examples(channel, side) {
    return this.messages(channel, side).flatMap((message) => message.examples.map((example) => example.payload));
  }

  /** What is wrong with a frame in this channel; undefined: nothing. */
  fault(channel, side, frame, { closed = true } = {}) {
    const message = this.messages(channel, side).find((m) => m.name === frame.type);
    if (!message) return 'no such type in this channel';
    return this.schemas.fault(message.payload, frame, { closed });
  }

  isNative(type) {
    return this.document.components.messages[`server.${type}`].tags?.some((tag) => tag.name === 'native') ?? false;
  }

  /** Holds every frame that a client gets, from the first on, against the document. `native`: whether it has asked for more. */
  watch(channel, client, { native }) {
    const look = (frame) => {
      const fault = this.fault(channel, 'server', frame) ?? (!native && this.isNative(frame.type) ? 'native, and not asked for' : undefined);
      this.seen.add(`${channel} ${frame.type}`);
      if (fault) this.faults.push(`${channel} ${frame.type}: ${fault} in ${JSON.stringify(frame).slice(0, 600)}`);
    };
    client.frames.forEach(look);
    client.onframe = look;
    return client;
  }

  check() {
    assert.equal(this.faults.length, 0, `${this.faults.length} faults:\n${this.faults.join('\n')}`);
  }
}
