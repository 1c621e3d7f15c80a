// REST routes about branches and their protection: classic rules, rulesets, rule suites, code owners.

import { administers, demand, grants, notFound, Refusal } from './access.mjs';
import { page } from './pages.mjs';
import { canBypass, classicOf, isProtected, rulesetsOn, rulesetsOver, source, unpaid } from './protection.mjs';
import { actor, appOf, blobSha, commitOf, fullName, HTML, nodeId, shortBranch } from './shapes.mjs';

const DOCS = 'https://docs.github.com/rest/branches/branch-protection#get-branch-protection';

export const PROTECTION_ROUTES = [
  ['GET', '/repos/{owner}/{repo}/branches', branches],
  ['GET', '/repos/{owner}/{repo}/branches/{branch+}/protection', protection],
  ['GET', '/repos/{owner}/{repo}/branches/{branch+}', branch],
  ['GET', '/repos/{owner}/{repo}/rules/branches/{branch+}', rulesOnBranch],
  ['GET', '/repos/{owner}/{repo}/rulesets', rulesets],
  ['GET', '/repos/{owner}/{repo}/rulesets/rule-suites', ruleSuites],
  ['GET', '/repos/{owner}/{repo}/rulesets/rule-suites/{id}', ruleSuite],
  ['GET', '/repos/{owner}/{repo}/rulesets/{id}', ruleset],
  ['GET', '/repos/{owner}/{repo}/codeowners/errors', codeownersErrors],
  ['GET', '/repos/{owner}/{repo}/contents/{file+}', contents],
];

const UPGRADE = 'Upgrade to GitHub Pro or make this repository public to enable this feature.';

function paid({ world, repository }) {
  if (unpaid(world, repository)) throw new Refusal(403, UPGRADE, { documentation_url: DOCS });
}

function branches(context) {
  const { world, token, repository, query, origin } = context;
  demand(token, repository, 'contents');
  const wanted = query.get('protected');
  const names = [...repository.refs.keys()].sort().filter((name) => wanted === null || String(isProtected(world, repository, name)) === wanted);
  return page(context, names, (name) => shortBranch(world, origin, repository, name));
}

/** A branch that was renamed answers with a redirect to its new name. */
function existing({ repository, origin, params, path }) {
  const { branch } = params;
  if (repository.refs.has(branch)) return branch;
  const now = repository.old_branches.get(branch);
  if (!now) throw new Refusal(404, 'Branch not found', { documentation_url: DOCS });
  const location = `${origin}/repositories/${repository.id}/branches/${encodeURIComponent(now)}${path.endsWith('/protection') ? '/protection' : ''}`;
  throw new Refusal(301, 'Moved Permanently', {
    headers: { Location: location },
    body: { message: 'Moved Permanently', url: location, documentation_url: DOCS },
  });
}

function branch(context) {
  const { world, token, repository, origin } = context;
  demand(token, repository, 'contents');
  const name = existing(context);
  const { protected: kept } = shortBranch(world, origin, repository, name);
  const url = `${origin}/repos/${fullName(repository)}/branches/${encodeURIComponent(name)}`;
  const rule = unpaid(world, repository) ? undefined : classicOf(repository, name);
  return {
    name,
    commit: commitOf(world, origin, repository, repository.commits.get(repository.refs.get(name))),
    _links: { self: url, html: `${HTML}/${fullName(repository)}/tree/${name}` },
    protected: kept,
    // The short form tells of the classic rule only, whatever rulesets require.
    protection: {
      enabled: Boolean(rule),
      required_status_checks: {
        enforcement_level: rule?.checks ? (rule.enforce_admins ? 'everyone' : 'non_admins') : 'off',
        contexts: rule?.checks?.contexts ?? [],
        checks: (rule?.checks?.contexts ?? []).map((context) => ({ context, app_id: null })),
      },
    },
    protection_url: `${url}/protection`,
  };
}

function protection(context) {
  const { world, token, repository, origin } = context;
  if (!token) throw new Refusal(401, 'Requires authentication', { documentation_url: DOCS });
  demand(token, repository, 'administration');
  if (!administers(world, token, repository)) throw notFound(DOCS);
  paid(context);
  const name = existing(context);
  const rule = classicOf(repository, name);
  if (!rule) throw new Refusal(404, 'Branch not protected', { documentation_url: DOCS });
  const url = `${origin}/repos/${fullName(repository)}/branches/${encodeURIComponent(name)}/protection`;
  const people = (logins) => logins.map((login) => actor(world, origin, login)).filter(Boolean);
  const { reviews, checks, restrictions } = rule;
  return {
    url,
    ...(checks && {
      required_status_checks: {
        url: `${url}/required_status_checks`,
        strict: checks.strict,
        contexts: checks.contexts,
        contexts_url: `${url}/required_status_checks/contexts`,
        checks: checks.contexts.map((context) => ({ context, app_id: null })),
      },
    }),
    ...(restrictions && {
      restrictions: {
        url: `${url}/restrictions`,
        users_url: `${url}/restrictions/users`,
        teams_url: `${url}/restrictions/teams`,
        apps_url: `${url}/restrictions/apps`,
        users: people(restrictions),
        teams: [],
        apps: [],
      },
    }),
    ...(reviews && {
      required_pull_request_reviews: {
        url: `${url}/required_pull_request_reviews`,
        dismiss_stale_reviews: reviews.dismiss_stale,
        require_code_owner_reviews: reviews.code_owners,
        require_last_push_approval: reviews.last_push,
        required_approving_review_count: reviews.count,
        // GitHub leaves it out where it is empty.
        ...(reviews.bypass.length > 0 && {
          bypass_pull_request_allowances: {
            users: people(reviews.bypass.filter((each) => !each.startsWith('app:'))),
            teams: [],
            apps: reviews.bypass.filter((each) => each.startsWith('app:')).map((each) => appOf(world, origin, each.slice(4))),
          },
        }),
      },
    }),
    required_signatures: { url: `${url}/required_signatures`, enabled: rule.signatures },
    enforce_admins: { url: `${url}/enforce_admins`, enabled: rule.enforce_admins },
    required_linear_history: { enabled: rule.linear },
    allow_force_pushes: { enabled: rule.force_pushes },
    allow_deletions: { enabled: rule.deletions },
    block_creations: { enabled: rule.block_creations },
    required_conversation_resolution: { enabled: rule.conversations },
    lock_branch: { enabled: rule.lock },
    allow_fork_syncing: { enabled: false },
  };
}

function rulesOnBranch(context) {
  const { world, token, repository, params } = context;
  demand(token, repository, 'metadata');
  paid(context);
  // Answers for branches that do not exist too: by their names alone.
  const rules = rulesetsOn(world, repository, params.branch).flatMap((each) =>
    each.rules.map((rule) => ({ ...rule, ruleset_source_type: each.level, ruleset_source: source(each), ruleset_id: each.id })),
  );
  return page(context, rules, (rule) => rule);
}

function summary({ world, token, repository, origin }, each) {
  const organization = each.level === 'Organization';
  return {
    id: each.id,
    name: each.name,
    target: each.target,
    source_type: each.level,
    source: source(each),
    enforcement: each.enforcement,
    node_id: nodeId('RRS', each.id),
    _links: {
      self: { href: organization ? `${origin}/orgs/${each.owner}/rulesets/${each.id}` : `${origin}/repos/${source(each)}/rulesets/${each.id}` },
      html: { href: organization ? `${HTML}/organizations/${each.owner}/settings/rules/${each.id}` : `${HTML}/${source(each)}/rules/${each.id}` },
    },
    created_at: each.created_at,
    updated_at: each.updated_at,
    ...(token && { current_user_can_bypass: canBypass(world, token, each, administers(world, token, repository)) }),
  };
}

function rulesets(context) {
  const { world, token, repository, query } = context;
  demand(token, repository, 'metadata');
  paid(context);
  const targets = query.get('targets')?.split(',');
  const list = rulesetsOver(world, repository, query.get('includes_parents') !== 'false').filter((each) => !targets || targets.includes(each.target));
  return page(context, list, (each) => {
    const { current_user_can_bypass, ...shown } = summary(context, each);
    return shown;
  });
}

/** Whether a token may write the ruleset: only then does GitHub show who may bypass it. */
export function writesRuleset(world, token, repository, each) {
  if (each.level === 'Repository') return administers(world, token, repository, 'write');
  if (!token) return false;
  if (token.kind === 'classic') return token.scopes.includes('admin:org') && Boolean(world.find(each.owner).owners.has(token.login));
  return token.permissions?.organization_administration === 'write';
}

function ruleset(context) {
  const { world, token, repository, params, query } = context;
  demand(token, repository, 'metadata');
  paid(context);
  const each = rulesetsOver(world, repository, query.get('includes_parents') !== 'false').find(({ id }) => id === Number(params.id));
  if (!each) throw notFound('https://docs.github.com/rest/repos/rules#get-a-repository-ruleset');
  return {
    ...summary(context, each),
    conditions: {
      ref_name: { include: each.include, exclude: each.exclude },
      ...(each.repositories && { repository_name: { ...each.repositories, protected: false } }),
    },
    rules: each.rules,
    ...(writesRuleset(world, token, repository, each) && { bypass_actors: each.bypass }),
  };
}

const PERIODS = { hour: 1, day: 24, week: 24 * 7, month: 24 * 31, quarter: 24 * 92, year: 24 * 366 };

/** The server's time that a `time_period` reaches back to. */
export function reaching(world, period) {
  if (!PERIODS[period]) throw new Refusal(422, `Invalid time period: ${period}`);
  return new Date(world.clock.milliseconds() - PERIODS[period] * 3_600_000).toISOString();
}

function suitesVisible({ world, token, repository }) {
  const level = world.settings.rule_suites_need_write ? 'write' : 'read';
  demand(token, repository, 'administration', level);
  if (!administers(world, token, repository, level)) throw notFound();
}

function suiteOf({ world, repository }, suite) {
  const account = world.find(suite.actor);
  return {
    id: suite.id,
    actor_id: account?.id ?? 10137,
    actor_name: account?.login ?? 'ghost',
    before_sha: suite.before,
    after_sha: suite.after,
    ref: suite.ref,
    repository_id: repository.id,
    repository_name: repository.name,
    pushed_at: suite.at,
    result: suite.result,
    ...(suite.evaluation_result && { evaluation_result: suite.evaluation_result }),
  };
}

function ruleSuites(context) {
  const { world, repository, query } = context;
  suitesVisible(context);
  const since = reaching(world, query.get('time_period') ?? 'day');
  const ref = query.get('ref');
  const result = query.get('rule_suite_result') ?? 'all';
  const named = query.get('actor_name');
  const list = repository.rule_suites
    .filter((suite) => suite.at >= since && (result === 'all' || suite.result === result) && (!named || suite.actor === named))
    .filter((suite) => !ref || suite.ref === ref || suite.ref === `refs/heads/${ref}`)
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  return page(context, list, (suite) => suiteOf(context, suite));
}

function ruleSuite(context) {
  const { repository, params } = context;
  suitesVisible(context);
  const suite = repository.rule_suites.find(({ id }) => id === Number(params.id));
  if (!suite) throw notFound();
  return { ...suiteOf(context, suite), evaluation_result: suite.evaluation_result ?? null, rule_evaluations: suite.evaluations ?? [] };
}

function codeownersErrors({ token, repository }) {
  demand(token, repository, 'contents');
  if (!repository.codeowners) throw notFound('https://docs.github.com/rest/repos/repos#list-codeowners-errors');
  return { errors: repository.codeowners.errors };
}

/** Only the code owners' file has contents here. */
function contents({ world, token, repository, params, origin, query }) {
  demand(token, repository, 'contents');
  const asked = query.get('ref') ?? repository.default_branch;
  const ref = world.resolve(repository, asked);
  const file = repository.codeowners;
  if (!ref) throw new Refusal(404, repository.refs.size ? `No commit found for the ref ${asked}` : 'This repository is empty.');
  if (file?.path !== params.file) throw notFound('https://docs.github.com/rest/repos/contents#get-repository-content');
  const sha = blobSha(file.text);
  const url = `${origin}/repos/${fullName(repository)}/contents/${file.path}?ref=${asked}`;
  const git = `${origin}/repos/${fullName(repository)}/git/blobs/${sha}`;
  const html = `${HTML}/${fullName(repository)}/blob/${asked}/${file.path}`;
  return {
    type: 'file',
    encoding: 'base64',
    size: Buffer.byteLength(file.text),
    name: file.path.split('/').at(-1),
    path: file.path,
    content: `${Buffer.from(file.text).toString('base64')}\n`,
    sha,
    url,
    git_url: git,
    html_url: html,
    download_url: grants(token, repository, 'contents') ? `https://raw.githubusercontent.com/${fullName(repository)}/${asked}/${file.path}` : null,
    _links: { git, html, self: url },
  };
}

