// A stateful fake of GitHub, for tests of what reads it: REST and GraphQL over one model, with faults on demand.
//
// `node server.mjs` listens on a free port of the loopback interface, prints the port, and ends when its standard input
// does. README.md describes the scenarios, the control API below `/_fake/`, and the keys of `/_fake/truth`.
//
// It polices too: a token sees what its permissions allow, a query that breaks GitHub's schema is refused, each answer
// that is no 304 is charged. Where it is less than GitHub, it fails loudly: an unknown route is 404, an unmodelled field
// an error.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { budget, identify, limitHeaders, Refusal } from './access.mjs';
import { control, state } from './control.mjs';
import { faultFor, strike } from './faults.mjs';
import { graphql, operation } from './graphql.mjs';
import { rest } from './rest.mjs';

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    answer(request, response, Buffer.concat(chunks).toString()).catch((error) => {
      // A mistake of the fake's own, which no test should take for GitHub's.
      process.stderr.write(`${request.method} ${request.url}: ${error.stack}\n`);
      if (!response.headersSent) response.writeHead(599);
      response.end(String(error.stack));
    });
  });
  request.on('error', () => response.destroy());
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('end', () => process.exit(0)).on('close', () => process.exit(0)).resume();

async function answer(request, response, text) {
  const url = new URL(request.url, 'http://fake');
  if (url.pathname.startsWith('/_fake/')) {
    const { status, body } = control(request.method, url.pathname.slice(6), text);
    const shown = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(shown) });
    response.end(shown);
    return;
  }
  const { world } = state;
  const enterprise = url.pathname === '/api/graphql' || url.pathname.startsWith('/api/v3');
  const path = url.pathname.replace(/^\/api\/v3(?=\/|$)/, '').replace(/^\/api\/graphql$/, '/graphql');
  const origin = `${world.settings.public_url ?? `http://${request.headers.host}`}${enterprise ? '/api/v3' : ''}`;
  const call = {
    world,
    method: request.method,
    path,
    query: url.searchParams,
    search: url.search,
    origin,
    json: parsed(text),
    asked: request.headers,
    token: null,
    operation: null,
  };
  if (path === '/graphql') Object.assign(call, operation(call.json));
  const entry = noted(call);
  const fault = faultFor(state.faults, call);
  entry.fault = fault?.kind ?? null;
  await respond(call, entry, fault, request, response);
}

function parsed(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function noted(call) {
  const entry = {
    n: state.log.length + 1,
    at: call.world.clock.iso(),
    method: call.method,
    path: call.path,
    query: Object.fromEntries(call.query),
    operation: call.operation,
    variables: call.path === '/graphql' ? (call.json?.variables ?? {}) : null,
    token: null,
    status: null,
    charged: 0,
  };
  state.log.push(entry);
  return entry;
}

async function respond(call, entry, fault, request, response) {
  const { world, path } = call;
  const resource = path === '/graphql' ? 'graphql' : 'core';
  let made;
  try {
    call.token = identify(world, request.headers.authorization);
    entry.token = call.token?.name ?? null;
    call.endless = fault?.kind === 'endless';
    const left = budget(world, call.token, resource);
    if (left.used >= left.limit && path !== '/rate_limit') throw exhausted(call, left);
    made = path === '/graphql' ? graphql(call) : rest(call);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    made = refused(error);
  }
  const account = budget(world, call.token, resource);
  const headers = { ...common(call), ...made.headers };
  const body = made.raw ?? JSON.stringify(made.body);
  const tag = resource === 'core' && made.status === 200 ? tagged(call, body) : null;
  if (tag) headers.ETag = tag;
  const unchanged = tag && (request.headers['if-none-match'] ?? '').split(/,\s*/).some((each) => each.replace(/^W\//, '') === tag.replace(/^W\//, ''));
  entry.charged = unchanged || path === '/rate_limit' || made.free ? 0 : (made.cost ?? 1);
  account.used = Math.min(account.limit, account.used + entry.charged);
  Object.assign(headers, limitHeaders(account));
  const answered = { status: unchanged ? 304 : made.status, headers, body: unchanged ? '' : body };
  await strike(fault, call, answered, response, (status) => {
    entry.status = status;
  });
}

function refused({ status, message, headers, documentation_url, body }) {
  // What was refused by a limit is not charged again.
  const free = 'retry-after' in headers || headers.limited;
  delete headers.limited;
  return { status, headers, body: body ?? { message, documentation_url, status: String(status) }, free };
}

/** The primary limit: REST refuses with 403, GraphQL answers 200 with an error. */
function exhausted(call, left) {
  const documentation_url = 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api';
  const message = `API rate limit exceeded for user ID ${call.world.find(call.token?.login)?.id ?? 0}.`;
  const graph = left.resource === 'graphql';
  return new Refusal(graph ? 200 : 403, message, {
    documentation_url,
    headers: { limited: true },
    ...(graph && { body: { errors: [{ type: 'RATE_LIMITED', message }] } }),
  });
}

/** By who asks too, as GitHub's is: another token's answer is another answer. */
function tagged(call, body) {
  return `W/"${createHash('sha256').update(`${call.token?.name} ${call.origin} ${body}`).digest('hex')}"`;
}

function common({ world, token, asked }) {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    Date: new Date(world.clock.milliseconds()).toUTCString(),
    Server: 'github.com',
    'cache-control': 'private, max-age=60, s-maxage=60',
    Vary: 'Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With',
    'x-github-request-id': `FA4E:${String(state.log.length).padStart(6, '0')}`,
    'X-GitHub-Api-Version-Selected': asked['x-github-api-version'] ?? '2022-11-28',
    'X-GitHub-Media-Type': 'github.v3; format=json',
  };
  if (token?.kind === 'classic') {
    headers['X-OAuth-Scopes'] = token.scopes.join(', ');
    headers['X-Accepted-OAuth-Scopes'] = '';
  }
  if (token?.user_expires_at) headers['github-authentication-token-expiration'] = token.user_expires_at;
  return headers;
}
