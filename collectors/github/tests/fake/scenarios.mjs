// The scenarios by name: each fills a new world. What they have in common, the tokens among it, is here.

import { ruleset, classic, pullRequestRule, checksRule } from './protection.mjs';
import { check, merge, open, review } from './pulls.mjs';
import { traps } from './traps.mjs';
import { tell } from './truth.mjs';

export const scenarios = {
  /** Accounts and tokens, and an organisation without a repository. */
  empty: (world, options) => people(world, options),
  traps: (world, options) => traps(world, people(world, options), options),
  large,
  many,
};

export const MEMBERS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];

const READ = {
  metadata: 'read',
  contents: 'read',
  pull_requests: 'read',
  checks: 'read',
  statuses: 'read',
  deployments: 'read',
  administration: 'read',
};

/** The organisation `acme` and who is there: `octo-admin` owns it, MEMBERS may push, the rest are outside or not human. */
function people(world, { plan = 'team', two_factor = true } = {}) {
  const acme = world.organization('acme', { plan, two_factor_required: two_factor });
  for (const login of ['octo-admin', ...MEMBERS]) {
    world.account(login);
    acme.members.add(login);
  }
  acme.owners.add('octo-admin');
  world.account('outsider');
  world.account('gone', 'User', { deleted: true });
  world.account('web-flow');
  world.account('github', 'Organization', { members: new Set(), owners: new Set() });
  for (const login of ['dependabot[bot]', 'github-merge-queue[bot]', 'review-robot[bot]', `${world.app.slug}[bot]`]) world.account(login, 'Bot');
  Object.assign(world.app, { owner: 'acme', permissions: { ...READ, organization_administration: 'read' } });
  token(world, 'admin-token', { kind: 'classic', login: 'octo-admin', scopes: ['repo', 'admin:org'] });
  token(world, 'member-token', { kind: 'classic', login: 'alice', scopes: ['repo', 'read:org'] });
  token(world, 'reader-token', { kind: 'fine', login: 'octo-admin', permissions: READ, repositories: 'all' });
  token(world, 'weak-token', { kind: 'fine', login: 'octo-admin', permissions: { metadata: 'read', contents: 'read', pull_requests: 'read' }, repositories: 'all' });
  token(world, 'selected-token', { kind: 'fine', login: 'octo-admin', permissions: READ, repositories: [] });
  token(world, 'expired-token', { kind: 'fine', login: 'octo-admin', permissions: READ, repositories: 'all', expires_at: '2026-01-01T00:00:00Z' });
  installation(world, 'all', 'all');
  installation(world, 'selected', []);
  return acme;
}

function token(world, name, more) {
  world.tokens.set(name, { name, value: name, permissions: {}, repositories: 'all', ...(more.kind === 'fine' && { owner: 'acme' }), ...more });
}

function installation(world, name, repositories) {
  const id = world.id();
  world.installations.set(id, { id, name, account: 'acme', permissions: world.app.permissions, repositories });
}

/** What the token and installation `selected` were given: these and no other. */
export function select(world, repositories) {
  const ids = repositories.map(({ id }) => id);
  world.tokens.get('selected-token').repositories = ids;
  for (const each of world.installations.values()) if (each.name === 'selected') each.repositories = ids;
}

/** Minutes after the first of November 2026, as an ISO time. */
export const minutes = (count) => new Date(Date.UTC(2026, 10, 1, 9, 0) + count * 60_000).toISOString().replace(/\.\d+Z$/, 'Z');

/** A first commit on the default branch, which no pull request brought. */
export function begin(world, repository, at = '2026-01-05T09:00:00Z') {
  const oid = world.commit(repository, { parents: [], author: 'octo-admin', at, message: 'First' });
  world.push(repository, repository.default_branch, oid, { actor: 'octo-admin', at });
  return oid;
}

/** `acme/large`: `prs` pull requests, squashed, each with one approval and one check of its head. */
function large(world, { prs = 5000, ...options } = {}) {
  people(world, options);
  const repository = world.repository('acme', 'large', { private: true });
  const base = begin(world, repository);
  classic(world, repository, 'main', { reviews: { count: 1 }, checks: { contexts: ['test'] }, enforce_admins: true });
  // Three minutes each from the first of November: 5,000 end on the eleventh.
  for (let index = 0; index < prs; index += 1) {
    const [author, reviewer] = [MEMBERS[index % 6], MEMBERS[(index + 1) % 6]];
    const pull = open(world, repository, { author, at: minutes(index * 3) });
    check(world, repository, pull.head_oid, { started_at: minutes(index * 3) });
    review(world, pull, { by: reviewer, at: minutes(index * 3 + 1) });
    merge(world, pull, { by: reviewer, at: minutes(index * 3 + 2), method: 'squash' });
    tell(world, pull, { approved: true, why: ['approved'], counted: [reviewer], checks: 'passed' });
  }
  Object.assign(world.truth.repositories['acme/large'], { first_commit: base });
  select(world, [repository]);
}

/** `repositories` of them, half with a classic rule and half with a ruleset, and one ruleset of the organisation over all. */
function many(world, { repositories = 500, ...options } = {}) {
  people(world, options);
  const made = [];
  for (let index = 0; index < repositories; index += 1) {
    const repository = world.repository('acme', `service-${String(index).padStart(3, '0')}`, { private: index % 3 > 0 });
    begin(world, repository);
    if (index % 2 === 0) classic(world, repository, 'main', { reviews: { count: 1, dismiss_stale: true }, checks: { contexts: ['test'] } });
    else ruleset(world, repository, { name: 'main', rules: [pullRequestRule(), checksRule(['test']), { type: 'non_fast_forward' }] });
    made.push(repository);
  }
  ruleset(world, 'acme', { name: 'all', bypass: [{ actor_id: null, actor_type: 'OrganizationAdmin', bypass_mode: 'always' }], rules: [{ type: 'deletion' }, { type: 'non_fast_forward' }] });
  select(world, made.slice(0, Math.ceil(repositories / 2)));
}
