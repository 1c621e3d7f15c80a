// What must be found: the scenario's own word for pull requests and pushes, and a second reckoning of protection.
//
// The routes show rules; this merges them, setting by setting, the strictest first, with every source of what is in
// force. Scenarios check it against what they expect by hand, so that it is more than the routes' mirror.

import { classicOf, rulesetsOn, source, unpaid } from './protection.mjs';
import { fullName } from './shapes.mjs';

export function truth(world) {
  const repositories = {};
  for (const repository of world.repositories.values()) {
    const name = fullName(repository);
    const told = world.truth.repositories[name] ?? {};
    repositories[name] = {
      id: repository.id,
      private: repository.private,
      archived: repository.archived,
      fork: repository.fork,
      empty: repository.refs.size === 0,
      deleted: repository.deleted,
      vanishes: repository.hidden_after_listing,
      default_branch: repository.default_branch,
      ...told,
      branches: Object.fromEntries([...repository.refs].filter(([branch]) => isTold(repository, branch, told)).map(([branch, head]) => [branch, { head, ...effective(world, repository, branch), ...told.branches?.[branch] }])),
    };
  }
  return { now: world.clock.iso(), ...world.truth, repositories };
}

/** The branches of pull requests are of no interest. */
function isTold(repository, branch, told) {
  return branch === repository.default_branch || told.branches?.[branch] || /^(release|develop|hotfix)/.test(branch);
}

const wider = (a, b) => a || b;

/** One branch: which settings are in force, each with all the rules that ask for that much; what is not asked for is absent. */
export function effective(world, repository, branch) {
  if (unpaid(world, repository)) return { protected: false, unavailable: 'plan', settings: {} };
  const settings = {};
  const add = (name, value, from, join = wider) => {
    const known = settings[name];
    const joined = known ? join(known.value, value) : value;
    // A source stays only while what it asks for is what is in force; lists are joined, so that all theirs are.
    const kept = known && (Array.isArray(joined) || known.value === joined) ? known.sources : [];
    const mine = Array.isArray(joined) || joined === value ? [from] : [];
    settings[name] = { value: joined, sources: [...kept, ...mine] };
  };
  const most = (a, b) => Math.max(a, b);
  const union = (a, b) => [...new Set([...a, ...b])].sort();
  const rule = classicOf(repository, branch);
  const rulesets = rulesetsOn(world, repository, branch);
  if (rule) fromClassic(rule, add, most, union);
  for (const each of rulesets) fromRuleset(each, add, most, union);
  return {
    protected: Boolean(rule) || rulesets.length > 0,
    classic: rule ? { pattern: rule.pattern, admins_bound: rule.enforce_admins, bypass_reviews: rule.reviews?.bypass ?? [], bypass_force_push: rule.force_push_bypass } : null,
    rulesets: rulesets.map((each) => ({ id: each.id, name: each.name, level: each.level, source: source(each), bypass_actors: each.bypass })),
    settings,
  };
}

function fromClassic(rule, add, most, union) {
  const from = `classic ${rule.pattern}`;
  const { reviews, checks } = rule;
  if (reviews) {
    add('required_approvals', reviews.count, from, most);
    if (reviews.dismiss_stale) add('dismiss_stale', true, from);
    if (reviews.code_owners) add('code_owner_review', true, from);
    if (reviews.last_push) add('last_push_approval', true, from);
  }
  if (checks) {
    add('checks', [...checks.contexts].sort(), from, union);
    if (checks.strict) add('strict_checks', true, from);
  }
  if (!rule.force_pushes) add('force_push_blocked', true, from);
  if (!rule.deletions) add('deletion_blocked', true, from);
  if (rule.signatures) add('signatures', true, from);
  if (rule.linear) add('linear_history', true, from);
  if (rule.conversations) add('conversation_resolution', true, from);
}

function fromRuleset(each, add, most, union) {
  const from = `ruleset ${each.name}`;
  for (const { type, parameters } of each.rules) {
    if (type === 'pull_request') {
      add('required_approvals', parameters.required_approving_review_count, from, most);
      if (parameters.dismiss_stale_reviews_on_push) add('dismiss_stale', true, from);
      if (parameters.require_code_owner_review) add('code_owner_review', true, from);
      if (parameters.require_last_push_approval) add('last_push_approval', true, from);
      if (parameters.required_review_thread_resolution) add('conversation_resolution', true, from);
    } else if (type === 'required_status_checks') {
      add('checks', parameters.required_status_checks.map(({ context }) => context).sort(), from, union);
      if (parameters.strict_required_status_checks_policy) add('strict_checks', true, from);
    } else {
      const name = { non_fast_forward: 'force_push_blocked', deletion: 'deletion_blocked', required_signatures: 'signatures', required_linear_history: 'linear_history', merge_queue: 'merge_queue' }[type];
      if (name) add(name, true, from);
    }
  }
}

/** Notes a pull request's verdict. `approved`: true, false, or null where nobody can tell. */
export function tell(world, pull, { approved, why, counted = [], checks = 'none', ...more }) {
  const told = branchOf(world, pull.repository, pull.base);
  (told.pull_requests ??= {})[pull.number] = {
    title: pull.title,
    merge: pull.merge_oid,
    merged_at: pull.merged_at,
    head: pull.head_oid,
    approved,
    why,
    counted,
    checks,
    ...more,
  };
}

/** Notes commits that came to a branch by no pull request into it. */
export function tellDirect(world, repository, branch, commits, { pusher, at, ...more }) {
  const told = branchOf(world, repository, branch);
  for (const sha of commits) (told.direct_pushes ??= []).push({ sha, pusher, at, ...more });
}

export function tellForced(world, repository, branch, { before, after, pusher, at }) {
  (branchOf(world, repository, branch).force_pushes ??= []).push({ before, after, pusher, at });
}

function branchOf(world, repository, branch) {
  const told = (world.truth.repositories[fullName(repository)] ??= {});
  return ((told.branches ??= {})[branch] ??= {});
}
