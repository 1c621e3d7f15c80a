// GraphQL's pull requests: their reviews, commits and timeline.

import { grants } from './access.mjs';
import { connection, forbidden, person, refusal } from './graph.mjs';
import { commitNode, rollupNode } from './graph-commits.mjs';
import { refNode, repositoryNode } from './graph-repository.mjs';
import { association, fullName, HTML, nodeId } from './shapes.mjs';

/** Pull requests as a connection: filtered, ordered, with cursors that hold what they are ordered by. */
export function pullsConnection(context, all, args) {
  const { states, baseRefName, headRefName, orderBy } = args;
  const list = all.filter(
    (pull) => (!states || states.includes(pull.state)) && (!baseRefName || pull.base === baseRefName) && (!headRefName || pull.head === headRefName),
  );
  const field = orderBy?.field === 'UPDATED_AT' ? 'updated_at' : 'created_at';
  const sign = orderBy?.direction === 'DESC' ? -1 : 1;
  const key = (pull) => [pull[field], pull.number];
  const compare = (a, b) => sign * (a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1);
  list.sort((a, b) => compare(key(a), key(b)));
  return connection(context, list, args, (pull) => pullNode(context, pull), { order: { key, compare } });
}

export function pullNode(context, pull) {
  const { world, token } = context;
  const { repository } = pull;
  if (!grants(token, repository, 'pull_requests')) throw forbidden(token);
  const url = `${HTML}/${fullName(repository)}/pull/${pull.number}`;
  const commit = (oid) => (oid ? commitNode(context, repository, oid) : null);
  const inOrder = [...pull.reviews].sort((a, b) => (a.submitted_at < b.submitted_at ? -1 : 1));
  const reviewed = (list) => (args) =>
    connection(
      context,
      list.filter((review) => (!args.states || args.states.includes(review.state)) && (!args.author || review.author === args.author)),
      args,
      (review) => reviewNode(context, review),
    );
  return {
    __typename: 'PullRequest',
    id: nodeId('PR', pull.id),
    databaseId: pull.id,
    fullDatabaseId: String(pull.id),
    number: pull.number,
    title: pull.title,
    body: '',
    url,
    permalink: url,
    resourcePath: url.slice(HTML.length),
    state: pull.state,
    createdAt: pull.created_at,
    updatedAt: pull.updated_at,
    publishedAt: pull.created_at,
    closedAt: pull.closed_at,
    mergedAt: pull.merged_at,
    closed: pull.state !== 'OPEN',
    merged: pull.state === 'MERGED',
    locked: false,
    isDraft: false,
    isInMergeQueue: false,
    isMergeQueueEnabled: false,
    isCrossRepository: pull.cross,
    additions: pull.commits.length,
    deletions: 0,
    changedFiles: 1,
    baseRefName: pull.base,
    baseRefOid: pull.base_oid,
    headRefName: pull.head,
    headRefOid: pull.head_oid,
    baseRef: () => refNode(context, repository, pull.base),
    headRef: () => refNode(context, repository, pull.head),
    baseRepository: () => repositoryNode(context, repository),
    headRepository: () => (pull.cross ? null : repositoryNode(context, repository)),
    headRepositoryOwner: null,
    repository: () => repositoryNode(context, repository),
    author: () => person(context, pull.author),
    authorAssociation: association(world, repository, pull.author),
    mergedBy: () => person(context, pull.merged_by),
    mergeCommit: () => commit(pull.merge_oid),
    potentialMergeCommit: null,
    mergeable: pull.state === 'OPEN' ? 'MERGEABLE' : 'UNKNOWN',
    mergeStateStatus: 'UNKNOWN',
    autoMergeRequest: null,
    mergeQueueEntry: null,
    milestone: null,
    labels: (args) => connection(context, [], args, () => null),
    commits: (args) =>
      connection(context, pull.commits, args, (oid) => ({
        __typename: 'PullRequestCommit',
        id: nodeId('PRC', `${pull.id}:${oid}`),
        commit: () => commit(oid),
        pullRequest: () => pullNode(context, pull),
        url: `${url}/commits/${oid}`,
        resourcePath: `${url}/commits/${oid}`.slice(HTML.length),
      })),
    reviews: reviewed(inOrder),
    latestReviews: reviewed(latest(inOrder)),
    latestOpinionatedReviews: reviewed(latest(inOrder.filter(({ state }) => state !== 'COMMENTED'))),
    reviewDecision: null,
    statusCheckRollup: () => rollupNode(context, repository, pull.head_oid),
    timelineItems: (args) => {
      const list = pull.events.filter(({ type }) => !args.itemTypes || args.itemTypes.includes(snake(type)));
      const shown = [...list].sort((a, b) => (a.at === b.at ? a.id - b.id : a.at < b.at ? -1 : 1)).filter(({ at }) => !args.since || at >= args.since);
      return connection(context, shown, args, (each) => eventNode(context, pull, each), {
        more: { filteredCount: shown.length, pageCount: shown.length, updatedAt: pull.updated_at },
      });
    },
  };
}

const snake = (type) => type.replace(/(?<!^)([A-Z])/g, '_$1').toUpperCase();

function latest(reviews) {
  return [...new Map(reviews.map((review) => [review.author, review])).values()];
}

function reviewNode(context, review) {
  const { pull, author } = review;
  const { repository } = pull;
  const url = `${HTML}/${fullName(repository)}/pull/${pull.number}#pullrequestreview-${review.id}`;
  return {
    __typename: 'PullRequestReview',
    id: nodeId('PRR', review.id),
    databaseId: review.id,
    fullDatabaseId: String(review.id),
    author: () => person(context, author),
    authorAssociation: association(context.world, repository, author),
    authorCanPushToRepository: review.can_push,
    body: review.body,
    state: review.state,
    createdAt: review.submitted_at,
    submittedAt: review.submitted_at,
    publishedAt: review.submitted_at,
    updatedAt: review.submitted_at,
    isMinimized: false,
    url,
    resourcePath: url.slice(HTML.length),
    commit: () => (review.oid ? commitNode(context, repository, review.oid) : null),
    pullRequest: () => pullNode(context, pull),
    repository: () => repositoryNode(context, repository),
  };
}

function eventNode(context, pull, given) {
  const { repository } = pull;
  const commit = (oid) => (oid ? commitNode(context, repository, oid) : null);
  const url = `${HTML}/${fullName(repository)}/pull/${pull.number}#event-${given.id}`;
  const common = {
    __typename: given.type,
    id: nodeId('EV', given.id),
    databaseId: given.id,
    createdAt: given.at,
    actor: () => person(context, given.actor),
    pullRequest: () => pullNode(context, pull),
    url,
    resourcePath: url.slice(HTML.length),
  };
  switch (given.type) {
    case 'ReviewDismissedEvent':
      return { ...common, previousReviewState: given.previous, review: () => reviewNode(context, given.review), dismissalMessage: 'Dismissed' };
    case 'HeadRefForcePushedEvent':
      return { ...common, beforeCommit: () => commit(given.before), afterCommit: () => commit(given.after), ref: () => refNode(context, repository, pull.head) };
    case 'AddedToMergeQueueEvent':
      return { ...common, enqueuer: () => person(context, given.actor), mergeQueue: null };
    case 'MergedEvent':
      return { ...common, commit: () => commit(given.oid), mergeRef: () => refNode(context, repository, pull.base), mergeRefName: pull.base };
    case 'BaseRefChangedEvent':
      return { ...common, previousRefName: given.from, currentRefName: given.to };
    default:
      throw refusal('INTERNAL', `the fake knows no ${given.type}`);
  }
}

export function pullById(context, id) {
  const number = Number(Buffer.from(id.slice(3), 'base64url').toString());
  for (const repository of context.world.repositories.values()) {
    const pull = repository.pulls.find((each) => each.id === number);
    if (pull) return pullNode(context, pull);
  }
  return null;
}
