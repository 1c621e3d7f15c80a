// Answers gone wrong on demand: each fault names the calls that it is for, how many to let pass, and how often it strikes.

import { setTimeout as sleep } from 'node:timers/promises';

const KINDS = ['status', 'slow', 'reset', 'cut', 'wrong_json', 'wrong_shape', 'endless', 'flood', 'secondary', 'primary', 'graphql_error', '502'];

/** Checks a fault as it is posted. */
export function fault(given) {
  if (!KINDS.includes(String(given.kind))) throw new Error(`no such kind: ${given.kind}; there are ${KINDS.join(', ')}`);
  return { times: 1, after: 0, ...given, kind: String(given.kind), expression: new RegExp(given.match ?? ''), passed: 0, struck: 0 };
}

/** The first that is for this call and not used up. It matches "METHOD path?query", and a GraphQL operation's name. */
export function faultFor(faults, { method, path, search, operation }) {
  const called = `${method} ${path}${decodeURIComponent(search)}`;
  for (const each of faults) {
    if (!each.expression.test(called) && !(operation && each.expression.test(operation))) continue;
    if (each.passed < each.after) {
      each.passed += 1;
      continue;
    }
    if (each.times >= 0 && each.struck >= each.times) continue;
    each.struck += 1;
    return each;
  }
  return null;
}

/** Sends the answer, or what the fault makes of it; tells the status that was sent, 0 for none. */
export async function strike(fault, call, answer, response, tell) {
  if (fault?.kind === 'slow') await sleep(fault.milliseconds ?? 5000);
  if (fault?.kind === 'reset') {
    tell(0);
    response.socket.resetAndDestroy();
    return;
  }
  const { status, headers, body } = altered(fault, call, answer);
  tell(status);
  if (fault?.kind === 'flood') {
    await flood(response, status, headers);
    return;
  }
  // Neither has a body, nor a length of one.
  const bare = status === 304 || status === 204;
  response.writeHead(status, bare ? headers : { ...headers, 'content-length': Buffer.byteLength(body) });
  if (fault?.kind === 'cut') {
    response.write(body.slice(0, Math.floor(body.length / 2)), () => response.socket.destroy());
    return;
  }
  response.end(bare ? undefined : body);
}

function altered(fault, call, answer) {
  const graph = call.path === '/graphql';
  const message = fault?.message;
  const error = (status, text, headers = {}) => ({
    status,
    headers: { ...without(answer.headers), ...headers, ...fault.headers },
    body: JSON.stringify(fault.body ?? { message: message ?? text, documentation_url: 'https://docs.github.com/rest', status: String(status) }),
  });
  switch (fault?.kind) {
    case 'status':
      return error(fault.status ?? 500, 'Server Error');
    case 'secondary':
      return error(fault.status ?? 403, 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.', fault.retry_after === null ? {} : { 'retry-after': fault.retry_after ?? 60 });
    case 'primary': {
      const reset = Math.floor(call.world.clock.milliseconds() / 1000) + (fault.reset_in ?? 60);
      const limited = { 'x-ratelimit-remaining': 0, 'x-ratelimit-reset': reset, 'x-ratelimit-used': answer.headers['x-ratelimit-limit'] };
      const text = 'API rate limit exceeded for user ID 1.';
      if (!graph) return error(fault.status ?? 403, text, limited);
      const body = { errors: [{ type: 'RATE_LIMITED', message: text }] };
      return { status: 200, headers: { ...without(answer.headers), ...limited }, body: JSON.stringify(body) };
    }
    case 'graphql_error': {
      const body = { data: fault.data ?? null, errors: [{ type: fault.type ?? 'INTERNAL', path: fault.path ?? [], message: message ?? 'Something went wrong while executing your query.' }] };
      return { status: 200, headers: without(answer.headers), body: JSON.stringify(body) };
    }
    case '502':
      return { status: 502, headers: { ...without(answer.headers), 'content-type': 'text/html' }, body: '<html><body><h1>502 Bad Gateway</h1></body></html>' };
    case 'wrong_json':
      return { status: 200, headers: without(answer.headers), body: fault.text ?? '{"data": {"repository": ' };
    case 'wrong_shape': {
      // By default a list becomes an object and an object a list: nothing in it is where it should be.
      const otherwise = answer.body.startsWith('[') ? {} : graph ? { data: { repository: [] } } : [];
      return { status: 200, headers: without(answer.headers), body: JSON.stringify(fault.body ?? otherwise) };
    }
    default:
      return answer;
  }
}

function without({ ETag, Link, ...headers }) {
  return headers;
}

/** A body that goes on until the client has had enough. */
async function flood(response, status, headers) {
  response.writeHead(status, without(headers));
  const filler = ' '.repeat(65_536);
  while (!response.destroyed && !response.closed) {
    if (!response.write(filler)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
}

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
