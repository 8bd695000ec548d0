// Chance by seed: the same seed gives the same numbers on every machine. fork() gives each part of a campaign its own,
// so that what one part draws does not shift what another gets.
export class Random {
  constructor(seed) {
    this.state = BigInt.asUintN(64, BigInt(seed) + 0x9e3779b97f4a7c15n);
  }

  /** splitmix64 */
  next() {
    this.state = BigInt.asUintN(64, this.state + 0x9e3779b97f4a7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  fork() {
    return new Random(this.next());
  }

  /** In [0, 1). */
  unit() {
    return Number(this.next() >> 11n) / 2 ** 53;
  }

  /** In [low, high). */
  between(low, high) {
    return low + (high - low) * this.unit();
  }

  /** 0 to n - 1. */
  below(n) {
    return Math.floor(this.unit() * n);
  }

  chance(p) {
    return this.unit() < p;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** One of [[value, weight], ...]. */
  weighted(pairs) {
    let at = this.unit() * pairs.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [value, weight] of pairs) {
      at -= weight;
      if (at < 0) return value;
    }
    return pairs.at(-1)[0];
  }

  shuffle(list) {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
}
