// REST routes about commits and branches' pasts: comparison, activity, checks, references, deployments.

import { demand, notFound, Refusal } from './access.mjs';
import { cursorPage, page } from './pages.mjs';
import { reaching } from './rest-protection.mjs';
import { actor, checkRunOf, commitOf, fullName, HTML, nodeId, pullOf, repositoryOf, statusOf } from './shapes.mjs';

export const HISTORY_ROUTES = [
  ['GET', '/repos/{owner}/{repo}/compare/{base+}...{head+}', compare],
  ['GET', '/repos/{owner}/{repo}/activity', activity],
  ['GET', '/repos/{owner}/{repo}/commits', commits],
  ['GET', '/repos/{owner}/{repo}/commits/{sha+}/pulls', pullsOfCommit],
  ['GET', '/repos/{owner}/{repo}/commits/{sha+}/check-runs', checkRuns],
  ['GET', '/repos/{owner}/{repo}/commits/{sha+}/status', combinedStatus],
  ['GET', '/repos/{owner}/{repo}/commits/{sha+}', commit],
  ['GET', '/repos/{owner}/{repo}/git/ref/heads/{branch+}', reference],
  ['GET', '/repos/{owner}/{repo}/deployments', deployments],
];

function commits(context) {
  const { world, token, repository, origin, query } = context;
  demand(token, repository, 'contents');
  const from = world.resolve(repository, query.get('sha') ?? repository.default_branch);
  if (!from) throw new Refusal(repository.refs.size ? 404 : 409, repository.refs.size ? 'Not Found' : 'Git Repository is empty.');
  return page(context, world.ancestors(repository, from).list, (commit) => commitOf(world, origin, repository, commit));
}

function compare(context) {
  const { world, token, repository, params, origin, query } = context;
  demand(token, repository, 'contents');
  const [base, head] = [params.base, params.head].map((name) => world.resolve(repository, name));
  if (!base || !head) throw notFound('https://docs.github.com/rest/commits/commits#compare-two-commits');
  const { status, ahead, behind, best } = world.compare(repository, base, head);
  if (!best) throw new Refusal(404, `No common ancestor between ${params.base} and ${params.head}.`);
  const shown = (commit) => commitOf(world, origin, repository, commit);
  const url = `${origin}/repos/${fullName(repository)}/compare/${params.base}...${params.head}`;
  const html = `${HTML}/${fullName(repository)}/compare/${params.base}...${params.head}`;
  // Unless it is asked for by pages, the answer is cut at 250 commits, and only `total_commits` tells.
  const paged = query.has('page') || query.has('per_page');
  return {
    url,
    html_url: html,
    permalink_url: `${HTML}/${fullName(repository)}/compare/${base.slice(0, 7)}...${head.slice(0, 7)}`,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    base_commit: shown(repository.commits.get(base)),
    merge_base_commit: shown(best),
    status,
    ahead_by: ahead.length,
    behind_by: behind.length,
    total_commits: ahead.length,
    commits: paged ? page(context, ahead, shown) : ahead.slice(0, 250).map(shown),
    files: [],
  };
}

const ACTIVITIES = ['push', 'force_push', 'branch_creation', 'branch_deletion', 'pr_merge', 'merge_queue_merge'];

function activity(context) {
  const { world, token, repository, query, origin } = context;
  demand(token, repository, 'contents');
  const type = query.get('activity_type');
  if (type && !ACTIVITIES.includes(type)) throw new Refusal(422, 'Validation Failed');
  const ref = query.get('ref');
  const since = query.has('time_period') ? reaching(world, query.get('time_period')) : '';
  const by = query.get('actor');
  const list = repository.pushes
    .filter((push) => (!type || push.type === type) && push.at >= since && (!by || push.actor === by))
    .filter((push) => !ref || push.ref === ref || push.ref === `refs/heads/${ref}`)
    .sort((a, b) => (a.at === b.at ? a.id - b.id : a.at < b.at ? -1 : 1));
  if (query.get('direction') !== 'asc') list.reverse();
  const shown = (push) => ({
    id: push.id,
    node_id: nodeId('PSH', push.id),
    before: push.before,
    after: push.after,
    ref: push.ref,
    timestamp: push.at,
    activity_type: push.type,
    actor: actor(world, origin, push.actor),
  });
  return cursorPage(context, list, shown, ({ id }) => id);
}

/** The commit that a sha or a branch means; GitHub refuses in three ways. */
function meant({ world, repository, params }) {
  if (repository.refs.size === 0) throw new Refusal(409, 'Git Repository is empty.');
  const oid = world.resolve(repository, params.sha);
  if (!oid) throw new Refusal(422, `No commit found for SHA: ${params.sha}`);
  return oid;
}

function commit(context) {
  const { world, token, repository, origin } = context;
  demand(token, repository, 'contents');
  return { ...commitOf(world, origin, repository, repository.commits.get(meant(context))), stats: { total: 1, additions: 1, deletions: 0 }, files: [] };
}

function pullsOfCommit(context) {
  const { world, token, repository, origin } = context;
  demand(token, repository, 'pull_requests');
  const oid = meant(context);
  return page(context, pullsContaining(world, repository, oid), (pull) => pullOf(world, origin, token, pull));
}

/** For a commit of the default branch the merged ones that brought it; for any other the open ones too. */
export function pullsContaining(world, repository, oid) {
  const all = repository.pulls_of_commit.get(oid) ?? [];
  const merged = all.filter(({ state }) => state === 'MERGED');
  const head = repository.refs.get(repository.default_branch);
  return merged.length > 0 && head && world.reaches(repository, head, oid) ? merged : all;
}

/** Of each name and application the latest, unless all are asked for. */
export function runsOn(repository, oid, all = false) {
  const runs = repository.check_runs.get(oid) ?? [];
  if (all) return runs;
  const latest = new Map();
  for (const run of runs) latest.set(`${run.suite.app} ${run.name}`, run);
  return [...latest.values()];
}

function checkRuns(context) {
  const { world, token, repository, query, origin } = context;
  demand(token, repository, 'checks');
  const [name, status] = [query.get('check_name'), query.get('status')];
  const list = runsOn(repository, meant(context), query.get('filter') === 'all').filter(
    (run) => (!name || run.name === name) && (!status || run.status === status),
  );
  return { total_count: list.length, check_runs: page(context, list, (run) => checkRunOf(world, origin, repository, run)) };
}

/** Of each context the latest. */
export function statusesOn(repository, oid) {
  const latest = new Map();
  for (const status of repository.statuses.get(oid) ?? []) latest.set(status.context, status);
  return [...latest.values()];
}

function combinedStatus(context) {
  const { world, token, repository, origin } = context;
  demand(token, repository, 'statuses');
  const sha = meant(context);
  const list = statusesOn(repository, sha);
  const some = (...states) => list.some(({ state }) => states.includes(state));
  const url = `${origin}/repos/${fullName(repository)}/commits/${sha}`;
  return {
    // Without any status it is pending too: it says nothing of check runs.
    state: some('failure', 'error') ? 'failure' : list.length === 0 || some('pending') ? 'pending' : 'success',
    statuses: page(context, list, (status) => statusOf(origin, repository, status)),
    sha,
    total_count: list.length,
    repository: repositoryOf(world, origin, token, repository),
    commit_url: url,
    url: `${url}/status`,
  };
}

function reference({ token, repository, params, origin }) {
  demand(token, repository, 'contents');
  if (repository.refs.size === 0) throw new Refusal(409, 'Git Repository is empty.');
  const sha = repository.refs.get(params.branch);
  if (!sha) throw notFound('https://docs.github.com/rest/git/refs#get-a-reference');
  const url = `${origin}/repos/${fullName(repository)}/git`;
  return {
    ref: `refs/heads/${params.branch}`,
    node_id: nodeId('REF', `${repository.id}:${params.branch}`),
    url: `${url}/refs/heads/${params.branch}`,
    object: { sha, type: 'commit', url: `${url}/commits/${sha}` },
  };
}

function deployments(context) {
  const { world, token, repository, query, origin } = context;
  demand(token, repository, 'deployments');
  const list = repository.deployments
    .filter((each) => ['sha', 'ref', 'environment'].every((name) => !query.get(name) || each[name] === query.get(name)))
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  const base = `${origin}/repos/${fullName(repository)}`;
  return page(context, list, ({ id, sha, ref, environment, creator, at }) => ({
    url: `${base}/deployments/${id}`,
    id,
    node_id: nodeId('DE', id),
    sha,
    ref,
    task: 'deploy',
    payload: {},
    original_environment: environment,
    environment,
    description: null,
    creator: actor(world, origin, creator),
    created_at: at,
    updated_at: at,
    statuses_url: `${base}/deployments/${id}/statuses`,
    repository_url: base,
    transient_environment: false,
    production_environment: environment === 'production',
  }));
}
