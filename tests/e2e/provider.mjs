// A real provider of identities on this machine, for tests: `node provider.mjs PORT`. Whoever logs
// in is who they say; a line of JSON on standard input builds it anew, with new keys if so told.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "../../web/node_modules/oidc-provider/lib/index.js";

const port = Number(process.argv[2]);
const issuer = `http://localhost:${port}`;
const GROUPS = { alice: ["owners", "staff"], bob: ["staff"] };
let handle = () => {};

function freshKey(number) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: `key-${number}` };
}

let n_keys = 0;
let keys = [freshKey(n_keys++)];

function build({ redirects, rotate = false, ttl_s = 300 }) {
  if (rotate) keys = [freshKey(n_keys++)];
  const provider = new Provider(issuer, {
    clients: [
      { client_id: "page", client_secret: "s3cret & +%/=~", redirect_uris: redirects },
      { client_id: "other", client_secret: "another", redirect_uris: redirects },
    ],
    jwks: { keys },
    cookies: { keys: ["for tests only"] },
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups"] },
    pkce: { required: () => true },
    ttl: { IdToken: ttl_s, AccessToken: 60, AuthorizationCode: 60, Interaction: 600, Session: 600, Grant: 600 },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        name: id === "bob" ? "Bob <script>window.hacked=1</script>" : `${id} of tests`,
        email: `${id}@example.org`,
        email_verified: true,
        groups: GROUPS[id] ?? [],
      }),
    }),
  });
  handle = provider.callback();
  console.log("built");
}

createServer((request, reply) => handle(request, reply)).listen(port, "127.0.0.1", () => {
  createInterface({ input: process.stdin })
    .on("line", (line) => build(JSON.parse(line)))
    .on("close", () => process.exit(0));
  console.log("listening");
});
