// GraphQL's commits: their history, checks, and who pushed them.

import { grants } from './access.mjs';
import { application, connection, forbidden, person, user } from './graph.mjs';
import { pullsConnection } from './graph-pulls.mjs';
import { repositoryNode } from './graph-repository.mjs';
import { pullsContaining, runsOn, statusesOn } from './rest-history.mjs';
import { fullName, HTML, nodeId } from './shapes.mjs';

const upper = (text) => text?.toUpperCase() ?? null;

export function commitNode(context, repository, oid) {
  const { world, token } = context;
  const commit = repository.commits.get(oid);
  if (!commit) return null;
  const url = `${HTML}/${fullName(repository)}/commit/${oid}`;
  const signature = ({ name, email, date, login }) => ({ name, email, date, user: () => user(context, login), avatarUrl: HTML });
  const other = (each) => commitNode(context, repository, each);
  return {
    __typename: 'Commit',
    id: nodeId('C', `${repository.id}:${oid}`),
    oid,
    abbreviatedOid: oid.slice(0, 7),
    message: commit.message,
    messageHeadline: commit.message.split('\n')[0],
    messageBody: '',
    authoredDate: commit.author.date,
    committedDate: commit.committer.date,
    // GitHub no longer fills it.
    pushedDate: null,
    author: signature(commit.author),
    committer: signature(commit.committer),
    authors: (args) => connection(context, [commit.author], args, signature),
    authoredByCommitter: commit.author.email === commit.committer.email,
    committedViaWeb: commit.committer.login === 'web-flow',
    additions: 1,
    deletions: 0,
    changedFilesIfAvailable: 1,
    signature: null,
    url,
    commitUrl: url,
    resourcePath: url.slice(HTML.length),
    repository: () => repositoryNode(context, repository),
    parents: (args) => connection(context, commit.parents, args, other),
    history: (args) => {
      // By the committer's date, which whoever commits writes as they like.
      const { list } = world.ancestors(repository, oid);
      const [since, until] = [args.since ? Date.parse(args.since) : -Infinity, args.until ? Date.parse(args.until) : Infinity];
      const shown = since === -Infinity && until === Infinity ? list : list.filter(({ committer }) => Date.parse(committer.date) >= since && Date.parse(committer.date) <= until);
      return connection(context, shown, args, (each) => other(each.oid));
    },
    associatedPullRequests: (args) => {
      if (!grants(token, repository, 'pull_requests')) throw forbidden(token);
      return pullsConnection(context, [...pullsContaining(world, repository, oid)], args);
    },
    checkSuites: (args) => {
      if (!grants(token, repository, 'checks')) throw forbidden(token);
      return connection(context, repository.check_suites.get(oid) ?? [], args, (suite) => suiteNode(context, repository, suite));
    },
    status: () => {
      if (!grants(token, repository, 'statuses')) throw forbidden(token);
      const list = statusesOn(repository, oid);
      if (list.length === 0) return null;
      return { id: nodeId('S', oid), state: rollup(list.map(stateOfStatus)), commit: () => other(oid), contexts: () => list.map((each) => statusNode(context, repository, each)) };
    },
    statusCheckRollup: () => rollupNode(context, repository, oid),
  };
}

function suiteNode(context, repository, suite) {
  const { push } = suite;
  const runs = runsOn(repository, suite.oid, true).filter((run) => run.suite === suite);
  const done = runs.length > 0 && runs.every(({ conclusion }) => conclusion);
  return {
    __typename: 'CheckSuite',
    id: nodeId('CS', suite.id),
    databaseId: suite.id,
    app: application(context.world, suite.app),
    status: done ? 'COMPLETED' : runs.length > 0 ? 'IN_PROGRESS' : 'QUEUED',
    conclusion: done ? (runs.find(({ conclusion }) => conclusion !== 'success')?.conclusion ?? 'success').toUpperCase() : null,
    createdAt: suite.at,
    updatedAt: suite.at,
    url: `${HTML}/${fullName(repository)}/commit/${suite.oid}/checks?check_suite_id=${suite.id}`,
    resourcePath: `/${fullName(repository)}/commit/${suite.oid}/checks?check_suite_id=${suite.id}`,
    commit: () => commitNode(context, repository, suite.oid),
    repository: () => repositoryNode(context, repository),
    checkRuns: (args) => connection(context, runs, args, (run) => runNode(context, repository, run)),
    push: push && {
      __typename: 'Push',
      id: nodeId('PSH', push.id),
      nextSha: push.after,
      previousSha: push.before,
      permalink: HTML,
      // The schema has no push without a pusher: who is gone is shown as the ghost.
      pusher: () => person(context, push.actor) ?? { __typename: 'User', login: 'ghost', id: nodeId('U', 10137), databaseId: 10137, url: `${HTML}/ghost`, resourcePath: '/ghost', avatarUrl: HTML },
      repository: () => repositoryNode(context, repository),
    },
  };
}

function runNode(context, repository, run) {
  const url = `${HTML}/${fullName(repository)}/runs/${run.id}`;
  return {
    __typename: 'CheckRun',
    id: nodeId('CR', run.id),
    databaseId: run.id,
    name: run.name,
    status: upper(run.status),
    conclusion: upper(run.conclusion),
    startedAt: run.started_at,
    completedAt: run.completed_at,
    detailsUrl: 'https://example.org/',
    url,
    permalink: url,
    resourcePath: url.slice(HTML.length),
    isRequired: () => false,
    title: null,
    summary: null,
    checkSuite: () => suiteNode(context, repository, run.suite),
    repository: () => repositoryNode(context, repository),
  };
}

function statusNode(context, repository, status) {
  return {
    __typename: 'StatusContext',
    id: nodeId('SC', status.id),
    context: status.context,
    state: upper(status.state),
    createdAt: status.at,
    creator: () => person(context, status.creator),
    description: null,
    targetUrl: null,
    isRequired: () => false,
    commit: () => commitNode(context, repository, status.oid),
  };
}

const stateOfStatus = ({ state }) => upper(state);

const stateOfRun = ({ conclusion }) => {
  if (!conclusion) return 'PENDING';
  return ['success', 'neutral', 'skipped'].includes(conclusion) ? 'SUCCESS' : 'FAILURE';
};

const rollup = (states) => ['ERROR', 'FAILURE', 'PENDING'].find((state) => states.includes(state)) ?? 'SUCCESS';

/** Check runs and statuses as one list, as they are now: a check that came after the merge is in it too. */
export function rollupNode(context, repository, oid) {
  const { token } = context;
  if (!grants(token, repository, 'checks') || !grants(token, repository, 'statuses')) throw forbidden(token);
  const [runs, statuses] = [runsOn(repository, oid), statusesOn(repository, oid)];
  if (runs.length + statuses.length === 0) return null;
  return {
    __typename: 'StatusCheckRollup',
    id: nodeId('SCR', oid),
    state: rollup([...runs.map(stateOfRun), ...statuses.map(stateOfStatus)]),
    commit: () => commitNode(context, repository, oid),
    contexts: (args) =>
      connection(context, [...runs, ...statuses], args, (each) => ('suite' in each ? runNode(context, repository, each) : statusNode(context, repository, each)), {
        more: { checkRunCount: runs.length, statusContextCount: statuses.length, checkRunCountsByState: [], statusContextCountsByState: [] },
      }),
  };
}

/** What a global id of these means. */
export function commitById(context, id) {
  const [number, oid] = Buffer.from(id.slice(2), 'base64url').toString().split(':');
  const repository = context.world.repositories.get(Number(number));
  return repository && commitNode(context, repository, oid);
}

