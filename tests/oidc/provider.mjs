// A real OpenID provider that does as it is told: one JSON command a line on standard input, one answer a line on standard
// output. Its argument is the folder that holds `node_modules`.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const module = `${process.argv[2]}/node_modules/oauth2-mock-server/dist/index.mjs`;
const { OAuth2Server } = await import(pathToFileURL(module).href);

const keys = new Map();
let server = new OAuth2Server();

const commands = {
  async start() {
    await server.start(0, '127.0.0.1');
    return { port: server.address().port };
  },
  async generate({ alg }) {
    const key = await server.issuer.keys.generate(alg);
    keys.set(key.kid, key);
    return { kid: key.kid };
  },
  async token({ kid, header, claims }) {
    const transform = (own, payload) => {
      Object.assign(own, header);
      Object.assign(payload, claims);
    };
    return { token: await server.issuer.buildToken({ kid, scopesOrTransform: transform }) };
  },
  // The store of keys forgets none: a provider with the others takes its place.
  async remove({ kid }) {
    const { port } = server.address();
    await server.stop();
    keys.delete(kid);
    server = new OAuth2Server();
    for (const key of keys.values()) await server.issuer.keys.add(key);
    await server.start(port, '127.0.0.1');
    return {};
  },
  async stop() {
    await server.stop();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  console.log(JSON.stringify(await commands[command](rest)));
}
process.exit(0);
