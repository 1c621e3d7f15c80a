// Holds the fake to GitHub's description: calls every route, in many states, as every token, before prism, and prints
// each breach as JSON: `[{call, status, location, severity, code, message}]`, which must be empty.
//
// What prism can't judge, because the description itself is wrong, prism.mjs lists with the reason.

import { spawn } from 'node:child_process';
import { createSign } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checkGraphql } from './check-graphql.mjs';

const TOKENS = ['admin-token', 'member-token', 'reader-token', 'weak-token', 'selected-token', 'expired-token', null];

const peers = [];

async function peer(script, ...given) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, [path, ...given], { stdio: ['pipe', 'pipe', 'inherit'] });
  peers.push(child);
  for await (const line of createInterface({ input: child.stdout })) return `http://127.0.0.1:${line}`;
  throw new Error(`${script} did not start`);
}

const fake = await peer('server.mjs');
const prism = await peer('prism.mjs', fake);

async function control(path, body) {
  const answer = await fetch(`${fake}/_fake/${path}`, { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body) });
  const read = await answer.json();
  if (!answer.ok) throw new Error(`${path}: ${read.error}`);
  return read;
}

let calls = 0;
const statuses = {};

async function call(path, token, more = {}) {
  const headers = { accept: 'application/vnd.github+json', ...(token && { authorization: `Bearer ${token}` }), ...more.headers };
  const answer = await fetch(`${prism}${path}`, { redirect: 'manual', ...more, headers });
  const text = await answer.text();
  calls += 1;
  statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
  if (answer.status === 599) throw new Error(`${path}: ${text}`);
  return { answer, body: text && JSON.parse(text) };
}

/** Every route of one repository, for what there is in it. */
function routes(name, told) {
  const base = `/repos/${name}`;
  const paths = ['', '/branches?per_page=2', '/branches?protected=true', '/branches/no-such-branch', '/branches/no-such-branch/protection', '/rulesets?includes_parents=true', '/rulesets?includes_parents=false&per_page=1', '/rulesets/1'];
  paths.push('/rulesets/rule-suites?time_period=month', '/rulesets/rule-suites?time_period=day&ref=main&rule_suite_result=bypass', '/rulesets/rule-suites/1', '/codeowners/errors');
  paths.push('/contents/CODEOWNERS', '/contents/.github%2FCODEOWNERS', '/contents/docs%2FCODEOWNERS', '/activity?time_period=year&per_page=2', '/activity?ref=main&direction=asc&activity_type=force_push');
  paths.push('/pulls?state=all&per_page=3', '/pulls?state=closed&base=main&sort=updated&direction=desc&per_page=2&page=2', '/pulls', '/pulls/99999', '/deployments', '/commits?per_page=3', '/git/ref/heads%2Fno-such-branch', `/compare/main...${'0'.repeat(40)}`);
  for (const [branch, { head, rulesets, rule_suites, pull_requests }] of Object.entries(told.branches ?? {})) {
    const encoded = encodeURIComponent(branch);
    paths.push(`/branches/${encoded}`, `/branches/${encoded}/protection`, `/rules/branches/${encoded}`, `/git/ref/heads%2F${encoded}`, `/commits/${head}/pulls`, `/commits/${head}/check-runs?filter=all`, `/commits/${encoded}/status`);
    if (told.first_commit) paths.push(`/compare/${told.first_commit}...${encoded}?per_page=2`, `/compare/${encoded}...${told.first_commit}`, `/compare/${head}...${head}`);
    for (const { id } of rulesets ?? []) paths.push(`/rulesets/${id}`);
    if (rule_suites) paths.push('/rulesets/rule-suites?time_period=week');
    for (const [number, pull] of Object.entries(pull_requests ?? {})) {
      paths.push(`/pulls/${number}`, `/pulls/${number}/reviews?per_page=100`, `/commits/${pull.head}/check-runs?per_page=50`, `/commits/${pull.head}/status`, `/commits/${pull.merge}/pulls`);
    }
  }
  return paths.map((path) => base + path);
}

const OTHERS = ['/user', '/rate_limit', '/orgs/acme', '/orgs/no-such', '/users/alice', '/users/dependabot%5Bbot%5D', '/users/gone', '/orgs/acme/repos?type=all&per_page=100', '/orgs/acme/repos?type=public&sort=full_name&page=2&per_page=2', '/users/solo/repos', '/installation/repositories', '/repos/acme/no-such', '/repos/acme/old-name', '/repos/acme/renamed-default/branches/master'];

function jwt({ app }, seconds = 300) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iss: app.id, iat: now - 30, exp: now + seconds })}`;
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(app.private_key, 'base64url')}`;
}

async function asApp(access) {
  const token = jwt(access);
  const post = (id, body) => call(`/app/installations/${id}/access_tokens`, token, { method: 'POST', body: body && JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  for (const path of ['/app', '/app/installations', '/orgs/acme/installation', '/orgs/no-such/installation', '/repos/acme/unprotected/installation', '/repos/acme/no-such/installation']) await call(path, token);
  await call('/app', jwt(access, 3600));
  await post(1);
  await post(access.installations.all, { permissions: { metadata: 'write' } });
  const tokens = [];
  for (const [name, id] of Object.entries(access.installations)) {
    const { body, answer } = await post(id, name === 'all' ? { permissions: { metadata: 'read', contents: 'read' }, repositories: ['pulls'] } : undefined);
    if (answer.status !== 201) throw new Error(`no token for ${name}: ${answer.status} ${JSON.stringify(body)}`);
    tokens.push(body.token);
    tokens.push((await post(id)).body.token);
  }
  return tokens;
}

async function walk(access, mine, others) {
  const { repositories } = await control('truth');
  const installed = await asApp(access);
  const paths = [...OTHERS, ...Object.entries(repositories).flatMap(([name, told]) => routes(name, told))];
  for (const token of [...TOKENS, ...installed]) {
    // The administrator sees most; of the others some paths are enough, other ones for each.
    const step = token === 'admin-token' ? mine : others;
    for (let index = calls % step; index < paths.length; index += step) {
      const { answer } = await call(paths[index], token);
      const tag = answer.headers.get('etag');
      if (tag && index % 10 === 0) await call(paths[index], token, { headers: { 'if-none-match': tag } });
    }
  }
}

const access = await control('scenario', { name: 'traps' });
await control('settings', { public_url: prism, core_limit: 100_000 });
const ask = async (token, body) => (await call('/graphql', token, { method: 'POST', body: JSON.stringify(body) })).body;
const refused = await checkGraphql(ask, (await control('truth')).repositories, ['admin-token', 'reader-token', 'weak-token', 'selected-token']);
await walk(access, 1, 12);
for (const change of [
  { op: 'push', repository: 'acme/pushes', by: 'dave' },
  { op: 'force_push', repository: 'acme/pushes', by: 'octo-admin' },
  { op: 'rename_branch', repository: 'acme/pulls', to: 'primary' },
  { op: 'delete_repository', repository: 'acme/quiet' },
  { op: 'delete_account', login: 'bob' },
  { op: 'change_repository', repository: 'acme/conflict', archived: true },
]) await control('do', change);
await walk(access, 9, 40);
// Each way in which a call may be answered by no body, or by another place.
for (const path of ['/repos/acme/old-name', '/repos/acme/renamed-default/branches/master', '/repos/acme/pulls/branches/main/protection']) {
  const { answer } = await call(path, 'admin-token');
  if (answer.status !== 301) throw new Error(`${path}: ${answer.status}`);
  await call(new URL(answer.headers.get('location')).pathname.replace(/^\/repositories.*/, '/user'), 'admin-token');
}
await control('settings', { core_limit: 1 });
for (const path of OTHERS) await call(path, 'admin-token');
await control('settings', { core_limit: 100_000 });
await control('faults', { match: '/orgs/acme$', kind: 'secondary', times: 2 });
for (let count = 0; count < 3; count += 1) await call('/orgs/acme', 'admin-token');

const [found, excused] = await Promise.all(['', '?excused'].map(async (query) => (await fetch(`${prism}/_fake/violations${query}`)).json()));
process.stdout.write(`${JSON.stringify([...found, ...refused], null, 1)}\n`);
process.stderr.write(`${calls} calls, answered ${JSON.stringify(statuses)}; excused: ${JSON.stringify(excused, null, 1)}\n`);
for (const child of peers) child.stdin.end();
