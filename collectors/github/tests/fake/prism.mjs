// GitHub's OpenAPI description beside the fake: `node prism.mjs UPSTREAM` prints a port that answers as the fake does.
//
// Each call goes to the fake, and each answer back as it is; then call and answer are shown to prism as if it stood
// between. Prism itself in the middle would follow redirects, and make an error of each 304. What GraphQL and the control
// API are asked it does not see, for the description knows neither. `GET /_fake/violations` gives what it found, with
// the call, once all that was answered is looked at.

import { createRequire } from 'node:module';
import { createServer, request as send } from 'node:http';

const require = createRequire(import.meta.url);
const { createLogger } = require('@stoplight/prism-core');
const { getHttpOperationsFromSpec } = require('@stoplight/prism-http');
const { createServer: createPrism } = require('@stoplight/prism-http-server');

/** What prism can't judge rightly. `excused` counts how often each was met. */
const EXCUSED = [
  {
    reason: 'the description lists for most routes only some of the errors that every route has; their form is checked here',
    is: ({ status, message }) => [400, 401, 403, 404, 409, 422, 429, 502].includes(status) && message.startsWith('Unable to match the returned status code'),
  },
  {
    reason: 'the description wants an installation in a list to be of a user and of an enterprise at once: allOf where anyOf is meant',
    is: ({ call, location }) => call.startsWith('GET /app/installations') && location?.at(-1) === 'account',
  },
];

const upstream = new URL(process.argv[2]);
const violations = [];
const excused = EXCUSED.map(({ reason }) => ({ reason, times: 0 }));
/** Answers that prism is about to ask for, by number, and the calls that are not judged yet. */
const recorded = new Map();
const pending = new Set();
let count = 0;

process.stdin.on('end', () => process.exit(0)).on('close', () => process.exit(0)).resume();

const replay = await listening(
  createServer((request, response) => {
    const { status, headers, body } = recorded.get(request.headers['x-replay']);
    response.writeHead(status, headers);
    response.end(body);
  }),
);
const operations = await getHttpOperationsFromSpec(require.resolve('@octokit/openapi/generated/api.github.com.json'));
const config = { isProxy: true, upstream: replay, validateRequest: true, validateResponse: true, checkSecurity: true, errors: false, mock: { dynamic: false } };
const prism = createPrism(operations, { config, components: { logger: createLogger('prism', { level: 'silent' }) } });
const judge = new URL(await prism.listen(0, '127.0.0.1'));

const front = await listening(
  createServer(async (request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/_fake/violations') {
      while (pending.size > 0) await Promise.all(pending);
      const found = JSON.stringify(request.url.endsWith('?excused') ? excused : violations);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(found) });
      response.end(found);
      return;
    }
    pass(request, response, !path.startsWith('/_fake/') && path !== '/graphql' && !path.startsWith('/api/'));
  }),
);
process.stdout.write(`${front.port}\n`);

function listening(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new URL(`http://127.0.0.1:${server.address().port}`))));
}

function pass(request, response, judged) {
  const { method, url, headers } = request;
  const chunks = { asked: [], answered: [] };
  const onward = send({ host: upstream.hostname, port: upstream.port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.on('data', (chunk) => judged && chunks.answered.push(chunk));
    answer.on('end', () => {
      // Nothing is said of redirects' bodies, and 304 has none.
      if (judged && answer.complete && (answer.statusCode < 300 || answer.statusCode >= 400)) {
        judging(request, Buffer.concat(chunks.asked), { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks.answered) });
      }
    });
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  onward.on('error', () => response.socket?.resetAndDestroy());
  request.on('data', (chunk) => chunks.asked.push(chunk));
  request.pipe(onward);
}

function judging({ method, url, headers }, asked, answer) {
  const call = `${method} ${url}`;
  const number = String((count += 1));
  recorded.set(number, answer);
  const { 'if-none-match': _, connection, host, ...shown } = headers;
  const done = new Promise((resolve) => {
    const question = send({ host: judge.hostname, port: judge.port, method, path: url, headers: { ...shown, 'x-replay': number } }, (judgement) => {
      judgement.resume().on('close', resolve);
      const told = JSON.parse(judgement.headers['sl-violations'] ?? '[]');
      if (judgement.statusCode !== answer.status) told.push({ message: `prism failed: ${judgement.statusCode}` });
      for (const each of told) note({ call, status: answer.status, ...each });
    });
    question.on('error', (error) => {
      note({ call, status: answer.status, message: `prism failed: ${error.message}` });
      resolve();
    });
    question.end(asked);
  }).finally(() => {
    recorded.delete(number);
    pending.delete(done);
  });
  pending.add(done);
  if (answer.status >= 400) form(call, answer);
}

function note(violation) {
  const at = EXCUSED.findIndex(({ is }) => is(violation));
  if (at < 0) violations.push(violation);
  else excused[at].times += 1;
}

/** An error as GitHub has it: message, documentation and status, all text. */
function form(call, { status, body }) {
  const fine = (() => {
    try {
      const { message, documentation_url, status: told } = JSON.parse(body);
      return typeof message === 'string' && typeof documentation_url === 'string' && told === String(status);
    } catch {
      return false;
    }
  })();
  if (!fine) violations.push({ call, status, message: 'an error without message, documentation_url and status' });
}
