// Branch protection's two layers: classic rules and rulesets, and which of them apply to a branch.

/** A classic rule. Of several that match a branch only one applies: the one of that very name, or else the oldest. */
export function classic(world, repository, pattern, given = {}) {
  const rule = {
    id: world.id(),
    pattern,
    /** null, or {count, dismiss_stale, code_owners, last_push, bypass: [logins]} */
    reviews: null,
    /** null, or {strict, contexts: [names]}; the list may be empty. */
    checks: null,
    enforce_admins: false,
    linear: false,
    force_pushes: false,
    deletions: false,
    signatures: false,
    conversations: false,
    lock: false,
    block_creations: false,
    /** null, or the logins that alone may push. */
    restrictions: null,
    force_push_bypass: [],
    ...given,
  };
  if (rule.reviews) rule.reviews = { count: 1, dismiss_stale: false, code_owners: false, last_push: false, bypass: [], ...rule.reviews };
  if (rule.checks) rule.checks = { strict: false, contexts: [], ...rule.checks };
  repository.protections.push(rule);
  return rule;
}

/** A ruleset of a repository, or of an organisation if `owner` is a login. `rules` in REST's own form. */
export function ruleset(world, owner, given) {
  const organization = typeof owner === 'string';
  const made = {
    id: world.id(),
    level: organization ? 'Organization' : 'Repository',
    owner: organization ? owner : owner.owner,
    repository: organization ? null : owner,
    target: 'branch',
    enforcement: 'active',
    include: ['~DEFAULT_BRANCH'],
    exclude: [],
    /** Which repositories an organisation's is for, by name. */
    repositories: organization ? { include: ['~ALL'], exclude: [] } : null,
    bypass: [],
    rules: [],
    created_at: '2026-02-01T09:00:00Z',
    updated_at: '2026-02-01T09:00:00Z',
    ...given,
  };
  world.rulesets.set(made.id, made);
  return made;
}

export const source = (ruleset) => (ruleset.repository ? `${ruleset.owner}/${ruleset.repository.name}` : ruleset.owner);

/** A pull-request rule in REST's form; the SDL knows the same names in camel case. */
export const pullRequestRule = (parameters = {}) => ({
  type: 'pull_request',
  parameters: {
    required_approving_review_count: 1,
    dismiss_stale_reviews_on_push: false,
    require_code_owner_review: false,
    require_last_push_approval: false,
    required_review_thread_resolution: false,
    allowed_merge_methods: ['merge', 'squash', 'rebase'],
    ...parameters,
  },
});

export const checksRule = (contexts, strict = false) => ({
  type: 'required_status_checks',
  parameters: {
    strict_required_status_checks_policy: strict,
    do_not_enforce_on_create: false,
    required_status_checks: contexts.map((context) => ({ context })),
  },
});

export const queueRule = () => ({
  type: 'merge_queue',
  parameters: {
    check_response_timeout_minutes: 60,
    grouping_strategy: 'ALLGREEN',
    max_entries_to_build: 5,
    max_entries_to_merge: 5,
    merge_method: 'MERGE',
    min_entries_to_merge: 1,
    min_entries_to_merge_wait_minutes: 5,
  },
});

/** Private repositories of a free account have neither layer. */
export const unpaid = (world, repository) => repository.private && world.find(repository.owner)?.plan === 'free';

export function classicOf(repository, branch) {
  return (
    repository.protections.find((rule) => rule.pattern === branch) ??
    repository.protections.find((rule) => matches(rule.pattern, branch))
  );
}

/** Every ruleset over a repository, its organisation's too, in whatever state. */
export function rulesetsOver(world, repository, parents = true) {
  return [...world.rulesets.values()].filter((each) => {
    if (each.repository) return each.repository === repository;
    if (!parents || each.owner !== repository.owner) return false;
    const { include, exclude } = each.repositories;
    const named = (patterns) => patterns.some((pattern) => pattern === '~ALL' || matches(pattern, repository.name));
    return named(include) && !named(exclude);
  });
}

/** Those in force on a branch. */
export function rulesetsOn(world, repository, branch) {
  return rulesetsOver(world, repository).filter(
    (each) => each.enforcement === 'active' && each.target === 'branch' && covers(each, repository, branch),
  );
}

export function covers(each, repository, branch) {
  const named = (patterns) =>
    patterns.some((pattern) => {
      if (pattern === '~ALL') return true;
      if (pattern === '~DEFAULT_BRANCH') return branch === repository.default_branch;
      return matches(pattern, `refs/heads/${branch}`);
    });
  return named(each.include) && !named(each.exclude);
}

export function isProtected(world, repository, branch) {
  if (unpaid(world, repository)) return false;
  return Boolean(classicOf(repository, branch)) || rulesetsOn(world, repository, branch).length > 0;
}

/** Ruby's File.fnmatch with FNM_PATHNAME, which GitHub names as its own: `*` stops at a slash, `**` followed by one does not. */
export function matches(pattern, name) {
  let expression = '';
  for (let i = 0; i < pattern.length; i += 1) {
    const rest = pattern.slice(i);
    const set = /^\[(!|\^)?([^\]]+)\]/.exec(rest);
    if (rest.startsWith('**/')) {
      expression += '(?:[^/]+/)*';
      i += 2;
    } else if (pattern[i] === '*') {
      expression += '[^/]*';
    } else if (pattern[i] === '?') {
      expression += '[^/]';
    } else if (set) {
      expression += `[${set[1] ? '^' : ''}${set[2].replace(/[\\^]/g, '\\$&')}]`;
      i += set[0].length - 1;
    } else {
      expression += pattern[i].replace(/[.+^${}()|\\[\]]/g, '\\$&');
    }
  }
  return new RegExp(`^${expression}$`).test(name);
}

/** 'always', 'pull_requests_only' or 'never', for the user or App behind a token. */
export function canBypass(world, token, each, administrator) {
  const account = world.find(token?.login);
  const modes = each.bypass
    .filter(({ actor_type, actor_id }) => {
      if (actor_type === 'OrganizationAdmin') return world.find(each.owner)?.owners?.has(token?.login);
      if (actor_type === 'RepositoryRole') return actor_id === 5 && administrator;
      if (actor_type === 'Integration') return token?.kind === 'installation' && actor_id === world.app.id;
      return actor_type === 'User' && actor_id === account?.id;
    })
    .map(({ bypass_mode }) => bypass_mode);
  if (modes.includes('always')) return 'always';
  return modes.length > 0 ? 'pull_requests_only' : 'never';
}
