/** What secures an `https://` connection. Everything is PEM. */
export type Tls = {
  /** Who may vouch for the server; by default whom Node trusts. */
  readonly authorities?: string | Buffer;
  /** The caller's own certificate (X.509-SVID), followed by those between it and its authority. */
  readonly certificate?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name that the server's certificate must be for, where it is not the address's. */
  readonly serverName?: string;
};

/** What holds for every call. */
export type Options = {
  /** Milliseconds that an answer may take, retries included; then it is denied. 1,000 by default, at most 60,000. */
  readonly deadlineMs?: number;
  /** Types of obligations that whoever acts on the answers fulfils. An Allow with any other one is no Allow. */
  readonly fulfils?: Iterable<string>;
  /** The caller's own bearer token, or what gives the current one for each call. */
  readonly token?: string | (() => string | Promise<string>);
  readonly tls?: Tls;
  /** Speak `http://` beyond this host. Whoever is in between then decides. */
  readonly insecurePlaintext?: boolean;
};

const LONGEST_DEADLINE_MS = 60_000;

/** Gives the deadline back if it is one: there is no call without. */
export function checkedDeadline(milliseconds: number): number {
  if (!(milliseconds > 0 && milliseconds <= LONGEST_DEADLINE_MS)) {
    throw new RangeError(`a deadline is more than 0 and at most ${LONGEST_DEADLINE_MS} milliseconds`);
  }
  return milliseconds;
}

/** Reads `https://host:port`, or `http://` on this host. */
export function checkedAddress(address: string, options: Options): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new RangeError("an address is https://HOST:PORT, or http://HOST:PORT on this host");
  }
  if (url.pathname !== "/" || url.search || url.hash || url.username || url.password) {
    throw new RangeError("an address has a host and a port, and nothing else");
  }
  const isPlain = url.protocol === "http:";
  if (isPlain && options.tls !== undefined) throw new RangeError("tls needs an https:// address");
  if (isPlain && options.insecurePlaintext !== true && !isLoopback(url.hostname)) {
    throw new RangeError(
      `${url.hostname} is another host: use https://, or set insecurePlaintext and let whoever is in between decide`,
    );
  }
  return url.origin;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
