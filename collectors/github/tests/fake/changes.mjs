// What may happen between two runs of a collector: each change is one entry, named by `op` at `POST /_fake/do`.
//
// `repository` is OWNER/NAME; times are the fake's present unless `at` says otherwise.

import { classic, ruleset } from './protection.mjs';
import * as pulls from './pulls.mjs';
import { tell, tellDirect, tellForced } from './truth.mjs';

function repositoryOf(world, name) {
  const [owner, short] = name.split('/');
  const { repository } = world.named(owner, short);
  if (!repository) throw new Error(`no repository ${name}`);
  return repository;
}

function pullOf(world, given) {
  const found = repositoryOf(world, given.repository).pulls.find(({ number }) => number === given.number);
  if (!found) throw new Error(`no pull request ${given.repository}#${given.number}`);
  return found;
}

const time = (world, given) => given.at ?? world.clock.iso();

function shown(pull) {
  return { number: pull.number, head: pull.head_oid, merge: pull.merge_oid, state: pull.state };
}

export const changes = {
  /** {repository, author, base?, head?, title?, cross?, pusher?} */
  open_pull: (world, given) => shown(pulls.open(world, repositoryOf(world, given.repository), { ...given, at: time(world, given) })),
  /** {repository, number, by, force?, commits?} */
  push_to_pull: (world, given) => {
    const pull = pullOf(world, given);
    pulls.pushed(world, pull, { ...given, at: time(world, given) });
    return shown(pull);
  },
  /** {repository, number, by, state?, oid?} */
  review: (world, given) => ({ id: pulls.review(world, pullOf(world, given), { ...given, at: time(world, given) }).id }),
  /** {repository, number, review, by} */
  dismiss_review: (world, given) => {
    const pull = pullOf(world, given);
    const review = pull.reviews.find(({ id }) => id === given.review) ?? pull.reviews[0];
    pulls.dismiss(world, pull, review, { by: given.by, at: time(world, given) });
  },
  /** {repository, oid | number, name?, conclusion?} */
  check: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    const oid = given.oid ?? pullOf(world, given).head_oid;
    return { id: pulls.check(world, repository, oid, { started_at: time(world, given), ...given }).id };
  },
  /** {repository, oid | number, context?, state?} */
  status: (world, given) => {
    const oid = given.oid ?? pullOf(world, given).head_oid;
    pulls.status(world, repositoryOf(world, given.repository), oid, { ...given, at: time(world, given) });
  },
  /** {repository, number, by, method?, truth?}: `truth` as README.md has it, else that nobody approved it. */
  merge_pull: (world, given) => {
    const pull = pullOf(world, given);
    pulls.merge(world, pull, { ...given, at: time(world, given) });
    tell(world, pull, given.truth ?? { approved: false, why: ['no_review'] });
    return shown(pull);
  },
  /** {repository, number} */
  close_pull: (world, given) => pulls.abandon(pullOf(world, given), { at: time(world, given) }),
  /** {repository, branch?, by, dated?, author?, count?}: commits without a pull request; `dated` is what they say. */
  push: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    const branch = given.branch ?? repository.default_branch;
    const at = time(world, given);
    const commits = [];
    let head = repository.refs.get(branch);
    for (let count = 0; count < (given.count ?? 1); count += 1) {
      head = world.commit(repository, { parents: head ? [head] : [], author: given.author ?? given.by, at: given.dated ?? at, message: given.message ?? 'Direct' });
      commits.push(head);
    }
    const before = repository.refs.get(branch);
    world.push(repository, branch, head, { actor: given.by, at });
    suite(world, repository, given, branch, before, head, at);
    tellDirect(world, repository, branch, commits, { pusher: given.by, at });
    return { head, commits };
  },
  /** {repository, branch?, by, to?}: to the sha `to`, or to a new commit in place of the last one. */
  force_push: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    const branch = given.branch ?? repository.default_branch;
    const at = time(world, given);
    const before = repository.refs.get(branch);
    const parents = repository.commits.get(before).parents.slice(0, 1);
    const after = given.to ?? world.commit(repository, { parents, author: given.by, at, message: 'Rewritten' });
    world.push(repository, branch, after, { actor: given.by, at, type: 'force_push' });
    tellForced(world, repository, branch, { before, after, pusher: given.by, at });
    if (!given.to) tellDirect(world, repository, branch, [after], { pusher: given.by, at });
    return { before, after };
  },
  /** {repository, branch, from?, by} */
  create_branch: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    const oid = world.resolve(repository, given.from ?? repository.default_branch);
    world.push(repository, given.branch, oid, { actor: given.by ?? 'octo-admin', at: time(world, given) });
  },
  /** {repository, branch, by} */
  delete_branch: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    world.push(repository, given.branch, '0'.repeat(40), { actor: given.by ?? 'octo-admin', at: time(world, given) });
  },
  /** {repository, to, from?}: the old name redirects, and classic rules of that name follow. */
  rename_branch: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    const from = given.from ?? repository.default_branch;
    renameBranch(repository, from, given.to);
    // What is known of the branch moves along; merged pull requests go on naming the old one as their base.
    const told = world.truth.repositories[given.repository]?.branches;
    if (told?.[from]) {
      told[given.to] = told[from];
      delete told[from];
    }
  },
  /** {repository, to} */
  rename_repository: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    repository.old_names.add(repository.name.toLowerCase());
    const told = world.truth.repositories;
    told[`${repository.owner}/${given.to}`] = told[`${repository.owner}/${repository.name}`];
    delete told[`${repository.owner}/${repository.name}`];
    repository.name = given.to;
  },
  /** {repository} */
  delete_repository: (world, given) => {
    repositoryOf(world, given.repository).deleted = true;
  },
  /** {repository}: in lists still, and gone where it is read. */
  vanish_repository: (world, given) => {
    repositoryOf(world, given.repository).hidden_after_listing = true;
  },
  /** {name, owner?, private?, fork?, archived?, empty?} */
  create_repository: (world, given) => {
    const { owner = 'acme', name, empty, ...more } = given;
    const at = time(world, given);
    const repository = world.repository(owner, name, { created_at: at, ...more });
    if (!empty) world.push(repository, repository.default_branch, world.commit(repository, { parents: [], author: 'octo-admin', at, message: 'First' }), { actor: 'octo-admin', at });
    return { id: repository.id };
  },
  /** {repository, archived?, private?, codeowners?, …}: sets what the model holds of one. */
  change_repository: (world, given) => {
    const { repository, ...more } = given;
    const found = repositoryOf(world, repository);
    for (const name of Object.keys(more)) if (!(name in found)) throw new Error(`no ${name} in a repository`);
    Object.assign(found, more);
  },
  /** {repository, pattern?, …settings}: sets or replaces a classic rule; `remove: true` takes it away. */
  protect: (world, given) => {
    const { repository, pattern = 'main', remove, op, ...settings } = given;
    const found = repositoryOf(world, repository);
    found.protections = found.protections.filter((rule) => rule.pattern !== pattern);
    return remove ? {} : { id: classic(world, found, pattern, settings).id };
  },
  /** {repository | organization, name, rules, …}: adds a ruleset. */
  add_ruleset: (world, given) => {
    const { repository, organization, ...settings } = given;
    return { id: ruleset(world, organization ?? repositoryOf(world, repository), settings).id };
  },
  /** {id | name, remove?, …}: changes one, its `enforcement` or `bypass` say. */
  change_ruleset: (world, given) => {
    const { id, name, remove, ...more } = given;
    const found = [...world.rulesets.values()].find((each) => each.id === id || each.name === name);
    if (!found) throw new Error(`no ruleset ${id ?? name}`);
    if (remove) world.rulesets.delete(found.id);
    else Object.assign(found, more, { updated_at: time(world, given) });
  },
  /** {repository, by, result?, branch?}: a rule suite, by default a bypass. */
  rule_suite: (world, given) => {
    const repository = repositoryOf(world, given.repository);
    const branch = given.branch ?? repository.default_branch;
    const after = repository.refs.get(branch);
    const [before] = repository.commits.get(after).parents;
    const suite = { id: world.id(), actor: given.by, before: before ?? after, after, ref: `refs/heads/${branch}`, at: time(world, given), result: given.result ?? 'bypass', evaluations: given.evaluations ?? [] };
    repository.rule_suites.push(suite);
    return { id: suite.id };
  },
  /** {login}: from now on null where there was somebody. */
  delete_account: (world, { login }) => {
    const account = world.find(login);
    if (!account) throw new Error(`no account ${login}`);
    account.deleted = true;
  },
  /** {repository, login, role}: 'admin', 'write', 'read'. */
  set_role: (world, given) => {
    repositoryOf(world, given.repository).roles.set(given.login, given.role);
  },
  /** {organization?, two_factor?, plan?} */
  change_organization: (world, { organization = 'acme', two_factor, plan }) => {
    const found = world.find(organization);
    if (two_factor !== undefined) found.two_factor_required = two_factor;
    if (plan !== undefined) found.plan = plan;
  },
  /** {name, permissions?, repositories?, scopes?, revoked?}: of a token; repositories by name, or 'all'. */
  change_token: (world, { name, repositories, op, ...more }) => {
    const found = [...world.tokens.values()].find((each) => each.name === name);
    if (!found) throw new Error(`no token ${name}`);
    Object.assign(found, more);
    if (repositories) found.repositories = repositories === 'all' ? 'all' : repositories.map((each) => repositoryOf(world, each).id);
  },
  /** {name, permissions?, repositories?}: of an installation, for the tokens that it issues from now on. */
  change_installation: (world, { name, permissions, repositories }) => {
    const found = [...world.installations.values()].find((each) => each.name === name);
    if (!found) throw new Error(`no installation ${name}`);
    if (permissions) found.permissions = permissions;
    if (repositories) found.repositories = repositories === 'all' ? 'all' : repositories.map((each) => repositoryOf(world, each).id);
  },
  /** Every installation's token is worth nothing from now on. */
  expire_tokens: (world) => {
    for (const token of world.tokens.values()) if (token.kind === 'installation') token.revoked = true;
  },
};

function suite(world, repository, { by }, branch, before, head, at) {
  const push = { id: world.id(), before: before ?? null, after: head, actor: by, branch };
  pulls.addSuite(world, repository, head, { push, at });
}

export function renameBranch(repository, from, to) {
  repository.refs.set(to, repository.refs.get(from));
  repository.refs.delete(from);
  repository.old_branches.set(from, to);
  repository.old_branches.delete(to);
  if (repository.default_branch === from) repository.default_branch = to;
  for (const rule of repository.protections) if (rule.pattern === from) rule.pattern = to;
  for (const pull of repository.pulls) if (pull.state === 'OPEN' && pull.base === from) pull.base = to;
}
